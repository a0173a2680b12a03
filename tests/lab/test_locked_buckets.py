"""Vaults in a bucket that locks, on the lab's S3 server (Ceph's gateway): whoever has the vault's keys deletes nothing
before its date, and what he hides comes back."""

import secrets
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from buckets import BUCKET, gateway

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault import locks
from longshore.vault import prune as pruning
from longshore.vault.bucket import Bucket
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.errors import Damaged
from longshore.vault.geometry import Top
from longshore.vault.holds import delete_point
from longshore.vault.points import Point, folder_of, new_name, object_of, points
from longshore.vault.recovery import recover, settle
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from longshore.vault.versions import is_needed
from longshore.vault.writers import finish, leave, register

pytestmark = pytest.mark.lab

GRACE, LOCK = 40.0, 20.0  # seconds: so the lock of what is new ends after one minute
SOON = 10.0  # seconds, where nothing has to be done while it is locked
SIZE = 8 << 20  # bytes of a disk


@pytest.fixture
def there(the_lab):
    with gateway(the_lab) as there:
        yield there


@pytest.fixture
def bucket(there):
    """One that locks. It is removed when all locks in it have ended."""
    name = f"locked-{secrets.token_hex(4)}"
    there.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    yield name
    end = time.monotonic() + 3 * (GRACE + LOCK)
    while left := versions_in(there.client, name):
        assert time.monotonic() < end, left
        for key, version in left:
            try:
                there.client.delete_object(Bucket=name, Key=key, VersionId=version)
            except ClientError:  # its lock stands
                time.sleep(1)
    there.client.delete_bucket(Bucket=name)


def versions_in(client, bucket):
    """Versions and markers."""
    listed = client.list_object_versions(Bucket=bucket)
    return [(one["Key"], one["VersionId"]) for kind in ("Versions", "DeleteMarkers") for one in listed.get(kind, [])]


def store(there, url):
    return Bucket(url, there.endpoint, "us-east-1", there.access_key, there.secret_file.read_text().strip())


def back_up(vault, directory):
    """The point's name, and its disk."""
    writer, content = secrets.token_hex(4), secrets.token_bytes(SIZE)
    register(vault, writer, ())
    disk = NewDisk(vault, Top(SIZE, None), directory / writer, pack_size=1 << 20)
    disk.write(0, content)
    point = Point(new_name(folder_of(vault, "m"), datetime.now(UTC)), datetime.now(UTC), {"d": disk.finish()}, {})
    disk.close()
    finish(vault, writer, point)
    leave(vault, writer)
    return point.name, content


def content_of(vault, name):
    (point,) = [one for one in points(vault) if one.name == name]
    return PointDisk(vault, point.top("d")).read(0, SIZE)


def firsts(vault):
    """The versions that count of all that a restore needs: their ids, and the tags of their bytes."""
    found = locks.histories(vault)
    return {name: (one.first.id, one.first.tag) for name, one in found.items() if is_needed(name)}


def refused(do):
    """The server's word."""
    with pytest.raises(ClientError) as caught:
        do()
    return caught.value.response["Error"]["Code"]


@pytest.mark.turns("others' programs")
def test_nobody_deletes_a_locked_vault_before_its_date_and_all_of_it_comes_back(
    there, bucket, tmp_path, tell, monkeypatch
):
    monkeypatch.setattr(pruning, "sleep", lambda _seconds: None)  # this server's lists aren't late
    url, client = f"s3://{bucket}/v", there.client
    Vault.create(store(there, url), "a phrase", grace=GRACE, lock=LOCK)
    vault = Vault.open(store(there, url), "write", "a phrase")
    name, content = back_up(vault, tmp_path)
    began = time.monotonic()
    whole = firsts(vault)

    # By the vault's own keys, with all that S3 has for it
    tried = 0
    for key, version in versions_in(client, bucket):
        at = {"Bucket": bucket, "Key": key}
        if not is_needed(key.removeprefix("v/")):
            with suppress(ClientError):  # a probe of a moment ago
                client.delete_object(**at, VersionId=version)
            continue
        tried += 1
        one = {**at, "VersionId": version, "BypassGovernanceRetention": True}
        assert refused(lambda one=one: client.delete_object(**one)) == "AccessDenied"
        for mode in ("COMPLIANCE", "GOVERNANCE"):
            kept = {"Mode": mode, "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=9)}
            assert refused(lambda one=one, kept=kept: client.put_object_retention(**one, Retention=kept)) == (
                "AccessDenied"
            )
        if key.startswith("v/packs/0"):
            client.put_object(**at, Body=b"pay us")
        client.delete_object(**at)
    assert tried == len(whole)
    tell(f"{tried} locked objects: {3 * tried} tries to delete them or to shorten their lock were refused")
    with pytest.raises(ClientError):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(NotFound):
        Vault.open(store(there, url), "read", "a phrase")

    found = recover(store(there, url))
    assert (found.points, len(found.others) >= 4) == ((name,), True)
    vault = Vault.open(store(there, url), "write", "a phrase")
    settle(vault, found)
    assert firsts(vault) == whole
    assert locks.meddled(vault, locks.histories(vault)) == []
    assert verify(vault).faults == ()
    assert content_of(vault, name) == content

    # Deleted by us it is the same, until its date: then its room is free
    delete_point(vault, name)
    assert list(points(vault)) == []
    done = pruning.prune(vault)
    if time.monotonic() - began < LOCK + GRACE:  # on a machine that is that busy it may be later
        assert (done.freed, done.locked > 0) == (0, True)
    freed, end = done.freed, time.monotonic() + 6 * GRACE
    while any(one.startswith(("packs/", "points/")) for one in locks.histories(vault)):
        assert time.monotonic() < end
        time.sleep(5)
        freed += pruning.prune(vault).freed
    assert freed > SIZE
    assert time.monotonic() - began > LOCK + GRACE
    tell(f"{freed} bytes are free {time.monotonic() - began:.0f} s after they were locked for {LOCK + GRACE:.0f} s")


def test_points_that_a_stranger_hides_are_noticed_before_anything_is_pruned(there, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "sleep", lambda _seconds: None)
    vault = Vault.create(store(there, f"s3://{bucket}/v"), grace=SOON, lock=SOON)
    name, content = back_up(vault, tmp_path)
    there.client.delete_object(Bucket=bucket, Key=f"v/{object_of(name)}")
    with pytest.raises(Damaged, match="was deleted by somebody"):
        pruning.prune(vault)
    settle(vault, recover(vault.store))
    assert content_of(vault, name) == content
    assert pruning.prune(vault).points == 1


def test_of_many_who_create_one_object_in_a_locked_vault_one_does(there, bucket):
    """This server heeds no condition where versions are kept: the first version tells who was faster."""
    at = {"Bucket": bucket, "Key": "v/x"}
    for body in (b"1", b"2"):
        there.client.put_object(**at, Body=body, IfNoneMatch="*")
    vault = Vault.create(store(there, f"s3://{bucket}/w"), grace=SOON, lock=SOON)
    stores = [Vault.open(store(there, f"s3://{bucket}/w"), "prune").store for _ in range(6)]
    for number in range(5):
        name, won, together = f"condemned/{number}.json", [], threading.Barrier(6)

        def create(own, name=name, won=won, together=together):
            together.wait()
            try:
                stores[int(own)].create(name, own)
                won.append(own)
            except Conflict:
                pass

        threads = [threading.Thread(target=create, args=(b"%d" % own,)) for own in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert vault.store.read(name) == won[0]


def test_a_bucket_that_cannot_lock_is_refused(there):
    with pytest.raises(InvalidInput, match=f"The bucket {BUCKET} keeps no versions"):
        Vault.create(store(there, there.url), lock=LOCK)
    assert there.keys == []


def test_of_two_pruners_at_once_one_gets_412(there, tmp_path, monkeypatch):
    vault = Vault.create(store(there, there.url))
    name, _ = back_up(vault, tmp_path)
    delete_point(vault, name)
    said, look = [], pruning._look

    def meanwhile(*arguments, **options):
        monkeypatch.setattr(pruning, "_look", look)
        with pytest.raises(Conflict, match="is being pruned already"):
            pruning.prune(Vault.open(store(there, there.url), "prune"))
        at = {"Bucket": BUCKET, "Key": f"{there.prefix}/prune.json"}
        with pytest.raises(ClientError) as caught:
            there.client.put_object(**at, Body=b"another one's", IfNoneMatch="*")
        said.append(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])
        return look(*arguments, **options)

    monkeypatch.setattr(pruning, "_look", meanwhile)
    assert pruning.prune(vault).packs > 0
    assert said == [412]
    for key in there.keys:
        there.client.delete_object(Bucket=BUCKET, Key=key)
