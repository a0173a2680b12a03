"""Reports of replicas: what they say is what was told, and nothing in a name gets into the page but as text."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from longshore.api.replica_reports import Arrived, Landed, ReplicaReport
from longshore.api.replicas import Condition, Figures, Point, Replica
from longshore.cli.replica_page import page
from longshore.cli.replica_report import of_replica
from longshore.model.durations import duration
from longshore.model.replica import Stage
from longshore.model.request import MigrationRequest
from longshore.model.status import Status
from longshore.wording import charts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\"'&|\x1b[31m"
SVG = "{http://www.w3.org/2000/svg}"


def report(name="web"):
    syncs = [
        {
            "number": n,
            "at": f"2026-11-22T1{n}:00:00+00:00",
            "seconds": 8.0 + n,
            "bytes_changed": n << 20,
            "final": False,
        }
        | {"bytes_written": n << 20}
        for n in range(2)
    ]
    replica = Replica(
        id="r-1", project_id="", machine_name=name, machine_ref="vm-1", source=name, target="cloud",
        request=MigrationRequest(), status=Status.RUNNING, phase="waiting", stage=Stage.PROTECTED, schedule="every 1h",
        retention="last 2", rpo=3600, paused=False, paused_until=None, due_at=None, missed=0, failures=0, error=None,
        error_code=None, wish=None, failover=None, rpo_now=1800.0, next_takes=9.0, points=1, newest=NOW,
        prove=None, prove_due_at=None, proved_at=None, audit=None, audit_due_at=None, audited_at=NOW,
        audits=[{"at": "2026-11-22T10:00:00", "point": 1, "seconds": 60.0, "hidden": {name: 1 << 20}, "repaired": {}}],
        figures=[Figures(hours=24, length=86400, worst=7200, without=0, kept=0.75)],
        conditions=[Condition(code="rpo-breached", text=f"{name} is old.")], tests=None, syncs=syncs,
        created_at=NOW - timedelta(days=40), finished_at=None,
    )  # fmt: skip
    point = Point(
        number=1, state="usable", moment=NOW, usable_at=NOW, consistency="crash", bytes_changed=1, bytes_written=1,
        kept=[f"held: {name}"], holds=[], users=[], proved_at=None, proof=None, note=None, suspect=True, disks=[],
        machine=None,
    )  # fmt: skip
    parts = {"clone": 2.0, "convert": 20.0, "boot": 10.0, "check": 3.0, "all": 35.0}
    landed = Landed(
        id="t-1", type="test-failover", status="done", point=1, asked_at=NOW, seconds=parts, proof=name, error=None
    )
    hours = [NOW - timedelta(hours=hour) for hour in range(30, 0, -1)]
    arrivals = [Arrived(moment=at, usable_at=at + timedelta(minutes=1)) for at in hours]
    return ReplicaReport(made_at=NOW, replica=replica, points=[point], arrivals=arrivals, landings=[landed])


def test_for_people_it_says_how_well_the_machine_is_protected():
    text = "\n".join(of_replica(report()))
    for line in (
        "| RPO now | 30 min |",
        "| RTO of the last test | 35 s |",
        "| 24 h | 2 h | 75.0% | 0 s |",
        "| rpo-breached | web is old. |",
        "| 1 (suspect) | 2026-11-22T12:00:00Z | crash |  | held: web |",
        "| 2026-11-22T10:00:00 | 1 | 1 min | web: 1.0 MiB hidden |",
    ):
        assert line in text, line


def test_the_page_needs_nothing_else_and_runs_nothing():
    html = page([report(), report(EVIL)])
    assert EVIL not in html
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not [word for word in ("http://", "https://", "src=", "url(", "javascript:", "onload") if word in html]
    body = html[html.index("<body>") : html.index("</html>")]
    tree = ElementTree.fromstring(body.replace("\x1b", ""))  # it is well-formed
    assert len(tree.findall(".//svg")) == 2 * 6


def test_age_grows_until_a_point_comes_and_the_objective_is_drawn():
    hours = [(NOW - timedelta(hours=hour), NOW - timedelta(hours=hour - 1)) for hour in (4, 3, 2)]
    drawn = ElementTree.fromstring(charts.ages(hours, NOW - timedelta(hours=3), NOW, 3600, duration))
    ages = [float(pair.split(",")[1]) for pair in drawn.find("polyline").get("points").split()]
    assert len(ages) == 6, "at the beginning, before and after each of two points, and now"
    assert ages[0] == pytest.approx(min(ages[0], ages[2], ages[4])), "higher up is older"
    legend = next(text for text in drawn.iter("text") if text.text.endswith("1 h asked for"))
    below = float(drawn.find("polyline").get("points").split()[0].split(",")[1])
    assert float(legend.get("y")) > below, "where no line runs through it"


@pytest.mark.parametrize("arrivals", [[], [(NOW, NOW)], [(NOW - timedelta(days=9), NOW - timedelta(days=9))]])
def test_little_to_draw_is_no_reason_to_fail(arrivals):
    assert charts.ages(arrivals, NOW - timedelta(hours=1), NOW, None, duration)


def test_a_month_of_minutes_is_a_small_chart():
    many = [(NOW - timedelta(minutes=n), NOW - timedelta(minutes=n)) for n in range(43_000)]
    assert len(charts.ages(many, NOW - timedelta(days=30), NOW, 60, duration)) < 30_000


def test_a_chart_has_times_between_its_ends_values_under_the_pointer_and_what_happened():
    hours = [(NOW - timedelta(hours=n), NOW - timedelta(hours=n, minutes=-1)) for n in (3, 2, 1)]
    marks = [charts.Mark(NOW - timedelta(minutes=90), "test <failed>", False)]
    drawn = ElementTree.fromstring(charts.ages(hours, NOW - timedelta(hours=3), NOW, 3600, duration, marks))
    moments = [text.get("data-moment") for text in drawn.findall("text") if text.get("data-moment")]
    assert len(moments) == 5
    assert moments == sorted(moments)
    told = [circle.find("title").text for circle in drawn.findall("circle")]
    assert any(said.startswith("1 h 1 min, ") for said in told), told
    assert any(said.startswith("test <failed>, ") for said in told), told
