"""A stranger with the keys of a locked vault's bucket does one thing, and waits, or does it each day. The owner's
policy prunes daily. Nothing that a point needs is ever lost for good, and the owner hears of it on the first day."""

import json
import random
import secrets
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from longshore.errors import LongshoreError
from longshore.vault import locks
from longshore.vault.disks import PointDisk
from longshore.vault.inspection import passed_over, unusable
from longshore.vault.points import object_of, points, read_point
from longshore.vault.prune import prune_at
from longshore.vault.recovery import recover, settle
from longshore.vault.sealing import with_own_sum
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from longshore.vault.versions import is_needed
from point_in_vault import with_point

pytestmark = pytest.mark.long

DAY, PHRASE = 86400.0, "of the vault"


class Owner:
    """Of a vault, in a bucket that locks."""

    def __init__(self, server, bucket, directory, days):
        self.server, self.bucket, self.url, self.directory = server, bucket, f"s3://{bucket}/v", directory
        self.days = days
        keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "any"}
        self.client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys)
        vault = Vault.create(self.store(), PHRASE, lock=days * DAY)
        self.lease = vault.keys.write_document("prune.json", {"id": "ab" * 16, "began": vault.store.now()})
        self.held = {}
        self.back_up()
        self.point = next(iter(self.held))
        self.needed = {
            (one["Key"], one["VersionId"]) for one in self.versions() if is_needed(one["Key"].removeprefix("v/"))
        }

    def store(self):
        store = self.server.store(self.url)
        store.lists_late = 0.0
        return store

    @contextmanager
    def opened(self, use):
        vault = Vault.open(self.store(), use, PHRASE)
        vault.store.lists_late = 0.0
        yield vault

    def back_up(self):
        content = random.Random(len(self.held)).randbytes(200_000)
        with self.opened("write") as vault:
            self.held[with_point(vault, self.directory, f"m{len(self.held)}", content_of_disk=content)] = content

    def prune(self):
        """What it says; empty: nothing is wrong."""
        try:
            prune_at(self.store(), lambda: self.opened("prune"))
        except LongshoreError as error:
            return str(error)
        return ""

    def check(self):
        """What `longshore vault check` says."""
        try:
            with self.opened("read") as vault:
                found = [str(fault) for fault in verify(vault, data=False).faults]
                return [*found, *locks.meddled(vault, locks.histories(vault)), *unusable(vault), *passed_over(vault)]
        except LongshoreError as error:
            return [str(error)]

    def versions(self):
        listed = self.client.list_object_versions(Bucket=self.bucket, Prefix="v/")
        return [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]


class Stranger:
    """`each_day`: what he does again; the rest he does once."""

    each_day = frozenset(
        (
            "keeps_a_writer",
            "keeps_a_lease",
            "keeps_a_lease_of_ours",
            "keeps_a_lease_of_tomorrow",
            "deletes_all_but_needed",
        )
    )

    def __init__(self, owner):
        self.owner = owner

    def put(self, name, body, **more):
        self.owner.client.put_object(Bucket=self.owner.bucket, Key=f"v/{name}", Body=body, **more)

    def delete(self, name):
        self.owner.client.delete_object(Bucket=self.owner.bucket, Key=f"v/{name}")

    def found(self, begins):
        return [one["Key"].removeprefix("v/") for one in self.owner.versions() if one["Key"].startswith(f"v/{begins}")]

    def told(self):
        return json.loads(self.owner.client.get_object(Bucket=self.owner.bucket, Key="v/vault.json")["Body"].read())

    def leaves_a_writer(self):
        self.put("writers/x.json", b"junk")

    keeps_a_writer = leaves_a_writer

    def keeps_a_lease(self):
        self.put("prune.json", secrets.token_hex(16).encode())

    def keeps_a_lease_of_ours(self):
        self.put("prune.json", self.owner.lease)

    def keeps_a_lease_of_tomorrow(self):
        self.put("prune.json", json.dumps({"id": "x", "began": 4e9}).encode())

    def describes_it_without_its_lock(self):
        told = self.told()
        told.pop("lock")
        told["features"] = {use: ["aes-256-gcm"] for use in told["features"]}
        self.put("vault.json", with_own_sum(told))

    def describes_it_by_nonsense(self):
        self.put("vault.json", b"{")

    def deletes_its_description(self):
        self.delete("vault.json")

    def deletes_its_keys(self):
        for name in self.found("keys/"):
            self.delete(name)

    def writes_over_its_keys(self):
        for name in self.found("keys/"):
            self.put(name, b'{"kind": "passphrase"}')

    def puts_a_key(self):
        self.put("keys/0000.json", b"junk")

    def deletes_points(self):
        self.delete(object_of(self.owner.point))

    def writes_over_points(self):
        self.put(object_of(self.owner.point), b"junk")

    def puts_a_point(self):
        folder = self.owner.point.partition("/")[0]
        self.put(f"points/{folder}/20261123T014500250Z-01234567.point", b"junk")

    def deletes_packs(self):
        for name in self.found("packs/"):
            self.delete(name)

    def writes_over_packs_and_locks_that(self):
        later = datetime.now(UTC) + timedelta(days=100)
        for name in self.found("packs/"):
            self.put(name, b"junk", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=later)

    def holds_what_he_pleases(self):
        self.put(f"holds/{self.owner.point}/1.hold", b"junk")

    def says_that_points_are_being_deleted(self):
        self.put(f"holds/{self.owner.point}/1.hold", b'{"deleting": true}\nsha256 0\n')
        self.delete(object_of(self.owner.point))

    def condemns_what_is_needed(self):
        self.put("condemned/1.json", json.dumps({"packs": [name[-69:-5] for name in self.found("packs/")]}).encode())

    def condemns_nonsense(self):
        self.put("condemned/7.json", b"junk")

    def gives_another_script(self):
        self.put("restore.py", b"print(input())")

    def deletes_the_script(self):
        self.delete("restore.py")

    def leaves_folders(self):
        for name in ("condemned/", "writers/", "packs/ab/.nfs0001", "points/._x.point", "x/y"):
            self.put(name, b"")

    def deletes_all_but_needed(self):
        for name in self.found(""):
            if not is_needed(name):
                self.delete(name)

    def deletes_all(self):
        for name in self.found(""):
            self.delete(name)


KINDS = [
    name for name in vars(Stranger) if name not in {"put", "delete", "found", "told", "each_day"} and name[0] != "_"
]
# Nothing that can be told from what happens anyway, and nothing comes of it: what is needed isn't removed, and whoever
# writes hears that he is lost
UNTOLD = {"condemns_what_is_needed", "deletes_all_but_needed"}


@pytest.fixture
def owner(request, s3, tmp_path):
    bucket = f"stranger-{secrets.token_hex(4)}"
    s3.make_bucket(bucket, locks=True)
    yield Owner(s3, bucket, tmp_path, request.param)
    s3.remove_bucket(bucket)


def attack(owner, kind):
    stranger = Stranger(owner)
    does = getattr(stranger, kind)
    does()
    said = []
    for day in range(2 * owner.days + 1):
        if day and kind in Stranger.each_day:
            does()
        said.append(owner.prune())
        if day == 0:
            told = [*filter(None, said), *owner.check()]
            assert told or kind in UNTOLD, "the owner hears nothing on the first day"
        owner.server.days_pass(owner.url, DAY)
    refused = 0
    for version in owner.versions():
        at = {"Bucket": owner.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        try:
            owner.client.delete_object(**at)
            assert (version["Key"], version["VersionId"]) not in owner.needed, f"{version['Key']} is lost for good"
        except ClientError:
            refused += 1
    assert refused >= len(owner.needed)
    found = recover(owner.store())
    with owner.opened("write") as vault:
        settle(vault, found)
        assert owner.held.keys() <= {point.name for point in points(vault)}
        for name, content in owner.held.items():
            (top,) = read_point(vault, name).disks.values()
            assert PointDisk(vault, top).read(0, len(content)) == content


def test_there_are_twenty_kinds():
    assert len(KINDS) >= 20


@pytest.mark.turns
@pytest.mark.parametrize("owner", [1], indirect=True, ids=["three-days"])
@pytest.mark.parametrize(
    "kind", [kind if n % 3 == 0 else pytest.param(kind, marks=pytest.mark.soak) for n, kind in enumerate(KINDS)]
)
def test_a_stranger_loses_nothing_for_good_and_is_heard_of_on_the_first_day(owner, kind):
    attack(owner, kind)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("owner", [30], indirect=True, ids=["sixty-days"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_who_waits_for_sixty_days_loses_nothing_for_good(owner, kind):
    attack(owner, kind)
