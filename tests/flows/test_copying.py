"""What a copy step does around the copies themselves."""

import asyncio
import threading
from functools import partial
from types import SimpleNamespace

import pytest

from longshore.blocks.checkpoint import Checkpoint, Identity, is_locked
from longshore.blocks.dirty import Dirty
from longshore.engine.job_context import JobContext
from longshore.errors import Cancelled, CheckpointLocked, NotFound
from longshore.flows.moves import copying
from longshore.flows.moves.copying import Copied, DiskBase, DiskCopy
from longshore.flows.moves.told_changes import Told
from longshore.model.changes import Changed
from longshore.model.extents import Extent
from longshore.model.machine import Disk, Snapshot
from longshore.model.request import Verify
from longshore.model.target import Volume

DISK = Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds] web/web.vmdk", "ds")
BASE = DiskBase("52 1f/7", "copy-2000.manifest", "ab" * 32)


@pytest.fixture
def job(tmp_path):
    state = SimpleNamespace(migration=lambda _: tmp_path)
    said = []
    job = SimpleNamespace(
        id="m-1",
        store=SimpleNamespace(state=state),
        raise_if_cancelled=lambda: None,
        stop=lambda: None,
        parks_for=lambda _error: False,
        said=said,
        say=lambda text, level="information": said.append(text),
        directory=lambda: tmp_path,
    )
    job.retry = partial(JobContext.retry, job)
    return job


def copied(**figures):
    figures = dict.fromkeys(("read", "written", "zeroed", "skipped", "verified", "repaired"), 0) | figures
    return Copied(DISK.key, **figures, seconds=0.1, root_digest="cd" * 32, manifest="sync-2000.manifest")


@pytest.mark.parametrize("dirty", [False, True])
def test_a_disk_without_changes_is_copied_only_if_its_target_was_left_dirty(job, tmp_path, monkeypatch, dirty):
    async def copy(whole, changes):
        assert (whole.base, changes) == (BASE, Changed(()))
        return copied(written=4096)

    monkeypatch.setattr(DiskCopy, "_copy", copy)
    (tmp_path / "sync-2-2000.changes").write_text("[]")
    if dirty:  # by a sync that came to no end
        Dirty(tmp_path / BASE.manifest, BASE.root_digest, "vc/vm-1/2000@s-1", same=True).declare([Extent(0, 4096)])
    volume = Volume("v-1", "web-0", 1 << 30)
    snapshot = Snapshot("s-2", "vm-1", "sync", ())
    sync = {"name": "sync-2", "base": BASE, "told": Told("sync-2-2000.changes"), "verify": Verify.WRITTEN}
    disk_copy = DiskCopy(job=job, disk=DISK, snapshot=snapshot, volume=volume, **sync)
    assert asyncio.run(disk_copy.run()).written == (4096 if dirty else 0)


@pytest.fixture
def elsewhere(tmp_path):
    """The copy of a worker that has died, as long as a file system hasn't noticed that."""
    path = tmp_path / "copy-2000.checkpoint"
    held = Checkpoint.open(path, Identity("s@1", "t", DISK.size, 1 << 20, "all", ""))
    yield held
    if is_locked(path):
        held.close()


@pytest.fixture
def seed(job, elsewhere, monkeypatch):
    """The first copy of a disk; it gets as far as the opening of its source."""

    def opens(*_, **_how):
        assert not is_locked(elsewhere.path), "it was opened for nothing"
        raise NotFound("as far as that")

    monkeypatch.setattr(copying, "open_disk", opens)
    monkeypatch.setattr(copying, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr("longshore.engine.retry.FIRST_PAUSE", 0.01)
    volume, snapshot = Volume("v-1", "web-0", 1 << 30), Snapshot("s-1", "vm-1", "seed", ())
    return DiskCopy(job=job, disk=DISK, snapshot=snapshot, volume=volume, name="copy", verify=Verify.WRITTEN)


def test_the_lock_of_a_dead_workers_copy_is_waited_for_and_that_is_said_once(job, elsewhere, seed):
    threading.Timer(0.3, elsewhere.close).start()
    with pytest.raises(NotFound):
        asyncio.run(seed.run())
    waiting, going_on = job.said
    assert waiting.startswith("Hard disk 1: Its checkpoint is still locked by a copy elsewhere. Waiting")
    assert going_on.startswith("Hard disk 1: The checkpoint is free")


def test_who_waits_for_a_lock_hears_that_the_migration_is_cancelled(job, seed):
    looks = []

    def raise_if_cancelled():
        looks.append(1)
        if len(looks) > 3:
            raise Cancelled("The migration was cancelled.")

    job.raise_if_cancelled = raise_if_cancelled
    with pytest.raises(Cancelled):
        asyncio.run(seed.run())


def test_a_lock_that_stays_ends_the_copy_and_says_what_to_look_for(seed, monkeypatch):
    monkeypatch.setattr(copying, "LOCKED_FOR", 0.05)
    with pytest.raises(CheckpointLocked, match="Another copy is using the checkpoint") as caught:
        asyncio.run(seed.run())
    assert caught.value.code == "checkpoint-locked"
