"""What a person sees while a migration runs."""

import re
from datetime import datetime

import pytest

from longshore.cli.progress import _Bars, _Lines, watch
from longshore.errors import LongshoreError
from longshore.model.request import MigrationRequest
from longshore.service.schemas import DiskProgress, Event, Migration

STRANDED = "No worker is alive. It goes on as soon as one is: longshore worker."
AT = datetime(2026, 11, 20, 8, 0, 0)
MIB = 1 << 20


def disk(state, done=0, verified=0, digest=None):
    progress = {
        "done": done,
        "total": 4 * MIB,
        "verified": verified,
        "to_verify": 4 * MIB,
        "rate": 1.5 * MIB,
        "eta": 65,
    }
    return DiskProgress(
        key="2000",
        position=0,
        label="Hard disk 1",
        size=4 * MIB,
        state=state,
        progress=None if state == "waiting" else progress,
        volume_id=None,
        root_digest=digest,
    )


def migration(status, disk_, interrupted=False):
    nothing = dict.fromkeys(
        ["error", "error_code", "started_at", "finished_at", "source_off_at", "target_up_at", "server_id", "result"]
    )
    return Migration(
        id="m",
        machine_name="web",
        machine_ref="vm-1",
        source="vc",
        target="cloud",
        request=MigrationRequest(),
        status=status,
        interrupted=interrupted,
        phase="copying",
        cancel_requested=False,
        cutover_requested=False,
        plan=None,
        wave=None,
        syncs=[],
        created_at=AT,
        disks=[disk_],
        **nothing,
    )


STORY = [
    migration("queued", disk("waiting")),
    migration("running", disk("copying", done=MIB)),
    migration("running", disk("verifying", done=4 * MIB, verified=2 * MIB)),
    migration("done", disk("done", done=4 * MIB, verified=4 * MIB, digest="ab" * 32)),
]


class Client:
    """Tells the story one look after the other."""

    def __init__(self, story):
        self.story = list(story)

    def migration(self, _id):
        return self.story.pop(0) if len(self.story) > 1 else self.story[0]

    def events(self, _id, after):
        return [Event(id=1, at=AT, level="warning", phase="copying", text="A [word] of warning.")] if after < 1 else []


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("longshore.cli.progress._POLL", 0.0)
    monkeypatch.setattr("longshore.cli.progress._LINE_EVERY", 0.0)


def test_lines_tell_events_progress_with_rate_and_time_left_and_the_end(capsys):
    assert watch(Client(STORY), "m", plain=True).status == "done"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "08:00:00  copying          warning: A [word] of warning.\n" in shown.err
    assert "Hard disk 1: 1.0 MiB of 4.0 MiB (25 %), 1.5 MiB/s, 1 min 5 s left" in shown.err
    assert "verifying        Hard disk 1: 2.0 MiB of 4.0 MiB (50 %)" in shown.err
    assert f"Hard disk 1: all of 4.0 MiB, root digest {'ab' * 32}" in shown.err


def test_bars_are_drawn_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert watch(Client(STORY), "m", plain=False).status == "done"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "A [word] of warning." in shown.err
    assert "Hard disk 1 done" in shown.err
    assert "4.0 MiB of 4.0 MiB" in shown.err


def test_a_warm_migration_shows_what_had_changed_and_then_how_long_it_is_down(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("longshore.cli.progress._POLL", 0.3)  # it is drawn ten times a second
    sync = {"number": 1, "at": "2026-11-20T08:00:00", "seconds": 12.0, "bytes_changed": 3 * MIB, "final": False}
    waiting = migration("running", disk("done")).model_copy(update={"phase": "waiting", "syncs": [sync]})
    off = waiting.model_copy(update={"phase": "last-sync", "downtime_seconds": 0.4})
    watch(Client([waiting, off, STORY[-1]]), "m", plain=False)
    shown = capsys.readouterr().err
    assert "waiting" in shown
    assert "last sync: 3.0 MiB changed, 12 s" in shown
    assert re.search(r"down for \d+ s", shown)


def test_an_engine_that_is_gone_ends_the_watching(capsys, monkeypatch):
    monkeypatch.setattr("longshore.cli.progress._ENGINE_START", 0.0)
    broken = migration("running", disk("copying"), interrupted=True)
    assert watch(Client([broken, broken]), "m", plain=True).interrupted


@pytest.mark.parametrize("plain", [True, False])
def test_why_nobody_takes_it_is_said_once(capsys, monkeypatch, plain):
    monkeypatch.setattr("sys.stderr.isatty", lambda: not plain)
    waits = migration("queued", disk("waiting")).model_copy(update={"stranded": STRANDED})

    class Herald(Client):
        looks = 0

        def events(self, _id, after):
            """The workers say it, too, some time later."""
            self.looks += 1
            told = self.looks > 2 and not after
            return [Event(id=1, at=AT, level="warning", phase="stranded", text=STRANDED)] if told else []

    watch(Herald([waits, waits, waits, waits, STORY[-1]]), "m", plain=plain)
    assert capsys.readouterr().err.count("No worker is alive.") == 1


class Away(Client):
    """No answer to the second and third question."""

    def __init__(self, story, code="unreachable"):
        super().__init__(story)
        self.code = code
        self.asked = 0

    def migration(self, id_):
        self.asked += 1
        if self.asked in (2, 3):
            raise LongshoreError("The database doesn't answer.", code=self.code)
        return super().migration(id_)


def test_a_server_that_does_not_answer_is_asked_again_and_that_is_said(capsys, monkeypatch):
    monkeypatch.setattr("longshore.cli.asking._PAUSE", 0.0)
    for code, terminal in (("unreachable", False), ("identity-unavailable", True)):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        assert watch(Away(STORY, code), "m", plain=False).status == "done"
        shown = capsys.readouterr().err
        assert shown.count("The database doesn't answer. Asking again") == 1
        assert shown.count("There is an answer again, after 0 s.") == 1


def test_what_no_second_question_changes_ends_the_watching_and_so_does_a_server_that_stays_away(monkeypatch):
    with pytest.raises(LongshoreError):
        watch(Away(STORY, "not-found"), "m", plain=True)
    monkeypatch.setattr("longshore.cli.asking._LONGEST", 0.0)
    with pytest.raises(LongshoreError):
        watch(Away(STORY), "m", plain=True)


def test_both_views_stand_an_end_by_ctrl_c(monkeypatch):
    class Interrupted(Client):
        def migration(self, _id):
            raise KeyboardInterrupt

    for view in (_Lines, _Bars):
        monkeypatch.setattr("sys.stderr.isatty", lambda view=view: view is _Bars)
        with pytest.raises(KeyboardInterrupt):
            watch(Interrupted([]), "m", plain=False)
