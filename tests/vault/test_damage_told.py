"""What is damaged in a vault is named and passed over: nothing waits for it, and nothing wrong gets a good name."""

import errno
import json
import os
import random
import re
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
import zstandard
from small_vault import InDirectory

from longshore.errors import Conflict, InvalidInput, Unreachable
from longshore.model.point import Hold
from longshore.vault import sealing
from longshore.vault.bucket import Bucket
from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.errors import Damaged, WrongKey
from longshore.vault.geometry import BLOCK
from longshore.vault.holds import DAMAGED, Held, delete_point, hold_of, hold_point, release_point
from longshore.vault.inspection import passed_over, unusable
from longshore.vault.keys import add_key, keys_of, remove_key
from longshore.vault.packs import PackReader, compress, expand, name_of
from longshore.vault.points import DamagedPoint, point_names, points, read_point
from longshore.vault.prune import PrunedInPart, prune, prune_at
from longshore.vault.sealing import Wrapped, read_own_sum, with_own_sum
from longshore.vault.tree import walk
from longshore.vault.vault import Vault
from longshore.vault.verify import MOST_TOLD, verify
from point_in_vault import with_point

pytestmark = pytest.mark.long

PHRASE = "of the vault"


@pytest.fixture(params=[None, PHRASE], ids=["in clear", "encrypted"])
def vault(request, tmp_path):
    return Vault.create(Directory(tmp_path / "vault"), request.param)


def flip(path, at, bit=0):
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def entries(vault, point, level):
    (top,) = point.disks.values()
    return {n: e for at, n, e in walk(top, PackReader(vault).read, vault.keys.digest, set()) if at == level}


def damage_block(vault, point, number):
    entry = entries(vault, point, 0)[number]
    flip(vault.store.root / name_of(entry.pack), entry.offset + 1000)


def document(vault, name):
    return vault.store.root / f"points/{name}.point"


def test_what_a_block_is_filled_up_with_is_compared_with_its_digest(vault, tmp_path):
    point = read_point(vault, with_point(vault, tmp_path, content_of_disk=random.Random(1).randbytes(3 * BLOCK)))
    damage_block(vault, point, 1)
    disk = NewDisk(vault, point.top("2000"), tmp_path / "journal")
    with pytest.raises(Damaged, match=r"packs/.*\.pack at \d+"):
        disk.write(BLOCK + 100, b"24 bytes that are new")
    with pytest.raises(Damaged):
        disk.read(BLOCK, 10)
    disk.write(BLOCK, bytes([7]) * BLOCK)  # a block that is written whole needs nothing of it
    assert disk.read(BLOCK, BLOCK) == bytes([7]) * BLOCK
    disk.close()


def test_what_was_just_written_is_compared_when_it_is_read_back(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"))
    with_point(vault, tmp_path)
    (top,) = read_point(vault, point_names(vault)[0]).disks.values()
    disk = NewDisk(vault, top, tmp_path / "journal")
    disk.write(0, random.Random(2).randbytes(4 * BLOCK))
    assert disk.read(0, BLOCK)  # so it is in its file
    (begun,) = (vault.store.root / "packs").glob(".new-*")
    flip(begun, 50_000)
    with pytest.raises(Damaged, match="just written"):
        disk.read(0, 4 * BLOCK)
    disk.close()


def test_what_cannot_be_had_is_said_with_its_point_its_machine_and_its_pack(vault, tmp_path):
    name = with_point(vault, tmp_path, "web-shop-17", content_of_disk=random.Random(1).randbytes(3 * BLOCK))
    point = read_point(vault, name)
    damage_block(vault, point, 1)
    disk = PointDisk(vault, point.top("2000"), called=point.called("2000"))
    for ask in (lambda: disk.read(BLOCK + 5, 10), lambda: disk.read(0, 3 * BLOCK)):
        with pytest.raises(Damaged) as told:
            ask()
        assert f"point {name} of web-shop-17, disk 2000, bytes {BLOCK} to {2 * BLOCK}" in str(told.value)
        assert name_of(entries(vault, point, 0)[1].pack) in str(told.value)


@pytest.mark.parametrize("damage", [lambda path: flip(path, 60), lambda path: path.write_bytes(b"")])
def test_a_damaged_point_is_shown_and_deleted_and_nobody_waits_for_it(vault, tmp_path, damage):
    """elasticsearch#13887: one snapshot that can't be read, and none is listed."""
    names = [with_point(vault, tmp_path, machine) for machine in ("web", "db", "mail")]
    damage(document(vault, names[1]))
    damaged = []
    assert [point.name for point in points(vault, damaged=damaged.append)] == [names[0], names[2]]
    assert [one.name for one in damaged] == [names[1]]
    assert abs(damaged[0].moment - datetime.now(UTC)) < timedelta(minutes=10)
    assert {fault.point for fault in verify(vault).faults} == {names[1]}
    with pytest.raises(PrunedInPart, match=names[1]):
        prune(vault)
    hold_point(vault, names[1], Hold("look", None))
    release_point(vault, names[1], "look")
    delete_point(vault, names[1])
    assert point_names(vault) == [names[0], names[2]]
    assert prune(vault).points == 2


@pytest.mark.parametrize("of", ["pack", "document"])
def test_a_file_on_a_bad_sector_is_named_and_all_else_goes_on(vault, tmp_path, monkeypatch, of):
    """The file is the pack that a machine's map is in, or a point's document."""
    bad, good = with_point(vault, tmp_path, "web"), with_point(vault, tmp_path, "db")
    point = read_point(vault, bad)
    sick = f"points/{bad}.point" if of == "document" else name_of(point.top("2000").entry.pack)
    real, away = os.open, []

    def fail(path, *words, **more):
        if away or str(path).endswith(sick):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", fail)
    (fault,) = verify(vault).faults
    assert (fault.point, f"{sick} can't be read: Input/output error" in str(fault)) == (bad, True)
    with pytest.raises(PrunedInPart, match=sick):
        prune(vault)
    assert good in [one.name for one in points(vault)]
    assert PointDisk(vault, read_point(vault, good).top("2000")).read(0, 4) == b"boot"
    another = with_point(vault, tmp_path, "mail")
    delete_point(vault, bad)
    assert point_names(vault) == [good, another]
    monkeypatch.setattr(Path, "open", lambda *_, **__: fail("."))
    away.append(True)  # the file system is: that is no damage
    with pytest.raises(Unreachable, match="Input/output error"):
        verify(vault)


def test_what_a_bucket_has_archived_is_named_and_all_else_goes_on(s3, tmp_path):
    """A lifecycle rule does that, or a storage class of Glacier."""
    vault = Vault.create(s3.store("s3://vaults/archived"))
    bad, good = with_point(vault, tmp_path, "web"), with_point(vault, tmp_path, "db")
    sick = name_of(read_point(vault, bad).top("2000").entry.pack)
    s3.fault = lambda method, path: (403, "InvalidObjectState") if sick in path and method == "GET" else None
    try:
        (fault,) = verify(vault).faults
        assert fault.point == bad
        assert f"{sick} can't be read: the bucket vaults has moved it to an archive." in str(fault)
        with pytest.raises(PrunedInPart, match="archive"):
            prune(vault)
        assert PointDisk(vault, read_point(vault, good).top("2000")).read(0, 4) == b"boot"
        s3.fault = lambda method, path: (403, "InvalidObjectState") if method == "GET" and "probe" in path else None
        with pytest.raises(Damaged, match="storage class"):
            Vault.create(s3.store("s3://vaults/glacier"))
        s3.fault = lambda method, path: (
            (403, "InvalidObjectState") if "vault.json" in path and method == "GET" else None
        )
        with pytest.raises(Damaged, match="Have it restored from there"):
            Vault.open(s3.store("s3://vaults/archived"), "read")
    finally:
        s3.fault = None


@pytest.mark.parametrize(
    ("rule", "said", "at"),
    [
        (
            {"ID": "tidy", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}},
            "('tidy') deletes what is in the vault",
            "/v",
        ),
        (
            {"Filter": {"Prefix": "v/packs/"}, "Transitions": [{"Days": 0, "StorageClass": "GLACIER"}]},
            "archives what is in the vault",
            "/v",
        ),
        ({"Filter": {"Prefix": "other/"}, "Expiration": {"Days": 30}}, None, "/v"),
        ({"Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}, None, "/v"),
        ({"Filter": {"Tag": {"Key": "temporary", "Value": "1"}}, "Expiration": {"Days": 1}}, None, "/v"),
        ({"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}, None, ""),
        ({"Filter": {"Prefix": "packs/"}, "Expiration": {"Days": 30}}, "deletes what is in the vault", ""),
    ],
)
def test_a_bucket_that_deletes_or_archives_by_itself_is_refused_beforehand(s3, rule, said, at):
    s3.make_bucket("ruled")
    store = s3.store(f"s3://ruled{at}")
    rules = {"Rules": [{"Status": "Enabled", **rule}]}
    store.versions._client.put_bucket_lifecycle_configuration(Bucket="ruled", LifecycleConfiguration=rules)
    try:
        if said is None:
            assert Vault.create(store).store is store
            return
        with pytest.raises(InvalidInput, match=re.escape(said)):
            Vault.create(store)
        assert s3.stored(f"s3://ruled{at}") == {}
    finally:
        s3.remove_bucket("ruled")


def test_why_a_vault_cannot_be_pruned_is_said_where_no_versions_may_be_listed(s3, tmp_path):
    store = s3.store("s3://vaults/cannot-be-opened")
    vault = Vault.create(store)

    @contextmanager
    def opened():
        raise Damaged("vault.json isn't what was written.")
        yield vault

    s3.fault = lambda method, path: (403, "AccessDenied")
    try:
        with pytest.raises(Damaged, match=r"vault\.json isn't"):
            prune_at(store, opened)
    finally:
        s3.fault = None


def test_a_prune_removes_what_no_damaged_point_can_need_and_keeps_what_it_may(vault, tmp_path):
    place = InDirectory(vault.store.root)
    old = with_point(vault, tmp_path, "old", content_of_disk=random.Random(1).randbytes(2 * BLOCK))
    flip(document(vault, old), 60)
    place.days_pass(10)
    new = with_point(vault, tmp_path, "new", content_of_disk=random.Random(2).randbytes(2 * BLOCK))
    delete_point(vault, new)
    for _ in range(3):
        place.days_pass(2 * vault.grace)
        for path in vault.store.root.glob("packs/*/*"):  # days_pass makes all of an age of things that are as old
            os.utime(path, (0, path.stat().st_mtime))
        with pytest.raises(PrunedInPart) as told:
            prune(vault)
    assert len(list(vault.store.names("packs"))) == 1, "the pack of the damaged one stays"
    assert told.value.done.deleted in (0, 1)
    flip(document(vault, old), 60)
    assert verify(vault).faults == ()


def test_a_point_that_is_deleted_and_pruned_while_a_vault_is_verified_is_no_damage(vault, tmp_path):
    """A large vault is read for days."""
    gone = with_point(vault, tmp_path, content_of_disk=random.Random(1).randbytes(2 * BLOCK))

    def time_passes():
        delete_point(vault, gone)
        for name in list(vault.store.names("packs")):
            vault.store.delete(name)

    assert verify(vault, beat=time_passes).faults == ()


def test_verify_names_every_point_however_many_ranges_are_hurt(vault, tmp_path, monkeypatch):
    """restic#21820: what is told of some makes no other sound."""
    monkeypatch.setattr("longshore.vault.verify.MOST_TOLD", 3)
    names = [
        with_point(vault, tmp_path, f"m{n}", content_of_disk=random.Random(n).randbytes(3 * BLOCK)) for n in range(6)
    ]
    for name in names[:5]:
        for number in range(3):
            damage_block(vault, read_point(vault, name), number)
    faults = verify(vault).faults
    assert {fault.point for fault in faults} == set(names[:5])
    assert len(faults) < 15
    assert MOST_TOLD > 100


@pytest.mark.parametrize(
    "name",
    [
        "packs/ab/.nfs00000000000c1a2b00000001",
        "packs/ab/._{hex}.pack",
        "packs/ab/{hex}.pack.a1b2c3d4.partial",
        "packs/{hex}.pack",
        "points/{point}.conflict",
        "points/{folder}/._20261123T014500250Z-01234567.point",
        "points/{folder}/20261123T014500250Z-01234567 (copy).point",
        "points/.DS_Store",
        "condemned/.nfs00000000000c1a2b00000001",
        "condemned/0x1.json",
        "writers/.nfs00000000000c1a2b00000001",
        "holds/{point}/.nfs01",
        "keys/.nfs01",
        "lost+found/x",
        "Thumbs.db",
    ],
)
def test_what_others_put_into_a_vault_is_passed_over_and_listed(tmp_path, name):
    """restic#3302, rest-server#219: files of a file server or a desktop end no prune and no backup."""
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    point = with_point(vault, tmp_path)
    foreign = name.format(hex="ab" * 32, folder=point.partition("/")[0], point=point)
    path = vault.store.root / foreign
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0\5\x16\7")
    again = Vault.open(Directory(vault.store.root), "prune", PHRASE)
    assert [one.name for one in points(again)] == [point]
    assert verify(again).faults == ()
    prune(again)
    with_point(again, tmp_path, "another")
    assert passed_over(again) == ["lost+found/" if foreign.startswith("lost") else foreign]
    assert unusable(again) == []
    assert path.read_bytes() == b"\0\5\x16\7"
    script = [
        sys.executable,
        "-I",
        str(vault.store.root / "restore.py"),
        "--pass-phrase-file",
        str(tmp_path / "phrase"),
    ]
    (tmp_path / "phrase").write_text(PHRASE)
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 2)


def test_vaults_description_and_keys_have_a_checksum_that_readers_need_not_know(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    for path in (vault.store.root / "vault.json", *vault.store.root.glob("keys/*.json")):
        good = path.read_bytes()
        told = json.loads(good)
        assert told.pop("sha256") == sha256(good[: good.index(b'"sha256"')]).hexdigest()
        assert json.loads(with_own_sum(told)) == json.loads(good)
        chance = random.Random(1)
        for _ in range(60):
            at = chance.randrange(good.index(b'"sha256"'))
            path.write_bytes(good[:at] + bytes((good[at] ^ 1 << chance.randrange(8),)) + good[at + 1 :])
            with pytest.raises(Damaged, match="isn't what was written"):
                read_own_sum("x", path.read_bytes())
            with pytest.raises((Damaged, WrongKey)):
                Vault.open(Directory(vault.store.root), "read", PHRASE)
            script = [sys.executable, "-I", str(files("longshore.vault") / "left" / "restore.py")]
            if at % 20 == 0:
                done = subprocess.run(
                    [*script, "--vault", str(vault.store.root), "--pass-phrase-file", os.devnull],
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert done.returncode == 1
                assert "Traceback" not in done.stderr
        path.write_bytes(good)


@pytest.mark.parametrize("change", [{"block_size": 131076}, {"fanout": 129}, {"format": "x"}, {"encryption": "rot13"}])
def test_the_script_takes_no_other_sizes_whoever_has_given_them_a_checksum(tmp_path, change):
    vault = Vault.create(Directory(tmp_path / "vault"))
    point = with_point(vault, tmp_path)
    path = vault.store.root / "vault.json"
    path.write_bytes(with_own_sum(json.loads(path.read_bytes()) | change))
    script = [sys.executable, "-I", str(vault.store.root / "restore.py"), point, "2000", str(tmp_path / "image")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, (tmp_path / "image").exists(), "Traceback" in done.stderr) == (1, False, False)


def test_one_damaged_key_stands_in_no_others_way(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    other = add_key(vault, "another one", "other")
    path = vault.store.root / f"keys/{other.id}.json"
    path.write_bytes(path.read_bytes()[:100])
    again = Vault.open(Directory(vault.store.root), "write", PHRASE)
    assert again.key == vault.key
    with pytest.raises(WrongKey, match=other.id):
        Vault.open(Directory(vault.store.root), "write", "another one")
    assert any(other.id in said for said in unusable(again))
    assert {key.id for key in keys_of(again)} == {vault.id, other.id}
    remove_key(again, other.id)
    assert unusable(again) == []


def test_a_frame_is_not_believed_what_it_says_of_its_size():
    """facebook/zstd#1606 and its kin: 28 KiB that become 900 MiB."""
    bomb = b"\1" + zstandard.ZstdCompressor(level=3).compress(bytes(64 << 20))
    huge = b"\1" + bytes.fromhex("28b52ffd") + bytes([0xE0]) + (1 << 44).to_bytes(8, "little") + b"\1\0\0"
    for record in (bomb, huge, b"\0" + bytes(BLOCK + 1), b"\1", b"", b"\2x"):
        with pytest.raises(Damaged):
            expand(record)
    good = compress(b"text " * 20_000)
    for at in range(1, 12):
        for bit in range(8):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            try:
                assert len(expand(bytes(bad))) <= BLOCK
            except Damaged:
                continue


def test_no_object_is_read_that_is_larger_than_its_kind_may_be(tmp_path, s3):
    vault = Vault.create(Directory(tmp_path / "vault"))
    point = with_point(vault, tmp_path)
    document(vault, point).write_bytes(bytes(5 << 20))
    bucket = s3.store("s3://vaults/large")
    bucket.create(f"points/{point}.point", bytes(5 << 20))
    for store in (vault.store, bucket):
        with pytest.raises(Damaged, match="more than"):
            store.read(f"points/{point}.point")
    assert isinstance(bucket, Bucket)
    damaged: list[DamagedPoint] = []
    assert list(points(vault, damaged=damaged.append)) == []
    assert len(damaged) == 1


def test_a_key_that_asks_for_much_is_refused_and_nobody_waits_while_another_is_stretched(monkeypatch):
    key = Wrapped.by_pass_phrase(b"k" * 32, "v", PHRASE)
    for cost in (
        {"n": 1 << 20, "r": 32, "p": 16},
        {"n": 1 << 20, "r": 8, "p": 1},
        {"n": 3, "r": 8, "p": 1},
        {"n": "x"},
    ):
        with pytest.raises(Damaged):
            Wrapped(key.told | {"scrypt": cost}).unwrap("v", PHRASE)
    real, slow, begun = sealing.Scrypt, threading.Event(), threading.Event()

    class Scrypt:
        def __init__(self, **how):
            self._real = real(**how)

        def derive(self, phrase):
            if phrase == b"slow":
                begun.set()
                slow.wait(30)
            return self._real.derive(phrase)

    monkeypatch.setattr(sealing, "Scrypt", Scrypt)
    monkeypatch.setattr(sealing, "_found", type(sealing._found)())
    other = threading.Thread(target=lambda: key.unwrap("v", "slow"))
    other.start()
    assert begun.wait(10)
    try:
        assert key.unwrap("v", PHRASE) == b"k" * 32, "while the other one is at work"
    finally:
        slow.set()
        other.join()


def test_a_hold_that_cannot_be_read_holds_until_it_is_released(vault, tmp_path):
    point = with_point(vault, tmp_path)
    hold_point(vault, point, Hold("audit", None))
    (path,) = vault.store.root.glob("holds/*/*/1.hold")
    flip(path, 20)
    assert hold_of(vault, point).name == DAMAGED
    assert any(point in said for said in unusable(vault))
    with pytest.raises(Held):
        delete_point(vault, point)
    release_point(vault, point, DAMAGED)
    delete_point(vault, point)
    assert point_names(vault) == []


def test_a_point_without_its_last_byte_has_all_that_was_backed_up(vault, tmp_path):
    """It ends with a newline; Longshore and restore.py say the same of it."""
    point = with_point(vault, tmp_path)
    path = vault.store.root / "points" / f"{point}.point"
    path.write_bytes(path.read_bytes()[:-1])
    assert verify(vault).faults == ()
    assert read_point(vault, point).name == point
    phrase = tmp_path / "phrase"
    phrase.write_text(PHRASE)
    script = [sys.executable, str(vault.store.root / "restore.py"), "--pass-phrase-file", str(phrase)]
    (disk,) = read_point(vault, point).disks
    done = subprocess.run([*script, point, disk, str(tmp_path / "disk")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_somebody_who_prunes_for_ever_is_followed_and_told_of(vault, tmp_path):
    with_point(vault, tmp_path)
    began = time.time() - 2 * vault.grace
    vault.store.create("prune.json", vault.keys.write_document("prune.json", {"id": "x", "began": began}))
    with pytest.raises(PrunedInPart, match="no prune takes so long"):
        prune(vault)
    prune(vault)
    vault.store.create("prune.json", vault.keys.write_document("prune.json", {"id": "x", "began": time.time()}))
    with pytest.raises(Conflict, match="pruned already, since"):
        prune(vault)
    (vault.store.root / "prune.json").write_bytes(b"junk")
    with pytest.raises(Conflict, match="not by Longshore"):
        prune(vault)


def test_a_script_that_longshore_never_wrote_is_told_of(vault):
    assert unusable(vault) == []
    (vault.store.root / "restore.py").write_text("print(input('Pass phrase: '))")
    (said,) = unusable(vault)
    assert "restore.py" in said
    told = (files("longshore.vault") / "left" / "restore.sha256").read_text()
    todays = sha256((files("longshore.vault") / "left" / "restore.py").read_bytes()).hexdigest()
    assert f"{todays}  restore.py" in told.splitlines()[1], "it is published"


def test_a_vault_is_made_where_a_file_system_is_fresh_or_another_was_never_whole(tmp_path):
    """vorta#1077: a fresh ext4 has lost+found."""
    root = tmp_path / "fresh"
    (root / "lost+found").mkdir(parents=True)
    first = Vault.create(Directory(root), PHRASE)
    (root / "vault.json").unlink()  # as if its maker had been killed before the end
    (root / ".new-0123456789abcdef").write_bytes(b"x")
    second = Vault.create(Directory(root), PHRASE)
    assert first.id != second.id
    assert Vault.open(Directory(root), "write", PHRASE).id == second.id
    assert [key.id for key in keys_of(second)] == [second.id]
    with pytest.raises(Conflict, match="There is a vault"):
        Vault.create(Directory(root), PHRASE)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "README.txt").write_text("somebody's")
    with pytest.raises(Conflict, match="isn't an empty directory"):
        Vault.create(Directory(theirs), PHRASE)
    assert (theirs / "README.txt").read_text() == "somebody's"


def test_a_bucket_that_keeps_what_is_deleted_says_so(s3):
    s3.make_bucket("versioned", versions=True)
    try:
        assert Vault.create(s3.store("s3://versioned/v")).store.keeps_deleted()
    finally:
        s3.remove_bucket("versioned")
    assert not Vault.create(s3.store("s3://vaults/unversioned")).store.keeps_deleted()


@pytest.mark.parametrize(
    "change",
    [
        {"size": "12"},
        {"size": -5},
        {"size": 1 << 62},
        {"top": {"id": "zz", "pack": "../../../etc/passwd", "offset": -1, "length": 1 << 70}},
        {"top": {"id": "ab" * 32, "pack": "ab" * 32, "offset": 40, "length": 1 << 31}},
        {"key": "../../../../tmp/x"},
        {"key": "\x1b]0;x\x07"},
    ],
)
def test_a_hostile_document_is_a_damaged_point_for_longshore_and_the_script(tmp_path, change):
    vault = Vault.create(Directory(tmp_path / "vault"))
    name = with_point(vault, tmp_path)
    told = json.loads(document(vault, name).read_bytes().partition(b"\n")[0])
    told["disks"][0] |= change
    document(vault, name).write_bytes(sealing._with_sum(json.dumps(told).encode()))
    with pytest.raises(Damaged):
        read_point(vault, name)
    key = change.get("key", "2000")
    for words in ((), (name,), (name, key, str(tmp_path / "image"))):
        done = subprocess.run(
            [sys.executable, "-I", str(vault.store.root / "restore.py"), *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert done.returncode == 1 or "key" in change
    assert not (tmp_path / "image").exists() or "key" in change


def test_the_scripts_own_blake3_is_blake3():
    from blake3 import blake3
    from test_damaged_vaults import RESTORE

    chance = random.Random(5)
    for size in (0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3073, 4097, 5 << 10, BLOCK - 1, BLOCK):
        data, key = chance.randbytes(size), chance.randbytes(32)
        assert RESTORE.blake3_of(data, None) == blake3(data).digest()
        assert RESTORE.blake3_of(data, key) == blake3(data, key=key).digest()


def test_a_directory_without_hard_links_is_refused_in_a_sentence(tmp_path, monkeypatch):
    """borg#5567: exFAT, and shares that have none."""

    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(InvalidInput, match="makes no hard links"):
        Vault.create(Directory(tmp_path / "vault"))
    assert not (tmp_path / "vault").exists()


def test_what_is_no_file_is_not_waited_for(vault, tmp_path):
    """Whoever can write to a share can put a pipe there, which nobody ever writes to."""
    name = with_point(vault, tmp_path)
    folder = name.partition("/")[0]
    odd = f"{folder}/20260101T000000000Z-00000000"
    os.mkfifo(tmp_path / "vault" / "points" / f"{odd}.point")
    damaged = []
    assert [point.name for point in points(vault, damaged=damaged.append)] == [name]
    assert [(point.name, point.why) for point in damaged] == [(odd, f"points/{odd}.point is no file.")]
    with pytest.raises(PrunedInPart, match="no file"):
        prune(vault)
    delete_point(vault, odd)
    prune(vault)


def test_the_script_waits_for_no_pipe_either(vault, tmp_path):
    """One in a pack's place costs what was in it, one among the points that point."""
    name = with_point(vault, tmp_path)
    (tmp_path / "phrase").write_text(PHRASE)
    pack = next((tmp_path / "vault" / "packs").glob("*/*.pack"))
    pack.unlink()
    os.mkfifo(pack)
    os.mkfifo((tmp_path / "vault" / "points" / name).with_name("20260101T000000000Z-00000000.point"))
    script = [sys.executable, "-I", files("longshore.vault") / "left" / "restore.py"]
    options = ["--vault", tmp_path / "vault", "--pass-phrase-file", tmp_path / "phrase"][: 4 if vault.encrypted else 2]
    for words in ((), (name, "2000", tmp_path / "image")):
        done = subprocess.run([*script, *words, *options], capture_output=True, text=True, timeout=60)
        assert (done.returncode, "it is no file" in done.stderr) == (1, True), done.stderr
        assert words or done.stdout.startswith(name)


def by_script(vault, *words, **options):
    script = [sys.executable, "-I", vault.store.root / "restore.py", *words]
    return subprocess.run(script, check=False, text=True, timeout=60, **({"capture_output": True} | options))


@pytest.mark.parametrize("below", ["points", "points/0"])
def test_a_folder_of_points_that_cannot_be_read_is_no_empty_one_for_the_script(tmp_path, below):
    vault = Vault.create(Directory(tmp_path / "vault"))
    name = with_point(vault, tmp_path)
    if below == "points":
        (vault.store.root / below).rename(tmp_path / "away")
        (vault.store.root / below).symlink_to(below)  # root may read all else
        done = by_script(vault)
        assert done.stderr.endswith("points: Too many levels of symbolic links.\n")
    else:
        (vault.store.root / below).mkdir()
        script = (vault.store.root / "restore.py").read_text()
        beginning = "import pathlib\nreal = pathlib.Path.iterdir\ndef iterdir(path):\n    if path.name == '0':\n"
        beginning += "        raise PermissionError(13, 'Permission denied')\n    return real(path)\n"
        text = script.replace("if __name__", f"{beginning}pathlib.Path.iterdir = iterdir\nif __name__")
        (vault.store.root / "restore.py").write_text(text)
        done = by_script(vault)
        assert "points/0: Permission denied." in done.stderr
        assert done.stdout.startswith(name), "the others are listed"
    assert done.returncode == 1


def test_the_script_says_what_is_wrong_with_a_file_of_a_pass_phrase(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    name = with_point(vault, tmp_path)
    phrase = tmp_path / "phrase"
    phrase.write_text(PHRASE, encoding="utf-8-sig")  # as some editors of Windows keep it
    assert by_script(vault, "--pass-phrase-file", phrase).stdout.startswith(name)
    phrase.write_text(PHRASE, encoding="utf-16")
    done = by_script(vault, "--pass-phrase-file", phrase)
    assert (done.returncode, done.stderr) == (
        1,
        f"{phrase} isn't text in UTF-8. Write the pass phrase into it once more.\n",
    )


def test_the_script_leaves_no_image_of_the_right_size_that_it_could_not_write(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"))
    name = with_point(vault, tmp_path, content_of_disk=random.Random(1).randbytes(600_000))
    (disk,) = read_point(vault, name).disks
    small = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))}
    done = by_script(vault, name, disk, tmp_path / "image", **small)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "The disk: File too large.")
    assert not (tmp_path / "image").exists()
    assert by_script(vault, name, disk, tmp_path / "image").returncode == 0


def test_the_script_runs_without_streams_for_what_it_says(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"))
    name = with_point(vault, tmp_path)
    (disk,) = read_point(vault, name).disks
    closed = f"exec '{sys.executable}' -I '{vault.store.root}/restore.py' '{name}' '{disk}' '{tmp_path}/image' >&- 2>&-"
    assert subprocess.run(["sh", "-c", closed], check=False, timeout=60).returncode == 0
    assert (tmp_path / "image").exists()


def test_what_was_moved_elsewhere_and_linked_is_there(tmp_path):
    """Somebody makes room on a disk: the points of one machine, and a half of the packs, lie on another one."""
    vault = Vault.create(Directory(tmp_path / "vault"))
    name = with_point(vault, tmp_path, content_of_disk=random.Random(1).randbytes(600_000))
    root = vault.store.root
    for folder in (root / "points" / name.partition("/")[0], *(root / "packs").iterdir()):
        folder.rename(tmp_path / f"{folder.name}-elsewhere")
        folder.symlink_to(tmp_path / f"{folder.name}-elsewhere")
    assert point_names(vault) == [name]
    pruned = prune(vault)
    assert (pruned.points, pruned.packs > 0) == (1, True)
    (root / "points" / "round").symlink_to("..")
    assert point_names(vault) == [name]


def test_a_point_that_a_link_leads_to_is_not_gone_while_its_disk_is_away(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"))
    name = with_point(vault, tmp_path)
    path = document(vault, name)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "away")
    (fault,) = verify(vault).faults
    assert str(fault).startswith(f"Point {name}: points/{name}.point is a link to what isn't there.")
    for file in vault.store.root.glob("packs/*/*"):
        os.utime(file, (0, time.time() - 10 * vault.grace))
    for _ in range(3):
        with pytest.raises(PrunedInPart, match="a link to what isn't there"):
            prune(vault)
        for file in vault.store.root.glob("condemned/*"):
            os.utime(file, (0, time.time() - 5 * vault.grace))
    (tmp_path / "away").rename(tmp_path / "elsewhere")
    assert verify(vault).faults == ()
