"""What a copy step does around the copies themselves."""

import asyncio
from types import SimpleNamespace

import pytest

from longshore.blocks.dirty import Dirty
from longshore.flows import copying
from longshore.flows.copying import Copied, DiskBase, copier
from longshore.model.changes import Changed
from longshore.model.extents import Extent
from longshore.model.machine import Disk, Snapshot
from longshore.model.request import Verify
from longshore.model.target import Volume

DISK = Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds] web/web.vmdk", "ds")
BASE = DiskBase("52 1f/7", "copy-2000.manifest", "ab" * 32)


@pytest.fixture
def journey(tmp_path):
    state = SimpleNamespace(migration=lambda _: tmp_path)
    said = []
    return SimpleNamespace(
        id="m-1",
        store=SimpleNamespace(state=state),
        go_on=lambda: None,
        stop=lambda: None,
        said=said,
        say=lambda text, level="information": said.append(text),
    )


def copied(**figures):
    figures = dict.fromkeys(("read", "written", "zeroed", "skipped", "verified", "repaired"), 0) | figures
    return Copied(DISK.key, **figures, seconds=0.1, root_digest="cd" * 32, manifest="sync-2000.manifest")


@pytest.mark.parametrize("dirty", [False, True])
def test_a_disk_without_changes_is_copied_only_if_its_target_was_left_dirty(journey, tmp_path, monkeypatch, dirty):
    async def copy(_self, base, changes):
        assert (base, changes) == (BASE, Changed(()))
        return copied(written=4096)

    monkeypatch.setattr(copying._Work, "copy", copy)
    monkeypatch.setattr(copying._Work, "changes", lambda _self, _base: Changed(()))
    if dirty:  # by a sync that came to no end
        Dirty(tmp_path / BASE.manifest, BASE.root_digest, "vc/vm-1/2000@s-1", same=True).declare([Extent(0, 4096)])
    volume = Volume("v-1", "web-0", 1 << 30)
    snapshot = Snapshot("s-2", "vm-1", "sync", ())
    work = copier(journey, DISK, snapshot, volume, name="sync-2", base=BASE, verify=Verify.WRITTEN)
    assert asyncio.run(work()).written == (4096 if dirty else 0)
