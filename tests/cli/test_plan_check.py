"""What a person sees who checks a plan of many machines."""

from types import SimpleNamespace

import pytest

from longshore.api.plan_checks import PlanCheck
from longshore.api.schemas import PlanConcern, PlanStart
from longshore.cli import checking
from longshore.cli.concerns import concern_table
from longshore.errors import LongshoreError, Unreachable
from longshore.model.concern import Severity


def concern(code, machine="web"):
    return PlanConcern(
        machine=machine, code=code, severity="blocker", subject="s", text=f"{code}!", advice="", acceptable=False
    )


def answer(state="running", until=0, concerns=(), error=None):
    body = {"id": "c", "plan": "p", "version": "p-1", "done": until, "total": 3, "ended_at": None, "error": error}
    return PlanCheck(**body, state=state, until=until, concerns=list(concerns), created_at="2026-11-25T08:00:00Z")


class Asked:
    """A client that answers as it is told, one after another; raises errors, and at `None` somebody types Ctrl-C."""

    def __init__(self, *answers):
        self.answers, self.begun, self.ended, self.after = list(answers), 0, [], []

    def begin_check(self, _plan, _asked):
        self.begun += 1
        return self._next()

    def go_on_with_check(self, check):
        self.after.append(check.until)
        return self._next()

    def end_check(self, check):
        self.ended.append(check.id)

    def _next(self):
        one = self.answers.pop(0)
        if one is None:
            raise KeyboardInterrupt
        if isinstance(one, Exception):
            raise one
        return one


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(checking, "_POLL_AT_FIRST", 0)
    monkeypatch.setattr("longshore.cli.retry._PAUSE", 0)


def check(client):
    return [one.code for one in checking.checked(client, "shop", PlanStart())]


def test_each_part_is_asked_for_once_and_a_server_that_is_away_is_asked_again(capsys):
    client = Asked(
        answer(),
        answer(until=1, concerns=[concern("a")]),
        Unreachable("The server doesn't answer."),
        answer(until=2, concerns=[concern("b")]),
        answer("done", 3, [concern("c")]),
    )
    assert check(client) == ["a", "b", "c"]
    assert client.after == [0, 1, 1, 2]
    assert "doesn't answer" in capsys.readouterr().err


def test_why_nobody_checks_it_is_said_once(capsys):
    nobody = answer().model_copy(update={"stranded": "No worker is alive."})
    assert check(Asked(nobody, nobody, answer("done", 1))) == []
    assert capsys.readouterr().err.count("No worker is alive.") == 1


def test_why_it_came_to_no_end_is_said():
    why = {"code": "changed-meanwhile", "message": "The plan shop was changed meanwhile."}
    with pytest.raises(LongshoreError, match=r"^The plan shop was changed meanwhile\.$") as told:
        check(Asked(answer("cancelled", error=why)))
    assert told.value.code == "changed-meanwhile"


def test_whoever_types_ctrl_c_ends_the_check():
    client = Asked(answer(), None)
    with pytest.raises(KeyboardInterrupt):
        check(client)
    assert client.ended == ["c"]


def test_on_a_terminal_the_first_of_each_kind_is_said_when_it_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(checking, "PATIENCE", -1.0)
    monkeypatch.setattr(checking.sys.stderr, "isatty", lambda: True, raising=False)
    found = [concern("a", "web1"), concern("a", "web2"), concern("b")]
    check(Asked(answer(until=1, concerns=found), answer("done", 1)))
    said = [line.strip() for line in capsys.readouterr().err.splitlines() if "!" in line]
    assert said == ["blocker: a! (a)", "blocker: b! (b)"]


def told(code, machine, text, severity="warning"):
    return concern(code, machine).model_copy(update={"severity": Severity(severity), "text": text})


def table(concerns, *, people=True):
    return concern_table(SimpleNamespace(for_people=people), SimpleNamespace(columns=[]), concerns)[1]


def test_what_means_the_same_of_a_thousand_machines_is_one_row():
    names = [f"srv-{n:04d}" for n in range(1000)]
    found = [told("no-address", name, f"{name} doesn't tell which addresses Network adapter 1 has.") for name in names]
    found += [told("too-large", name, f"Disk 1 of {name} has {n} GiB.", "blocker") for n, name in enumerate(names)]
    found += [told("usb", f"rack 7/{name}", f"A USB device is plugged into {name}.") for name in names[:2]]
    found += [told("quota", "", "Too many cores.", "blocker")]
    assert table(found) == [
        ("srv-0000, srv-0001 and 998 more", "blocker", "For example: Disk 1 of srv-0000 has 0 GiB. (too-large)"),
        ("", "blocker", "Too many cores. (quota)"),
        (
            "srv-0000, srv-0001 and 998 more",
            "warning",
            "For example: srv-0000 doesn't tell which addresses Network adapter 1 has. (no-address)",
        ),
        ("rack 7/srv-0000, rack 7/srv-0001", "warning", "For example: A USB device is plugged into srv-0000. (usb)"),
    ]
    assert len(table(found, people=False)) == len(found), "programs get each"


def test_of_few_machines_what_differs_stands_apart():
    found = [told("too-large", name, f"Disk 1 of {name} has {n} GiB.") for n, name in enumerate(("a", "b"))]
    assert [row[0] for row in table(found)] == ["a", "b"]
