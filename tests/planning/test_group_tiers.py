"""How far each tier of a group's run is, told from how far the run is."""

import pytest

from longshore.model.group import Gate, Tier
from longshore.planning.group_runs import RunProgress, tier_standings

TIERS = (Tier(1, ("db",), Gate(pause=60.0)), Tier(2, ("app", "web"), Gate()), Tier(3, ("edge",), Gate(command=("x",))))
ALL = {"db", "app", "web", "edge"}


@pytest.mark.parametrize(
    ("progress", "up", "stops", "wanted"),
    [
        (RunProgress(), set(), False, "waiting/waiting waiting waiting/waiting"),
        (RunProgress(shuts_down=3), set(), False, "waiting/waiting waiting waiting/waiting"),
        (RunProgress(shuts_down=1), set(), False, "waiting/waiting shutting-down shut-down/waiting"),
        (RunProgress(shuts_down=1), set(), True, "not-begun/not-reached stopped stopped/not-reached"),
        (RunProgress(lands=0), set(), False, "landing/waiting waiting waiting/waiting"),
        (RunProgress(lands=0), {"db"}, False, "at-gate/waiting waiting waiting/waiting"),
        (RunProgress(lands=0), set(), True, "stopped/not-reached not-begun not-begun/not-reached"),
        (RunProgress(lands=0), {"db"}, True, "stopped/not-passed not-begun not-begun/not-reached"),
        (RunProgress(lands=1), {"db", "app"}, False, "up/passed landing waiting/waiting"),
        (RunProgress(lands=1), {"db", "app", "web"}, False, "up/passed up waiting/waiting"),
        (RunProgress(lands=1), {"app"}, True, "stopped/passed stopped not-begun/not-reached"),
        (RunProgress(lands=2), ALL, True, "up/passed up stopped/not-passed"),
    ],
)
def test_where_each_is(progress, up, stops, wanted):
    told = tier_standings(TIERS, progress, up, passed=False, stops=stops)
    assert " ".join(one.state + (f"/{one.gate}" if one.gate else "") for one in told) == wanted


def test_a_run_that_has_passed_all_is_up_whatever_became_of_its_machines():
    told = tier_standings(TIERS, RunProgress(lands=2), set(), passed=True, stops=True)
    assert [(one.state, one.gate) for one in told] == [("up", "passed"), ("up", None), ("up", "passed")]
