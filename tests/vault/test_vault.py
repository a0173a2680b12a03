"""What whoever has a vault sees of it: restored by a stranger's means, damaged, locked, served."""

import errno
import json
import os
import random
import re
import secrets
import socket
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import nbd
import pytest
from blake3 import blake3
from small_vault import SIZE, Backup, InBucket, InDirectory, holds, opened, scribble

from longshore.blocks.endpoints import connect
from longshore.errors import Conflict, InvalidInput, NotFound, Unreachable
from longshore.model.point import Hold
from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.errors import Damaged, VaultFull, WriterLost, WrongKey
from longshore.vault.exports import serve_disk, serve_new_disk
from longshore.vault.geometry import BLOCK, Top, TreeEntry
from longshore.vault.holds import delete_point, hold_point
from longshore.vault.keys import add_key, new_recovery_key
from longshore.vault.nbd import serve
from longshore.vault.packs import name_of
from longshore.vault.points import Point, read_point
from longshore.vault.prune import prune
from longshore.vault.sealing import with_own_sum
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from longshore.vault.writers import bases_of, finish, leave, register
from point_in_vault import with_point

PHRASE = "as long as a sentence"


@pytest.fixture(params=[None, PHRASE], ids=["plain", "encrypted"])
def backed_up(request, tmp_path):
    """A vault with a point of a scribbled disk, and what that holds."""
    return made(tmp_path, request.param)


def made(tmp_path, phrase=None, place=None):
    place = place or InDirectory(tmp_path / "vault")
    vault = Vault.create(place.store(), phrase)
    backup = Backup(place, vault.keys, tmp_path, 1)
    backup.open()
    scribble(backup, random.Random(1), 12)
    backup.write(3 * BLOCK, b"a marker of the guest" * 100)
    return vault, backup.finish(), backup.content


def whole(content):
    disk = bytearray(SIZE)
    for number, block in content.items():
        disk[number * BLOCK : number * BLOCK + len(block)] = block
    return bytes(disk)


def stranger(vault, tmp_path, *arguments, modules=True, root=None):
    """The script in the vault, with nothing of ours; without `modules` nothing but Python and the zstd command."""
    (tmp_path / "phrase").write_text(PHRASE + "\n")
    options = ["--pass-phrase-file", str(tmp_path / "phrase")] if vault.encrypted else []
    python = [sys.executable, "-I"] if modules else ["/usr/bin/python3", "-I", "-S"]
    command = [*python, str((root or vault.store.root) / "restore.py"), *arguments, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_stranger_restores_with_the_script_in_the_vault(backed_up, tmp_path):
    vault, name, content = backed_up
    listed = stranger(vault, tmp_path)
    assert listed.stdout.startswith(f"{name} "), listed.stderr
    assert listed.stdout.split()[-2:] == ["web-shop-17", "d"]
    out = tmp_path / "out.raw"
    done = stranger(vault, tmp_path, name, "d", str(out))
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == whole(content)


def test_a_stranger_is_told_in_a_sentence_what_cannot_be_written_or_read(backed_up, tmp_path):
    vault, name, _ = backed_up
    there = tmp_path / "there.raw"
    there.write_bytes(b"somebody's")
    for arguments, said in (
        ((name, "d", str(there)), f"{there}: File exists.\n"),
        ((name, "d", str(tmp_path / "nowhere/out.raw")), f"{tmp_path}/nowhere/out.raw: No such file or directory.\n"),
        (("--vault", str(tmp_path / "gone")), f"{tmp_path}/gone/vault.json: No such file or directory.\n"),
    ):
        done = stranger(vault, tmp_path, *arguments)
        assert (done.returncode, done.stderr) == (1, said)
    assert there.read_bytes() == b"somebody's"


def test_a_stranger_restores_from_a_plain_copy_of_a_bucket(s3, tmp_path):
    """And Longshore itself goes on with it as with any vault in a directory."""
    place = InBucket(s3, f"s3://vaults/{secrets.token_hex(4)}")
    vault, name, content = made(tmp_path, PHRASE, place)
    root, out = place.copied_to(tmp_path), tmp_path / "out.raw"
    done = stranger(vault, tmp_path, name, "d", str(out), root=root)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == whole(content)
    assert holds(Vault.open(Directory(root), "read", PHRASE), name, content)


def test_a_stranger_needs_no_module_for_a_vault_in_clear(tmp_path):
    vault, name, content = made(tmp_path)
    out = tmp_path / "out.raw"
    done = stranger(vault, tmp_path, name, "d", str(out), modules=False)
    assert done.returncode == 0, done.stderr
    assert "comparing digests takes longer" in done.stderr
    assert out.read_bytes() == whole(content)


def test_nothing_of_the_guest_is_in_an_encrypted_vault_in_clear(tmp_path):
    """Neither what it holds, packed or not, nor the names of blocks that others may know, nor what it is called."""
    noise = random.Random(7).randbytes(BLOCK)
    text = b"a marker of the guest\n".ljust(BLOCK, b".")
    marks = [noise[100:132], b"marker of the guest", b"web-shop-17", b"00:50:56:00:00:01", b"VM Network", b"audit-2026"]
    marks += [blake3(noise).digest(), blake3(text).digest()]

    def stored(phrase):
        directory = tmp_path / ("sealed" if phrase else "clear")
        vault = Vault.create(Directory(directory), phrase)
        name = with_point(vault, tmp_path, "web-shop-17", content_of_disk=noise + text)
        hold_point(vault, name, Hold("audit-2026", None))
        if phrase:
            add_key(vault, new_recovery_key(), "recovery")
        return b"".join(path.name.encode() + path.read_bytes() for path in directory.rglob("*") if path.is_file())

    clear, sealed = stored(None), stored(PHRASE)
    assert [mark for mark in marks if mark in clear] == marks
    assert [mark for mark in marks if mark in sealed] == []


def test_a_wrong_pass_phrase_is_said_plainly(tmp_path):
    vault, _, _ = made(tmp_path, PHRASE)
    root = vault.store.root
    with pytest.raises(WrongKey, match="this pass phrase opens none of its keys"):
        Vault.open(Directory(root), "read", "another one")
    with pytest.raises(InvalidInput, match="is encrypted"):
        Vault.open(Directory(root), "read")
    assert Vault.open(Directory(root), "write", PHRASE).key == vault.key
    (tmp_path / "wrong").write_text("wrong\n")
    said = subprocess.run(
        [sys.executable, str(root / "restore.py"), "--pass-phrase-file", str(tmp_path / "wrong")],
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (1, "This pass phrase opens none of the vault's keys.\n")


def test_a_flipped_bit_is_found_and_never_handed_out(backed_up, tmp_path):
    """Wherever in a pack's records, of blocks or nodes: but for what changes nothing, as zstd's own flags."""
    vault, name, content = backed_up
    assert verify(vault).faults == ()
    chance, found = random.Random(3), 0
    for _ in range(10):
        pack = chance.choice(sorted(vault.store.root.glob("packs/*/*.pack")))
        good = pack.read_bytes()
        count = int.from_bytes(good[-12:-8], "little")
        at = chance.randrange(40, len(good) - 12 - 44 * count)
        pack.write_bytes(good[:at] + bytes((good[at] ^ 1 << chance.randrange(8),)) + good[at + 1 :])
        faults = verify(vault).faults
        if faults:
            found += 1
            assert (faults[0].machine, faults[0].point, faults[0].disk) == ("web-shop-17", name, "d")
            start, end = faults[0].offset, faults[0].offset + faults[0].length
            assert f"{name} of web-shop-17, disk d, bytes {start} to {end}: " in str(faults[0])
            with pytest.raises(Damaged):
                holds(vault, name, content)
        else:
            assert holds(vault, name, content)
        pack.write_bytes(good)
    assert found >= 8


def test_a_stranger_is_told_which_bytes_of_which_disk_of_which_machine_are_damaged(backed_up, tmp_path):
    """Of a pack: a bit, all that is after that, all of it."""
    vault, name, _ = backed_up
    pack = next(vault.store.root.glob("packs/*/*.pack"))
    good = pack.read_bytes()
    for damage in (good[:48] + bytes((good[48] ^ 1,)) + good[49:], good[:60], None):
        pack.unlink() if damage is None else pack.write_bytes(damage)
        done = stranger(vault, tmp_path, name, "d", str(tmp_path / "out.raw"))
        assert done.returncode == 1
        told = (
            rf"(Point {name} of web-shop-17, disk d, bytes \d+ to \d+: (the )?pack [0-9a-f]{{64}} .*\n)+"
            rf"{tmp_path}/out\.raw isn't whole: \d+ bytes of it are zeroes, .*\n"
        )
        assert re.fullmatch(told, done.stderr)
        (tmp_path / "out.raw").unlink()


@pytest.mark.parametrize("modules", [True, False])
def test_a_stranger_has_all_that_is_not_damaged_and_is_told_each_range_that_is(tmp_path, modules):
    """A flipped bit, a pack that is gone with two blocks beside each other, and a bad sector of the vault's disk."""
    vault, noise = Vault.create(Directory(tmp_path / "vault")), random.Random(4)
    content = bytearray(noise.randbytes(9 * BLOCK - 1000))
    register(vault, "w1", ())
    disk = NewDisk(vault, Top(len(content), None), tmp_path / "journal", pack_size=2 * BLOCK + 1000)
    disk.write(0, content)
    top = disk.finish()
    at = {number: disk.entry(number) for number in range(9)}
    disk.close()
    machine = {"machine": {"name": "web-shop-17"}}
    name = "a/20261123T000000000Z-00000000"
    finish(vault, "w1", Point(name, datetime.now(UTC), {"d": top}, machine))
    packs = {number: vault.store.root / name_of(entry.pack) for number, entry in at.items()}
    assert (packs[2], packs[4]) == (packs[3], packs[5]) and len(set(packs.values())) >= 4
    packs[2].unlink()
    packs[5].unlink()
    packs[5].mkdir()  # as unreadable as a bad sector is
    flipped = bytearray(packs[8].read_bytes())
    flipped[at[8].offset + 100] ^= 1
    packs[8].write_bytes(flipped)
    lost = {(2, 4), (4, 6), (8, 9)}
    done = stranger(vault, tmp_path, name, "d", str(tmp_path / "out.raw"), modules=modules)
    assert done.returncode == 1
    for first, end in lost:
        start, stop = first * BLOCK, min(end * BLOCK, len(content))
        assert done.stderr.count(f"Point {name} of web-shop-17, disk d, bytes {start} to {stop}: ") == 1, done.stderr
        content[start:stop] = bytes(stop - start)
    assert (tmp_path / "out.raw").read_bytes() == content
    assert f"{sum(min(end * BLOCK, len(content)) - first * BLOCK for first, end in lost)} bytes of it" in done.stderr


def test_a_stranger_sees_the_other_points_where_one_is_damaged(backed_up, tmp_path):
    vault, name, _ = backed_up
    broken = vault.store.root / f"points/{name.rpartition('/')[0]}/20261101T000000000Z-00000000.point"
    broken.write_bytes((vault.store.root / f"points/{name}.point").read_bytes()[:-9])
    listed = stranger(vault, tmp_path)
    assert listed.stdout.startswith(f"{name} ")
    assert listed.returncode == 1
    assert broken.name in listed.stderr
    assert "1 point(s) or folder(s) of points can't be read." in listed.stderr


@pytest.mark.long
def test_whatever_bit_of_a_map_is_flipped_nothing_is_pruned(tmp_path):
    """It could have hidden the pack that a block is in, and that pack would have gone."""
    vault, noise = Vault.create(Directory(tmp_path / "vault")), random.Random(4)
    register(vault, "w1", ())
    disk = NewDisk(vault, Top(3 * BLOCK, None), tmp_path / "journal", pack_size=BLOCK)
    for number in range(3):  # each in a pack of its own, and so is the node, in which nothing can be packed
        disk.write(number * BLOCK, noise.randbytes(BLOCK))
    top = disk.finish()
    disk.close()
    finish(vault, "w1", Point("a/20261123T000000000Z-00000000", datetime.now(UTC), {"d": top}, {}))
    leave(vault, "w1")
    InDirectory(vault.store.root).days_pass(3 * vault.grace)
    pack = vault.store.root / name_of(top.entry.pack)
    good, start = pack.read_bytes(), top.entry.offset
    for at in range(start, start + top.entry.length):
        for bit in range(8):
            pack.write_bytes(good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :])
            if verify(vault, data=False).faults:
                with pytest.raises(Damaged):
                    prune(vault, dry_run=True)
            else:  # a flag of zstd's that changes nothing
                assert prune(vault, dry_run=True).condemned == 0


def test_a_changed_document_and_a_missing_pack_are_said(backed_up):
    vault, name, _ = backed_up
    pack = next(vault.store.root.glob("packs/*/*.pack"))
    pack.rename(pack.with_suffix(".away"))
    assert any("is gone" in str(fault) for fault in verify(vault, data=False).faults)
    with pytest.raises(Damaged, match="gone"):
        prune(vault)
    point = vault.store.root / f"points/{name}.point"
    point.write_bytes(point.read_bytes().replace(b"e", b"f", 1))
    (fault,) = verify(vault).faults
    assert str(fault).startswith(f"Point {name}: points/{name}.point isn't what was written")


@pytest.mark.parametrize("use", ["read", "write", "prune"])
def test_what_a_later_release_needs_is_refused_for_that_use_only(backed_up, use, tmp_path):
    vault, name, content = backed_up
    phrase = PHRASE if vault.encrypted else None
    path = vault.store.root / "vault.json"
    told = json.loads(path.read_bytes())
    told["features"][use].append("reference-counts")
    path.write_bytes(with_own_sum(told))
    for other in ("read", "write", "prune"):
        if other != use:
            assert Vault.open(vault.store, other, phrase).key == vault.key
    with pytest.raises(InvalidInput, match=rf"reference-counts.*later release to {use} it"):
        Vault.open(vault.store, use, phrase)
    with pytest.raises(InvalidInput, match="reference-counts"):  # as the process that serves its disks does
        Vault.with_key(vault.store, use, vault.key)
    out = tmp_path / "out.raw"
    done = stranger(vault, tmp_path, name, "d", str(out))
    if use == "read":
        assert (done.returncode, out.exists(), "reference-counts" in done.stderr) == (1, False, True)
    else:
        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == whole(content)


@pytest.mark.parametrize("change", [{"format": "longshore vault 2"}, {"block_size": 1 << 20}, {"encryption": "rot13"}])
def test_what_is_another_format_is_refused_whole(tmp_path, change):
    vault, _, _ = made(tmp_path)
    path = vault.store.root / "vault.json"
    path.write_bytes(with_own_sum(json.loads(path.read_bytes()) | change))
    for use in ("read", "write", "prune"):
        with pytest.raises(InvalidInput, match="doesn't know"):
            Vault.open(vault.store, use)


def test_nothing_is_made_where_something_is(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(Conflict, match="isn't an empty directory"):
        Vault.create(Directory(tmp_path / "full"))
    with pytest.raises(InvalidInput, match="isn't there"):
        Vault.create(Directory(tmp_path / "no/where"))
    assert not (tmp_path / "no").exists()
    with pytest.raises(InvalidInput, match="one line"):
        Vault.create(Directory(tmp_path / "vault"), "two\nlines")
    assert not (tmp_path / "vault").exists()
    with pytest.raises(NotFound, match="no vault in"):
        Vault.open(Directory(tmp_path), "read")


@pytest.mark.parametrize("name", ["../x", "a/../b", "a", "a/b/c", "/etc/passwd", "a/.b", ""])
def test_no_name_of_a_point_leads_elsewhere(tmp_path, name):
    vault = Vault.create(Directory(tmp_path / "vault"))
    with pytest.raises(InvalidInput):
        read_point(vault, name)
    with pytest.raises(InvalidInput):
        delete_point(vault, name)


def test_a_second_backup_stores_what_differs_and_deleting_rewrites_nothing(tmp_path):
    vault, name, content = made(tmp_path)
    before = {path: path.stat().st_ino for path in vault.store.root.glob("packs/*/*")}
    again = Backup(InDirectory(vault.store.root), vault.keys, tmp_path, 2)
    again.based_on(name)
    again.open()
    again.content = type(content)(content)
    for number in range(SIZE // BLOCK):  # all of it is written again
        again.disk.write(number * BLOCK, content.get(number, bytes(BLOCK)))
    again.write(7, b"a word")
    second = again.finish()
    new = [path for path in vault.store.root.glob("packs/*/*") if path not in before]
    assert sum(path.stat().st_size for path in new) < 2 * BLOCK
    delete_point(vault, name)
    prune(vault)
    assert all(path.stat().st_ino == inode for path, inode in before.items())
    assert holds(vault, second, again.content)


def test_a_copy_of_many_points_says_what_it_reads(tmp_path):
    """There are 300 machines with three disks each, and 30 points of each machine."""
    vault = Vault.create(Directory(tmp_path / "v"))
    tops = tuple(
        Top(1 << 40, TreeEntry(number.to_bytes(32), number.to_bytes(32), 1 << 23, 5000)) for number in range(27_000)
    )
    register(vault, "copy", tops)
    assert register(vault, "copy", ()) == bases_of(vault, "copy") == tops


def test_a_writer_that_was_taken_for_dead_writes_no_point(tmp_path):
    vault, _, _ = made(tmp_path)
    backup = Backup(InDirectory(vault.store.root), vault.keys, tmp_path, 2)
    backup.open()
    backup.write(0, b"late")
    leave(vault, backup.id)
    with pytest.raises(WriterLost, match="Start it again"):
        backup.finish()
    backup.close()
    assert verify(vault).points == 1


def test_after_one_pack_could_not_be_kept_no_flush_says_that_all_is_there(tmp_path):
    """Whoever flushes may be another than whoever was told that the vault is full."""
    vault, _, _ = made(tmp_path)
    backup = Backup(InDirectory(vault.store.root), vault.keys, tmp_path, 2)
    backup.open()
    scribble(backup, random.Random(2), 10)
    backup.flush()
    store, keep = backup.vault.store, backup.vault.store.create

    def full_once(name, data):
        store.create = keep
        raise VaultFull("The vault is full.")

    store.create = full_once
    noise = random.Random(3)
    with pytest.raises(VaultFull):
        for number in range(40):  # some ten packs
            backup.disk.write(number * BLOCK, noise.randbytes(BLOCK))
    for _ in range(2):
        with pytest.raises(VaultFull):
            backup.disk.flush()
    backup.close()
    backup.begin()
    backup.open()
    backup.content = backup.safe
    name = backup.finish()
    assert verify(vault).faults == ()
    assert holds(vault, name, backup.safe)


def test_what_is_written_to_a_directory_is_not_held_in_memory(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    size = 256 * BLOCK
    register(vault, "w1", ())
    disk, noise = NewDisk(vault, Top(size, None), tmp_path / "journal"), random.Random(1)
    tracemalloc.start()
    try:
        for number in range(256):
            disk.write(number * BLOCK, noise.randbytes(BLOCK))
        disk.flush()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        disk.close()
    assert most < 16 * BLOCK
    assert not list(tmp_path.rglob(".new-*"))


def test_a_served_disk_that_is_full_answers_what_comes_next(tmp_path):
    """The rest of the request that failed isn't taken for another one."""
    vault = Vault.create(Directory(tmp_path / "vault"))
    disk = NewDisk(vault, Top(SIZE, None), tmp_path / "journal")
    write = disk.write

    def full_from_the_second_block(offset, data):
        if BLOCK <= offset < 3 * BLOCK:
            raise VaultFull("The vault is full.")
        write(offset, data)

    disk.write = full_from_the_second_block
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        serving = threading.Thread(target=serve, args=(listening, disk), daemon=True)
        serving.start()
        handle = nbd.NBD()
        handle.connect_unix(str(tmp_path / "socket"))
        with pytest.raises(nbd.Error) as told:
            handle.pwrite(b"x" * (5 * BLOCK + 7), 100)
        assert told.value.errnum == errno.ENOSPC
        handle.pwrite(b"y" * BLOCK, 4 * BLOCK)
        assert handle.pread(BLOCK, 4 * BLOCK) == b"y" * BLOCK
        handle.shutdown()
        listening.shutdown(socket.SHUT_RDWR)
        serving.join(10)
        assert not serving.is_alive()
    disk.close()


def test_a_share_that_fails_is_said_and_nothing_is_taken_for_gone(tmp_path, monkeypatch):
    """A folder that can't be listed isn't an empty one: what is named there would be pruned."""
    vault, name, content = made(tmp_path)
    real = os.scandir

    def fails(path):
        if "points" in str(path):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(path)

    monkeypatch.setattr(os, "scandir", fails)
    with pytest.raises(Unreachable, match="can't be used: Stale file handle"):
        prune(vault)
    monkeypatch.setattr(os, "scandir", real)
    assert not list(vault.store.names("condemned"))
    assert holds(vault, name, content)


def test_while_a_pack_is_being_stored_the_disk_is_read_and_written(tmp_path, monkeypatch):
    """A flush takes as long as the storage does: nobody is told meanwhile that what is on its way there is gone."""
    vault, _, _ = made(tmp_path)
    storing, may_end = threading.Event(), threading.Event()
    create = Directory.create

    def create_slowly(self, name, data):
        if name.startswith("packs/"):
            storing.set()
            assert may_end.wait(10)
        create(self, name, data)

    monkeypatch.setattr(Directory, "create", create_slowly)
    register(vault, "w", ())
    disk = NewDisk(vault, Top(SIZE, None), tmp_path / "new")
    before, after = random.Random(1).randbytes(BLOCK), random.Random(2).randbytes(BLOCK)
    disk.write(0, before)
    with ThreadPoolExecutor(1) as flushing:
        flushed = flushing.submit(disk.flush)
        assert storing.wait(10)
        try:
            assert disk.read(0, BLOCK) == before
            disk.write(BLOCK, after)
        finally:
            may_end.set()
        flushed.result()
    assert disk.read(0, 2 * BLOCK) == before + after
    disk.close()


def test_neighbours_in_a_bucket_are_read_at_once(tmp_path, s3, monkeypatch):
    """A bucket is far away: what is asked for together is one answer, not one for each 128 KiB."""
    place = InBucket(s3, "s3://vaults/neighbours")
    vault = Vault.create(place.store(), None)
    backup = Backup(place, vault.keys, tmp_path, 1)
    backup.open()
    backup.write(0, random.Random(1).randbytes(3 * BLOCK))  # packs of the tests hold that
    name, content = backup.finish(), backup.content
    asked = []
    read_part = type(vault.store).read_part
    monkeypatch.setattr(type(vault.store), "read_part", lambda *what: asked.append(what[3]) or read_part(*what))
    disk = PointDisk(vault, read_point(vault, name).top("d"))
    assert disk.read(0, 3 * BLOCK) == b"".join(content[number] for number in range(3))
    assert len([length for length in asked if length > BLOCK // 2]) == 1
    asked.clear()
    assert verify(vault).faults == ()
    assert len([length for length in asked if length > BLOCK // 2]) == 1


def test_two_points_never_share_a_name(tmp_path):
    vault, name, _ = made(tmp_path)
    register(vault, "w9", ())
    other = Point(name, datetime.now(UTC), {"d": Top(BLOCK, None)}, {})
    with pytest.raises(Conflict):
        finish(vault, "w9", other)
    assert read_point(vault, name).top("d").size == SIZE


def test_what_was_backed_up_is_read_back_by_many_at_once(tmp_path, monkeypatch):
    """A bucket answers each request late: who verifies a backup into it waits for several at the same time."""
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    register(vault, "w1", ())
    disk = NewDisk(vault, Top(4 * BLOCK, None), tmp_path / "journal")
    noise = random.Random(9).randbytes(4 * BLOCK)
    disk.write(0, noise)
    disk.flush()
    assert disk.entry(0) is not None
    asked, real = threading.Barrier(2, timeout=10), Directory.read_part

    def read_part(store, name, offset, length):
        if length > BLOCK // 2:  # a block
            asked.wait()
        return real(store, name, offset, length)

    monkeypatch.setattr(Directory, "read_part", read_part)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda number: disk.read(number * BLOCK, BLOCK), (0, 1)))
    assert b"".join(found) == noise[: 2 * BLOCK]
    disk.close()


def test_disks_are_served_over_nbd(tmp_path):
    """By a process of its own: written over several connections, read back, what is zero told, its point read-only."""
    vault = Vault.create(Directory(tmp_path / "vault"), PHRASE)
    register(vault, "w1", ())
    chance = random.Random(5)
    noise = chance.randbytes(3 * BLOCK + 1)
    with serve_new_disk(vault, Top(SIZE, None), tmp_path / "journal", "w1") as export:
        first, second = connect(export.uri, extents=True), connect(export.uri)
        first.pwrite(noise, 1000)
        second.pwrite(b"end", SIZE - 3)
        second.zero(BLOCK, BLOCK)
        first.flush()
        assert first.pread(4, 998) == b"\0\0" + noise[:2]
        with pytest.raises(nbd.Error):
            first.pread(10, SIZE - 5)
        assert second.pread(3, SIZE - 3) == b"end"
        first.shutdown()
        second.shutdown()
    disk = NewDisk(vault, Top(SIZE, None), tmp_path / "journal")
    top = disk.finish()
    disk.close()
    expected = bytearray(SIZE)
    expected[1000 : 1000 + len(noise)] = noise
    expected[BLOCK : 2 * BLOCK] = bytes(BLOCK)
    expected[SIZE - 3 :] = b"end"
    served = PointDisk(opened(InDirectory(vault.store.root), vault.keys), top)
    assert served.read(0, SIZE) == bytes(expected)
    with serve_disk(vault, top) as export:
        reader = connect(export.uri, extents=True)
        assert reader.pread(1 << 20, 0) == bytes(expected[: 1 << 20])
        told = []
        reader.block_status(SIZE, 0, lambda _name, _offset, entries, _error: told.extend(entries))
        assert told == [BLOCK, 0, BLOCK, 3, 2 * BLOCK, 0, SIZE - 4 * BLOCK - 5000, 3, 5000, 0] or sum(told[::2]) == SIZE
        with pytest.raises(nbd.Error):
            reader.pwrite(b"x", 0)
        reader.shutdown()
