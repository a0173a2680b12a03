"""What a person sees while a plan runs."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from test_progress import AT, MIB, disk, migration

from longshore.api.schemas import PlanFigures, PlannedProgress, PlanStates, PlanSummary, QueuedBehind
from longshore.cli.plan_watch import WatchedMachine, totals, watch_plan
from longshore.errors import Unreachable
from longshore.wording.progress import figures, moves


def of_plan(name, status, disk_, **more):
    return migration(status, disk_).model_copy(
        update={"id": f"id-{name}", "machine_name": name, "plan": "shop", "wave": 1, **more}
    )


COPYING = disk("copying", done=MIB)
DONE = disk("done", done=4 * MIB, verified=4 * MIB, digest="ab" * 32)
STORY = [
    [of_plan("web", "queued", disk("waiting")), of_plan("db", "running", COPYING)],
    [of_plan("web", "running", COPYING), of_plan("db", "running", disk("verifying", done=4 * MIB, verified=MIB))],
    [of_plan("web", "running", COPYING), of_plan("db", "failed", COPYING, error="It broke.", phase="rolled-back")],
    [of_plan("web", "done", DONE), of_plan("db", "failed", COPYING, error="It broke.", phase="rolled-back")],
]


def told_of(m):
    names = "wave", "phase", "error", "stranded", "interrupted", "parked", "queued_behind", "disks"
    same = {name: getattr(m, name) for name in names}
    return PlannedProgress(machine=m.machine_name, ref=None, status=m.status.value, type=m.type, migration=m.id, **same)


def figures_of(migrations):
    rate = sum(figures(d).rate for m in migrations for d in m.disks if moves(m, d) and d.state == "copying")
    states = dict(Counter(m.status.value for m in migrations))
    return PlanFigures(
        wave=None, machines=len(states), states=states, bytes_done=0, bytes_total=0, bytes_per_second=rate
    )


class Client:
    """Tells the story one look after the other: all of it at first, and then only what is otherwise than before."""

    def __init__(self, story):
        self.story = list(story)
        self.before = {}
        self.told = []  # how many machines each time

    def changed_states(self, _name, since):
        now = {m.id: m for m in (self.story.pop(0) if len(self.story) > 1 else self.story[0])}
        changed = [m for m in now.values() if since is None or self.before.get(m.id) != m]
        self.before = now
        self.told.append(len(changed))
        states = Counter(m.status.value for m in now.values())
        kept = {"name": "shop", "description": "", "source": "vc", "target": "cloud", "machines": len(now)}
        return PlanStates(
            plan=PlanSummary.model_construct(**kept, states=dict(states)),
            version="1",
            until=AT,
            total=len(changed),
            startable=0,
            may_cut_over=0,
            figures=figures_of(now.values()),
            waves=[],
            machines=[told_of(m) for m in changed],
        )

    def plan_migrations(self, _name):
        return list(self.before.values())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("longshore.cli.plan_watch._POLL", 0.0)
    monkeypatch.setattr("longshore.cli.plan_watch._LINE_EVERY", 0.0)


def test_lines_tell_each_change_of_a_machine_its_disks_and_why_one_failed(capsys):
    ended = watch_plan(Client(STORY), "shop", plain=True)
    assert [m.status.value for m in ended] == ["done", "failed"]
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line[11:] for line in shown.err.splitlines()]
    assert lines[0] == f"{'':<20} Plan shop: 1 queued, 1 running; 1.5 MiB/s"
    assert lines[1] == f"{'web':<20} queued, wave 1"
    assert f"{'db':<20} copying, Hard disk 1: 1.0 MiB of 4.0 MiB (25 %), 1.5 MiB/s, 1 min 5 s left" in lines
    assert f"{'db':<20} verifying, Hard disk 1: 1.0 MiB of 4.0 MiB (25 %), 1.5 MiB/s, 1 min 5 s left" in lines
    assert f"{'db':<20} failed: It broke." in lines
    assert lines[-1] == f"{'web':<20} done"
    assert sum("failed" in line for line in lines) == 1


@pytest.mark.parametrize("plain", [True, False])
def test_why_nobody_takes_them_is_said(capsys, monkeypatch, plain):
    monkeypatch.setattr("sys.stderr.isatty", lambda: not plain)
    monkeypatch.setenv("COLUMNS", "120")
    waits = [m.model_copy(update={"stranded": "No worker is alive."}) for m in STORY[0]]
    watch_plan(Client([waits, STORY[-1]]), "shop", plain=plain)
    assert "No worker is alive." in capsys.readouterr().err


def test_what_a_queued_one_is_behind_is_said_in_its_line(capsys):
    behind = QueuedBehind(what="wave", wave=1)
    waits = [m.model_copy(update={"queued_behind": behind} if m.status == "queued" else {}) for m in STORY[0]]
    watch_plan(Client([waits, STORY[-1]]), "shop", plain=True)
    said = "queued, wave 1. Wave 1 goes first: this one begins when all of it has ended."
    assert f"{'web':<20} {said}" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_asked_again_in_both_views(capsys, monkeypatch):
    monkeypatch.setattr("longshore.cli.retry._PAUSE", 0.0)

    class Away(Client):
        asked = 0

        def changed_states(self, name, since):
            self.asked += 1
            if self.asked == 2:
                raise Unreachable("The server doesn't answer.", advice="Is it running there?")
            return super().changed_states(name, since)

    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        assert [m.status.value for m in watch_plan(Away(STORY), "shop", plain=False)] == ["done", "failed"]
        shown = capsys.readouterr().err
        assert shown.count("The server doesn't answer. Asking again") == 1
        assert shown.count("There is an answer again") == 1


def test_the_table_shows_machines_disks_rates_and_the_sum(terminal, monkeypatch):
    monkeypatch.setattr("longshore.cli.screen._EVERY", 0.0)
    with terminal:
        watch_plan(Client(STORY), "shop", plain=False)
    seen = terminal.ever_seen()
    assert "Plan shop: 1 queued, 1 running; 1.5 MiB/s" in seen
    assert any("1.0 MiB of 4.0 MiB  25 %" in line for line in seen)
    assert terminal.seen()[0] == "Plan shop: 1 done, 1 failed"
    assert [line.split() for line in terminal.seen()[2:5]] == [["db", "1", "failed"], ["web", "1", "done"], []]


def test_until_when_it_takes_is_told_of_the_plan_and_of_each_wave_that_has_begun(capsys, terminal, monkeypatch):
    monkeypatch.setattr("longshore.cli.screen._EVERY", 0.0)
    at = datetime.now(UTC).replace(hour=23, minute=40, tzinfo=None)
    told = figures_of(STORY[1]).model_copy(update={"bytes_total": 4 << 30, "bytes_done": 1 << 30})
    first = told.model_copy(update={"wave": 1, "done_at": at, "give_or_take": 1130.0, "until_cutover": True})
    second = told.model_copy(update={"wave": 2, "states": {"queued": 7}, "no_forecast": "cutover-first"})
    third = told.model_copy(update={"wave": 3, "states": {"planned": 7}})

    class OfWaves(Client):
        def changed_states(self, name, since):
            whole = told.model_copy(update={"no_forecast": "not-measured"})
            return (
                super()
                .changed_states(name, since)
                .model_copy(update={"figures": whole, "waves": [first, second, third]})
            )

    watch_plan(OfWaves(STORY), "shop", plain=True)
    lines = [line[11:].strip() for line in capsys.readouterr().err.splitlines()]
    copied = "2 running; 1.0 GiB of 4.0 GiB; 1.5 MiB/s"
    assert f"Plan shop: {copied}; end not known yet" in lines
    assert f"Wave 1: {copied}; copied about 23:40 UTC, give or take 20 min" in lines
    assert not [line for line in lines if line.startswith("Wave 3")]
    with terminal:
        watch_plan(OfWaves(STORY), "shop", plain=False)
    (second_wave,) = {line for line in terminal.ever_seen() if line.startswith("Wave 2: 7 queued;")}
    assert "an earlier wave is to be" in second_wave


def test_a_thousand_machines_fit_on_the_screen(terminal):
    many = [of_plan(f"web{n}", "done", DONE) for n in range(1000)]
    with terminal:
        watch_plan(Client([many]), "shop", plain=False)
    seen = terminal.seen()
    assert seen[0] == "Plan shop: 1000 done"
    assert "more lines" in "".join(seen)


def test_only_some_are_waited_for_and_a_dead_engine_ends_the_watching(monkeypatch):
    monkeypatch.setattr("longshore.cli.plan_watch._ENGINE_START", 0.0)
    broken = [of_plan("web", "done", DONE), of_plan("db", "running", COPYING, interrupted=True)]
    assert [m.machine_name for m in watch_plan(Client([broken]), "shop", plain=True, only={"id-web"})] == ["web"]
    assert any(m.interrupted for m in watch_plan(Client([broken]), "shop", plain=True))


def test_totals_count_states_and_add_rates():
    for told, said in ((STORY[0], "1 queued, 1 running; 1.5 MiB/s"), (STORY[3], "1 done, 1 failed")):
        assert totals([WatchedMachine.of_plan(told_of(m)) for m in told]) == said


def test_only_what_has_changed_is_asked_for_and_everything_while_nobody_runs_it():
    many = [of_plan(f"web{n}", "done", DONE) for n in range(50)]
    client = Client([[*many, last] for last in (m for look in STORY for m in look[1:])])
    assert len(watch_plan(client, "shop", plain=True)) == 51
    assert client.told == [51, 1, 1]
    gone = of_plan("db", "running", COPYING, interrupted=True)
    client = Client([[*many, gone], [*many, gone], [*many, STORY[0][1]], [*many, of_plan("db", "done", DONE)]])
    watch_plan(client, "shop", plain=True)
    assert client.told == [51, 51, 51, 1]
