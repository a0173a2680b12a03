"""What a person sees while a migration runs."""

import re
import time
from datetime import datetime

import pytest

from longshore.api.schemas import DiskProgress, Event, Migration
from longshore.cli.plugin import as_typed
from longshore.cli.progress import _Bars, _Lines, watch
from longshore.errors import LongshoreError
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.status import Status

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
        type="cold",
        landing="auto",
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


def test_an_event_names_commands_as_one_types_them_here(capsys):
    class Waiting(Client):
        def events(self, _id, after):
            text = "It waits: longshore migration cutover m."
            return [Event(id=1, at=AT, level="information", phase="waiting", text=text)] if after < 1 else []

    watch(Waiting(STORY), "m", plain=True, as_typed=as_typed)
    assert "waiting          It waits: openstack migration cutover m.\n" in capsys.readouterr().err


def test_lines_tell_events_progress_with_rate_and_time_left_and_the_end(capsys):
    assert watch(Client(STORY), "m", plain=True).status == "done"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "08:00:00Z  copying          warning: A [word] of warning.\n" in shown.err
    assert "Hard disk 1: 1.0 MiB of 4.0 MiB (25 %), 1.5 MiB/s, 1 min 5 s left" in shown.err
    assert "verifying        Hard disk 1: 2.0 MiB of 4.0 MiB (50 %)" in shown.err
    assert f"Hard disk 1: all of 4.0 MiB, root digest {'ab' * 32}" in shown.err


def test_a_restore_in_place_that_is_up_is_waited_for_no_longer():
    asked = MigrationRequest(type=MigrationType.IN_PLACE)
    decided = Status.WAITS_FOR_DECISION
    up = STORY[1].model_copy(update={"request": asked, "type": asked.type, "phase": "up", "status": decided})
    undone = up.model_copy(update={"cancel_requested": True, "status": Status.RUNNING})
    ended = up.model_copy(update={"phase": "undone", "status": Status.CANCELLED})
    assert watch(Client([STORY[1], up, ended]), "m", plain=True) == up
    assert watch(Client([undone, ended]), "m", plain=True) == ended, "what was asked for is on its way"


class Clock:
    """Time that passes when somebody sleeps."""

    strftime = staticmethod(time.strftime)
    gmtime = staticmethod(time.gmtime)

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in ("progress", "screen"):
        monkeypatch.setattr(f"longshore.cli.{module}.time", clock)
    monkeypatch.setattr("longshore.cli.progress._POLL", 0.5)
    return clock


def copying(count):
    """So many looks at a copy of two disks that goes on, at another rate each time."""
    for n in range(count):
        first = disk("copying", done=n * 1000)
        first.progress.update(rate=(100 + n % 7) * MIB, eta=3600 - n // 2)
        shown = migration("running", first)
        shown.disks.append(first.model_copy(update={"key": "2001", "label": "Hard disk 2"}))
        yield shown


def test_bars_are_drawn_in_a_terminal_below_what_happened(terminal, clock, capsys):
    with terminal:
        assert watch(Client(STORY), "m", plain=False).status == "done"
    assert capsys.readouterr().out == ""
    first, second, *rest = terminal.seen()
    assert re.fullmatch(r"08:00:00Z copying +A \[word\] of warning\.", first)
    assert re.fullmatch(r"Hard disk 1 done ━+ 4\.0 MiB of 4\.0 MiB", second)
    assert not any(rest)


def test_what_changes_is_drawn_once_a_second_and_what_does_not_change_is_not(terminal, clock):
    """An hour of all lines again and again would be tens of megabytes in the log of whoever records the terminal."""
    looks = 240  # two minutes
    with terminal:
        watch(Client([*copying(looks), STORY[-1]]), "m", plain=False)
    assert len(terminal.written) < 120 * 250
    assert 100 <= terminal.written.count(b"\x1b[2A") + terminal.written.count(b"\x1b[3A") <= 135  # one a second
    _event, one, two, *rest = [line for line in terminal.seen() if line]
    assert one.startswith("Hard disk 1 done")
    assert two.startswith("Hard disk 2 copying")
    assert not rest


def test_nothing_is_written_while_nothing_changes(terminal, clock):
    [same] = copying(1)
    with terminal:
        watch(Client([same] * 100 + [STORY[-1]]), "m", plain=False)
    assert len(terminal.written) < 1500


def test_what_is_parked_is_not_said_to_be_copied(terminal, clock, capsys):
    [same] = copying(1)
    parked = [same.model_copy(update={"status": Status.PARKED})] * 20
    watch(Client([*parked, STORY[-1]]), "m", plain=True)
    assert "MiB/s" not in capsys.readouterr().err
    client = Client(parked)
    client.story.append(client.story[-1].model_copy(update={"status": Status.FAILED}))
    with terminal:
        watch(client, "m", plain=False)
    assert b"parked" in terminal.written
    assert b"MiB/s" not in terminal.written


def test_in_a_log_lines_get_rarer_the_longer_it_takes(capsys, clock, monkeypatch):
    monkeypatch.setattr("longshore.cli.progress._LINE_EVERY", 5.0)
    monkeypatch.setattr("longshore.cli.progress._POLL", 5.0)
    watch(Client([*copying(720), STORY[-1]]), "m", plain=True)  # an hour
    shown = capsys.readouterr().err
    assert 100 < shown.count("\n") < 200  # of two disks, 720 looks at each


@pytest.mark.parametrize("down", [None, 1.0])
def test_in_a_log_it_is_asked_less_often_while_nothing_is_new(clock, down):
    [same] = copying(1)
    quiet = [same.model_copy(update={"downtime_seconds": down and down + n}) for n in range(100)]
    began = clock.now
    watch(Client([*quiet, *copying(20), STORY[-1]]), "m", plain=True)
    assert 150 < clock.now - began < 300  # rarely at last, and as at first when something moves
    began = clock.now
    watch(Client([*copying(60), STORY[-1]]), "m", plain=True)
    assert 20 < clock.now - began < 30  # twice a second, once that has gone by for a few


def test_what_ends_soon_is_told_soon(clock):
    """A prune takes a second or two, most of which is the start of what does it."""
    began = clock.now
    watch(Client([*copying(10), STORY[-1]]), "m", plain=True)
    assert clock.now - began == pytest.approx(1.0)


def test_a_warm_migration_shows_what_had_changed_and_then_how_long_it_is_down(terminal, clock):
    sync = {"number": 1, "at": "2026-11-20T08:00:00", "seconds": 12.0, "bytes_changed": 3 * MIB, "final": False}
    waiting = migration("running", disk("done")).model_copy(update={"phase": "waiting", "syncs": [sync]})
    off = waiting.model_copy(update={"phase": "last-sync", "downtime_seconds": 0.4})
    with terminal:
        watch(Client([waiting] * 20 + [off] * 20 + [STORY[-1]]), "m", plain=False)
    seen = terminal.ever_seen()
    assert "waiting, last sync: 3.0 MiB changed, 12 s" in seen
    assert any(re.fullmatch(r"last-sync, down for \d+ s", line) for line in seen)


def test_a_warm_migrations_disk_has_no_digest_before_the_machine_is_off(capsys):
    """What is copied of a running machine is copied again: the digest of an earlier sync is no proof of anything."""
    stale, last = "ab" * 32, "cd" * 32
    sync = {"number": 0, "at": "2026-11-20T08:00:00", "seconds": 9.0, "bytes_changed": None, "final": False}
    warm = {"type": MigrationType.WARM}
    first = migration("running", disk("done", digest=stale)).model_copy(update=warm)
    waiting = first.model_copy(update={"syncs": [sync]})
    again = migration("running", disk("copying", digest=stale)).model_copy(update=warm | {"syncs": [sync]})
    unrecorded = migration("running", disk("done", digest=last)).model_copy(update=warm | {"syncs": [sync]})
    final = unrecorded.model_copy(update={"syncs": [sync, sync | {"number": 1, "final": True}]})
    watch(Client([first, waiting, again, waiting, again, unrecorded, final, STORY[-1]]), "m", plain=True)
    shown = capsys.readouterr().err
    assert stale not in shown.partition(last)[0]
    assert shown.count("Hard disk 1: all of 4.0 MiB; what changes while the machine runs is copied again\n") == 1
    assert shown.count(f"Hard disk 1: all of 4.0 MiB, root digest {last}\n") == 1


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
    monkeypatch.setattr("longshore.cli.retry._PAUSE", 0.0)
    for code, terminal in (("unreachable", False), ("identity-unavailable", True)):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        assert watch(Away(STORY, code), "m", plain=False).status == "done"
        shown = capsys.readouterr().err
        assert shown.count("The database doesn't answer. Asking again") == 1
        assert shown.count("There is an answer again, after 0 s.") == 1


def test_what_no_second_question_changes_ends_the_watching_and_so_does_a_server_that_stays_away(monkeypatch):
    with pytest.raises(LongshoreError):
        watch(Away(STORY, "not-found"), "m", plain=True)
    monkeypatch.setattr("longshore.cli.retry._LONGEST", 0.0)
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
