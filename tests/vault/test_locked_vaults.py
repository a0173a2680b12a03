"""Vaults whose bucket locks: what nobody deletes before its date, how it comes back, and how its room is had again."""

import json
import random
import secrets
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError
from small_vault import GRACE, Backup, InBucket, all_points, holds, opened, scribble

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.point import Hold
from longshore.vault import locks
from longshore.vault.directory import Directory
from longshore.vault.errors import Damaged
from longshore.vault.holds import delete_point, hold_of, hold_point
from longshore.vault.points import object_of
from longshore.vault.prune import prune
from longshore.vault.recovery import recover, settle
from longshore.vault.sealing import Plain
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from longshore.vault.versions import is_needed

pytestmark = pytest.mark.long

LOCK = 10 * GRACE  # seconds


on_both = pytest.mark.parametrize("server", ["heeds conditions", "heeds none"], indirect=True)


@pytest.fixture
def server(request, s3, monkeypatch):
    """Ceph's gateway of release 16 heeds no conditions in a bucket with versions."""
    monkeypatch.setattr("longshore.vault.prune.sleep", lambda _seconds: None)
    if getattr(request, "param", "heeds none") == "heeds none":
        real = s3._app

        def gateway(environ, begin):
            if environ.pop("HTTP_IF_MATCH", None) is not None:
                begin("412 Precondition Failed", [])
                return [b"<Error><Code>PreconditionFailed</Code></Error>"]
            return real({name: value for name, value in environ.items() if name != "HTTP_IF_NONE_MATCH"}, begin)

        monkeypatch.setattr(s3, "_app", gateway)
    return s3


@pytest.fixture
def place(server):
    bucket = f"locked-{secrets.token_hex(4)}"
    server.make_bucket(bucket, locks=True)
    yield InBucket(server, f"s3://{bucket}/v", LOCK)
    server.remove_bucket(bucket)


@pytest.fixture
def vault(place):
    return opened(place, Plain())


@pytest.fixture
def back_up(place, vault, tmp_path):
    chance = random.Random(7)

    def do(before=None):
        """The point's name, and what it holds."""
        backup = Backup(place, vault.keys, tmp_path, secrets.token_hex(4))
        if before is not None:
            backup.based_on(before[0])
            backup.content.update(before[1])
        backup.open()
        scribble(backup, chance, 6)
        return backup.finish(), backup.content

    return do


@pytest.fixture
def stranger(server):
    """Somebody who has the vault's own keys, and all of S3's verbs."""
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "any"}
    client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys)
    yield client
    client.close()


def delete_everything(client, place):
    """As far as the server lets them. How many versions it refused to delete of what a restore needs."""
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    refused = 0
    for one in client.list_object_versions(Bucket=bucket, Prefix=prefix)["Versions"]:
        at = {"Bucket": bucket, "Key": one["Key"]}
        client.delete_object(**at)
        try:
            client.delete_object(**at, VersionId=one["VersionId"], BypassGovernanceRetention=True)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
            refused += is_needed(one["Key"].removeprefix(f"{prefix}/"))  # else it is a probe of a moment ago
    return refused


def ends(place):
    """Of the locks of all that a restore needs, by name: seconds from now on."""
    now = datetime.now(UTC)
    return {
        name: (datetime.fromisoformat(kept[0].lock_until) - now).total_seconds()
        for name, kept in place.server.kept(place.url).items()
        if is_needed(name)
    }


@on_both
def test_a_point_and_all_that_it_needs_is_locked_and_what_is_touched_is_not(place, vault, back_up):
    back_up()
    locked = ends(place)
    assert {name.partition("/")[0] for name in locked} == {"packs", "points"}
    assert all(LOCK < left <= LOCK + GRACE + 5 for left in locked.values())
    others = [one for name, kept in place.server.kept(place.url).items() if not is_needed(name) for one in kept]
    assert [one.lock_until for one in others] == [None] * len(others)
    assert len([name for name in place.server.kept(place.url) if name.startswith("writers/")]) == 1


@on_both
def test_everything_deleted_by_the_vaults_own_keys_comes_back_whole(place, stranger, tmp_path, back_up):
    made = Vault.create(place.server.store(place.url), "a phrase", grace=GRACE, lock=LOCK)
    bucket = Vault.open(place.server.store(place.url), "write", "a phrase")
    assert (bucket.lock, made.id) == (LOCK, bucket.id)
    first = back_up()
    second = back_up(first)
    whole = {name: kept[0].value for name, kept in place.server.kept(place.url).items() if is_needed(name)}
    assert delete_everything(stranger, place) == len(whole)
    assert place.server.stored(place.url) == {}
    with pytest.raises(NotFound, match="longshore vault recover"):
        Vault.open(place.server.store(place.url), "read", "a phrase")

    found = recover(place.server.store(place.url))
    assert set(found.points) == {first[0], second[0]}
    assert "vault.json" in found.others
    assert {name: one.value for name, one in place.server.stored(place.url).items()} == whole
    assert Vault.open(place.server.store(place.url), "read", "a phrase").id == made.id
    vault = opened(place, Plain())
    settle(vault, found)
    assert verify(vault).faults == ()
    for name, content in (first, second):
        assert holds(vault, name, content)
    assert prune(vault).deleted == 0
    assert recover(place.server.store(place.url)).points == ()


def test_what_was_written_over_is_noticed_and_comes_back(place, vault, stranger, back_up):
    point, content = back_up()
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    later = datetime.now(UTC) + timedelta(hours=5)
    for name in list(ends(place)):
        words = {"Bucket": bucket, "Key": f"{prefix}/{name}", "Body": b"pay us"}
        stranger.put_object(**words)
        if name.startswith("packs/"):  # even what can't be deleted again for a while
            stranger.put_object(**words, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=later)
    histories = locks.histories(vault)
    assert len(locks.meddled(vault, histories)) == len(ends(place))
    with pytest.raises(Damaged, match="behind Longshore's back, so nothing is pruned"):
        prune(vault)
    assert verify(vault).faults != ()
    recover(vault.store)
    assert locks.meddled(vault, locks.histories(vault)) == []
    assert verify(vault).faults == ()
    assert holds(vault, point, content)
    prune(vault)


def test_what_a_stranger_has_locked_in_another_way_keeps_nothing_from_coming_back(place, vault, stranger, back_up):
    """A legal hold has no end, and governance mode lets only some delete a version."""
    point, content = back_up()
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    for name in [*ends(place), "prune.json"]:
        words = {"Bucket": bucket, "Key": f"{prefix}/{name}"}
        made = stranger.put_object(**words, Body=b"pay us")["VersionId"]
        stranger.put_object_legal_hold(**words, VersionId=made, LegalHold={"Status": "ON"})
    recover(vault.store)
    assert locks.meddled(vault, locks.histories(vault)) == []
    assert verify(vault).faults == ()
    assert holds(vault, point, content)


def test_a_stranger_who_deletes_points_is_noticed_and_nothing_is_pruned(place, vault, stranger, back_up):
    gone, _ = back_up()
    other, _ = back_up()
    delete_point(vault, other)
    assert locks.meddled(vault, locks.histories(vault)) == []
    vault.store.versions._client.delete_object(Bucket=place.url.split("/")[2], Key=f"v/{object_of(gone)}")
    place.days_pass(LOCK - GRACE)
    with pytest.raises(Damaged, match=f"{object_of(gone)} was deleted by somebody"):
        prune(vault)
    place.days_pass(LOCK)  # nobody has looked: it is kept all the same
    with pytest.raises(Damaged):
        prune(vault)
    found = recover(vault.store)
    settle(vault, found)
    assert verify(vault).faults == ()
    assert gone in all_points(vault)
    prune(vault)


def test_a_deleted_point_stays_until_its_date_and_then_its_room_is_free(place, vault, back_up):
    first = back_up()
    second, content = back_up(first)
    until = delete_point(vault, first[0])
    assert abs((until - datetime.now(UTC)).total_seconds() - LOCK - GRACE) < 30
    assert all_points(vault) == {second}
    stored = sum(len(kept[0].value) for kept in place.server.kept(place.url).values())
    for _ in range(3):
        place.days_pass()
        done = prune(vault)
        assert done.freed == 0
    assert done.locked > 0
    # Until then it can be had back
    settle(vault, found := recover(vault.store))
    assert found.points == (first[0],)
    assert verify(vault).faults == ()
    assert holds(vault, *first)
    delete_point(vault, first[0])
    for _ in range(4):
        place.days_pass(LOCK / 2)
        done = prune(vault)
    left = place.server.kept(place.url)
    assert sum(len(kept[0].value) for kept in left.values()) < stored
    assert not [name for name in left if first[0] in name]
    assert all(len(kept) == 1 for name, kept in left.items() if is_needed(name))
    assert holds(vault, second, content)
    delete_point(vault, second)
    for _ in range(5):
        place.days_pass(LOCK)
        done = prune(vault)
    assert (done.packs, done.locked) == (0, 0)
    assert place.server.kept(place.url) == {}


def test_a_living_point_is_locked_for_as_long_as_it_lives(place, vault, back_up):
    """However long a policy keeps it: each prune sees to it that the lock's time is left."""
    point, _ = back_up()
    again = 0
    for _ in range(8):
        place.days_pass(GRACE)
        done = prune(vault)
        again += bool(done.renewed)
        assert all(left > LOCK + GRACE - 5 for left in ends(place).values())
        assert all(left < 1.25 * LOCK + GRACE + 5 for left in ends(place).values())
    assert again < 6  # not each time
    standing = locks.stand(vault, locks.histories(vault), {point: 0.0}, verify(vault, data=False).packs)
    assert (standing.short, standing.open) == (0, ())
    place.days_pass(3 * GRACE)
    place.days_pass(LOCK / 4)
    standing = locks.stand(vault, locks.histories(vault), {point: 0.0}, verify(vault, data=False).packs)
    assert standing.short == len(ends(place))
    place.days_pass(2 * LOCK)
    standing = locks.stand(vault, locks.histories(vault), {point: 0.0}, verify(vault, data=False).packs)
    assert set(standing.open) == set(ends(place))


def test_a_hold_extends_the_lock_of_what_its_point_needs_alone(place, vault, back_up):
    held, other = back_up(), back_up()
    until = datetime.now(UTC) + timedelta(seconds=5 * LOCK)
    hold_point(vault, held[0], Hold("court", until))
    prune(vault)
    packs = verify(vault, data=False).packs
    longest = {name for name, left in ends(place).items() if left > 4 * LOCK}
    assert object_of(held[0]) in longest
    assert object_of(other[0]) not in longest
    assert 1 <= len([name for name in longest if name.startswith("packs/")]) < len(packs)
    with pytest.raises(Conflict, match="is held"):
        delete_point(vault, held[0])
    assert hold_of(vault, held[0]).name == "court"


@on_both
def test_of_two_who_prune_one_is_told_so_and_one_that_died_is_followed(place, vault, back_up):
    back_up()
    other = opened(place, Plain())
    other.store.create("prune.json", b"another one's")
    with pytest.raises(Conflict, match="is being pruned already"):
        prune(vault)
    assert vault.store.read("prune.json") == b"another one's"
    place.days_pass()
    prune(vault)
    assert "prune.json" not in place.server.kept(place.url)


def test_a_bucket_that_cannot_lock_is_refused_in_a_sentence(server, tmp_path):
    for locks_, versions, said in ((False, False, "keeps no versions"), (False, True, "was made without object lock")):
        bucket = f"open-{secrets.token_hex(4)}"
        server.make_bucket(bucket, versions=versions, locks=locks_)
        with pytest.raises(InvalidInput, match=said):
            Vault.create(server.store(f"s3://{bucket}/v"), lock=LOCK)
        assert server.kept(f"s3://{bucket}/v") == {}
        server.remove_bucket(bucket)
    with pytest.raises(InvalidInput, match="can't be locked"):
        Vault.create(Directory(tmp_path / "v"), lock=LOCK)
    assert not (tmp_path / "v").exists()
    with pytest.raises(InvalidInput, match="keeps nothing of what is deleted"):
        recover(Directory(tmp_path))


def test_a_vault_that_was_described_otherwise_since_is_what_it_was_at_first(place, stranger):
    Vault.create(place.server.store(place.url), grace=GRACE, lock=LOCK)
    told = json.loads(place.server.stored(place.url)["vault.json"].value)
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    stranger.put_object(Bucket=bucket, Key=f"{prefix}/vault.json", Body=json.dumps(told | {"lock": 1, "id": "x"}))
    assert Vault.open(place.server.store(place.url), "write").id == told["id"]
    told.pop("lock")  # so that what is new isn't locked
    stranger.put_object(Bucket=bucket, Key=f"{prefix}/vault.json", Body=json.dumps(told))
    for use in ("read", "write", "prune"):
        opened_ = Vault.open(place.server.store(place.url), use)
        assert opened_.lock == LOCK, "by what it was at first"
    with pytest.raises(Damaged, match=r"vault\.json was written again by somebody"):
        prune(opened_)
    assert recover(place.server.store(place.url)).others == ("vault.json",)
    prune(Vault.open(place.server.store(place.url), "prune"))


def test_an_earlier_release_does_not_write_to_it(place, monkeypatch):
    Vault.create(place.server.store(place.url), grace=GRACE, lock=LOCK)
    known = frozenset({"aes-256-gcm"})
    monkeypatch.setattr("longshore.vault.vault._KNOWN", {"read": known, "write": known, "prune": known})
    Vault.open(place.server.store(place.url), "read")
    with pytest.raises(InvalidInput, match="object-lock"):
        Vault.open(place.server.store(place.url), "write")
