"""The pages about guests and clouds say what a test has shown, and nothing more."""

import json
import re
from types import SimpleNamespace

from matrix_runs import CLOUDS, GUESTS, ROOT, Recorder, commit, named_in, of_clouds


def test_each_test_that_the_page_goes_by_is_there():
    runs = GUESTS.with_name("guest_runs.json")
    assert json.loads(runs.read_text()).keys() <= set(named_in(GUESTS))
    for test in (*named_in(GUESTS), *of_clouds(CLOUDS)):
        path, _, name = test.partition("[")[0].partition("::")
        assert re.search(rf"(?m)^def {name or 'test_'}|import .*{name}", (ROOT / path).read_text()), test


def test_a_run_leaves_what_it_has_not_run(tmp_path):
    matrix, runs = tmp_path / "guests.json", tmp_path / "runs.json"
    cell = {"Boots": ["yes", "a", "b"]}
    matrix.write_text(
        json.dumps({"columns": ["Boots", "As it is"], "guests": [cell, {"Boots": ["yes", "b", "c", "d"]}]})
    )
    runs.write_text(json.dumps({"c": {"outcome": "passed"}, "d": {"outcome": "passed"}}))
    recorder = Recorder(runs, named_in(matrix), lambda: {"converter": "virt-v2v 2.6"})
    for test, outcomes in {
        "a": ("passed", "passed", "passed"),
        "b@group": ("passed", "failed", "passed"),
        "c": ("passed",),  # interrupted after its setup
        "d": ("skipped",),
        "another": ("passed",),
    }.items():
        for when, outcome in zip(("setup", "call", "teardown"), outcomes, strict=False):
            report = SimpleNamespace(nodeid=test, when=when, outcome=outcome, duration=2.2)
            recorder.pytest_runtest_logreport(report)
    recorder.pytest_sessionfinish()
    known = json.loads(runs.read_text())
    assert {test: run["outcome"] for test, run in known.items()} == {
        "a": "passed",
        "b": "failed",
        "c": "passed",
        "d": "passed",
    }
    assert "seconds" not in known["c"]
    assert (known["a"]["seconds"], known["a"]["commit"]) == (7, commit())
    assert known["a"]["converter"] == "virt-v2v 2.6"


def test_each_cloud_has_outcomes_of_its_own(tmp_path):
    runs = tmp_path / "runs.json"
    for cloud, outcome in (("lab", "passed"), ("today", "failed")):
        recorder = Recorder(runs, ["tests/a.py"], dict, cloud)
        for test in ("tests/a.py::one[x]", "tests/b.py::two"):
            report = SimpleNamespace(nodeid=test, when="call", outcome=outcome, duration=1.0)
            recorder.pytest_runtest_logreport(report)
        recorder.pytest_sessionfinish()
    known = json.loads(runs.read_text())
    assert {cloud: {test: run["outcome"] for test, run in of.items()} for cloud, of in known.items()} == {
        "lab": {"tests/a.py::one[x]": "passed"},
        "today": {"tests/a.py::one[x]": "failed"},
    }
