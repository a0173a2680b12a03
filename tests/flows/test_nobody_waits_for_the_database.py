"""Where several jobs share an event loop, no step of one asks the database on it: all others would wait for that."""

import asyncio
import sys
from contextlib import contextmanager

import pytest
from small_clouds import MIB
from test_failbacks import fail_over
from test_looked_at_beforehand import move

from longshore.flows.moves import hooks
from longshore.model.status import Status
from longshore.store.database import Database

pytestmark = pytest.mark.long
__all__ = ["move"]


@pytest.fixture
def asked(monkeypatch):
    """The functions of steps that have asked the database on the event loop."""
    asked, session = set(), Database.session

    @contextmanager
    def noted(database, **how):
        if asyncio._get_running_loop() is not None:
            frame = sys._getframe()
            while frame is not None and "/longshore/flows/" not in frame.f_code.co_filename:
                frame = frame.f_back
            if frame is not None:
                asked.add(frame.f_code.co_qualname)
        with session(database, **how) as opened:
            yield opened

    monkeypatch.setattr(Database, "session", noted)
    return asked


async def did(*_asked):
    return {"done": True}, 0


@pytest.fixture
def playbook(tmp_path, monkeypatch):
    monkeypatch.setattr(hooks, "ask", did)
    path = tmp_path / "any.yml"
    path.write_text("[]")
    return str(path)


def test_by_playbooks_copies_and_conversions_of_a_move(move, playbook, asked):
    one = move(before=playbook, after=playbook, landing="convert")
    assert one.record.status is Status.DONE, one.record.error
    assert asked == set()


def test_by_the_digests_of_what_a_failback_writes_to(protect, asked):
    replica = protect(landing="as-is", boot_timeout=0.5)
    fail_over(replica)
    (replica.world.root / "server-forgets").touch()
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert asked == set()


def test_by_what_freezes_for_a_backup(backed_up, playbook, asked):
    backup = backed_up()
    backup.world.guest_writes("2000", 2 * MIB, b"written")
    backup.back_up(before=playbook, after=playbook)
    assert asked == set()
