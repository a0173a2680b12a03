"""What points of other machines have isn't stored again, and never trusted more than it deserves."""

import random

import pytest
from small_vault import LEAF, SIZE, Backup, InDirectory, holds, opened

from longshore.vault.disks import NewDisk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.holds import delete_point
from longshore.vault.known_blocks import KnownBlocks
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from longshore.vault.verify import verify

PHRASE = "as long as a sentence"


@pytest.fixture(params=[None, PHRASE], ids=["plain", "encrypted"])
def place(request, tmp_path):
    place = InDirectory(tmp_path / "vault")
    return place, Vault.create(place.store(), request.param)


def image(seed=3):
    """What a disk that was made of an image holds."""
    return random.Random(seed).randbytes(40 * BLOCK)


def written(place, vault, tmp_path, number, data, *, known=None, offset=0):
    backup = Backup(place, vault.keys, tmp_path, number, f"m{number}")
    if known:
        backup.knowing(known)
    backup.open()
    backup.write(offset, data)
    backup.flush()
    stored = backup.disk.stored
    return backup.finish(), backup.content, stored


def test_a_second_machine_of_an_image_stores_what_differs(place, tmp_path):
    """At other places too; and when the first one's point is deleted and pruned, it is whole."""
    place, vault = place
    first, _, all_of_it = written(place, vault, tmp_path, 1, image())
    own = bytearray(image())
    own[5 * BLOCK : 5 * BLOCK + 8] = b"hostname"
    second, content, stored = written(place, vault, tmp_path, 2, bytes(own), known=first, offset=64 * BLOCK)
    assert all_of_it > 40 * BLOCK
    assert stored < 2 * BLOCK, "one block, and the map"
    delete_point(vault, first)
    for _ in range(3):
        place.days_pass()
        prune(vault)
    assert holds(opened(place, vault.keys), second, content)
    assert verify(vault).faults == ()


def test_all_of_a_large_disk_is_known(place, tmp_path):
    _, vault = place
    data = [random.Random(leaf).randbytes(BLOCK) for leaf in range(40)]
    top, stored = Top(len(data) * LEAF, None), []
    for name in ("first", "second"):
        known = None if top.entry is None else KnownBlocks(vault, [top])
        disk = NewDisk(vault, Top(top.size, None), tmp_path / name, known=known)
        for leaf, block in enumerate(data):
            disk.write(leaf * LEAF, block)
        top = disk.finish()
        stored.append(disk.stored)
        disk.close()
    assert stored[0] > len(data) * BLOCK
    assert stored[1] < BLOCK


def test_what_is_damaged_where_it_is_known_is_stored_anew(place, tmp_path):
    place, vault = place
    first, _, _ = written(place, vault, tmp_path, 1, image())
    for pack in vault.store.root.glob("packs/*/*"):
        data = bytearray(pack.read_bytes())
        if len(data) > 3 * BLOCK:
            for at in range(BLOCK, len(data) - BLOCK, BLOCK):
                data[at] ^= 1
            pack.write_bytes(data)
    second, content, stored = written(place, vault, tmp_path, 2, image(), known=first)
    assert 0 < stored <= SIZE
    assert holds(opened(place, vault.keys), second, content)
    assert [fault for fault in verify(vault).faults if second in str(fault)] == []
    assert verify(vault).faults != ()
