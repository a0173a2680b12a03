"""Results of the runs of two matrices, for pages in docs/reference: of guests (`make guest-matrix`), and of clouds
(`make cloud-matrix`).

guests.json says which test shows what of which guest; clouds.json which tests show what of a cloud. With
LONGSHORE_GUEST_RUNS or LONGSHORE_CLOUD_RUNS in the environment a test run writes how those of them that it has run went
into the file of that name, and leaves what it has of others. Run as a program with the word `guests` or `clouds`, this
prints the tests of that matrix, one in a line.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from longshore.errors import ConversionError
from longshore.guests.converter.tree import current

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
GUESTS, CLOUDS = REFERENCE / "guests.json", REFERENCE / "clouds.json"


def named_in(matrix):
    """Return the tests of all guests, each once."""
    rows = json.loads(matrix.read_text())
    cells = (guest[column] for guest in rows["guests"] for column in rows["columns"] if column in guest)
    return list(dict.fromkeys(test for _, *tests in cells for test in tests))


def of_clouds(matrix):
    """Return the files and tests of all capabilities, each once."""
    rows = json.loads(matrix.read_text())
    return list(dict.fromkeys(test for row in rows["rows"] + rows["between"] for test in row["tests"]))


class Recorder:
    """A plugin of pytest's; of a run by several processes, the one that hears of all tests has it.

    `asked` holds names of tests, and of files all of whose tests are meant. `more` is written with each outcome.
    """

    def __init__(self, path, asked, more: Callable[[], dict[str, str]], where=None):
        self._path = path
        self._asked = set(asked)
        self._where = where
        self._reports = {}
        self._more = {"commit": commit(), **more()}  # while it runs, others may be made

    def pytest_runtest_logreport(self, report):
        test = report.nodeid.split("@")[0]  # what xdist adds to it is the group that it runs in
        if {test, test.partition("[")[0], test.partition("::")[0]} & self._asked:
            self._reports.setdefault(test, []).append(report)

    def pytest_sessionfinish(self):
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        runs = known if self._where is None else known.setdefault(self._where, {})
        for test, reports in self._reports.items():
            outcomes = {report.outcome for report in reports}
            ended = any(report.when == "call" for report in reports) or "failed" in outcomes
            if ended and "skipped" not in outcomes:
                runs[test] = {
                    "outcome": "failed" if "failed" in outcomes else "passed",
                    "date": datetime.now(UTC).date().isoformat(),
                    **self._more,
                    "seconds": round(sum(report.duration for report in reports)),
                }
        self._path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def recorders():
    """Yield a recorder for each of the variables that the environment has."""
    if path := os.environ.get("LONGSHORE_GUEST_RUNS"):
        yield Recorder(Path(path), named_in(GUESTS), converter)
    if path := os.environ.get("LONGSHORE_CLOUD_RUNS"):
        yield Recorder(Path(path), of_clouds(CLOUDS), dict, cloud())


def converter():
    """Return the versions of what has converted, as far as this machine has any."""
    try:
        found = current()
    except ConversionError:
        return {"converter": ""}
    return {"converter": f"virt-v2v {found.version('virt-v2v')}, libguestfs {found.version('libguestfs0t64')}"}


def cloud():
    """Return which of the lab's clouds the tests run in, by its directory; the first is called `lab`."""
    place = Path(os.environ.get("LONGSHORE_LAB", ""))
    return place.name if place.parent.name == "clouds" else "lab"


def commit():
    """Return the commit of what was tested; with a + where that was changed since."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "src", "tests", "lab"])
    return head.stdout.strip() + ("+" if changed.returncode else "")


if __name__ == "__main__":
    print(*{"guests": named_in(GUESTS), "clouds": of_clouds(CLOUDS)}[sys.argv[1]], sep="\n")
