"""Results of the runs of the matrix of guests, for docs/reference/guests.md: `make guest-matrix`.

docs/reference/guests.json says which test shows what of which guest. With LONGSHORE_GUEST_RUNS in the environment a
test run writes how those of them that it has run went into the file of that name, and leaves what it has of others.
Run as a program, this prints the tests, one in a line.
"""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from longshore.errors import ConversionError
from longshore.guests.converter.tree import current

ROOT = Path(__file__).parents[1]
MATRIX = ROOT / "docs" / "reference" / "guests.json"
VARIABLE = "LONGSHORE_GUEST_RUNS"


def named_in(matrix):
    """Return the tests of all guests, each once."""
    rows = json.loads(matrix.read_text())
    cells = (guest[column] for guest in rows["guests"] for column in rows["columns"] if column in guest)
    return list(dict.fromkeys(test for _, *tests in cells for test in tests))


class Recorder:
    """A plugin of pytest's; of a run by several processes, the one that hears of all tests has it."""

    def __init__(self, path, matrix=MATRIX):
        self._path = path
        self._asked = set(named_in(matrix))
        self._reports = {}
        self._commit, self._converter = commit(), converter()  # while it runs, others may be made

    def pytest_runtest_logreport(self, report):
        test = report.nodeid.split("@")[0]  # what xdist adds to it is the group that it runs in
        if test in self._asked:
            self._reports.setdefault(test, []).append(report)

    def pytest_sessionfinish(self):
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        for test, reports in self._reports.items():
            outcomes = {report.outcome for report in reports}
            ended = any(report.when == "call" for report in reports) or "failed" in outcomes
            if ended and "skipped" not in outcomes:
                known[test] = {
                    "outcome": "failed" if "failed" in outcomes else "passed",
                    "date": datetime.now(UTC).date().isoformat(),
                    "commit": self._commit,
                    "converter": self._converter,
                    "seconds": round(sum(report.duration for report in reports)),
                }
        self._path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def converter():
    """Versions of what has converted, as far as this machine has any."""
    try:
        found = current()
    except ConversionError:
        return ""
    return f"virt-v2v {found.version('virt-v2v')}, libguestfs {found.version('libguestfs0t64')}"


def commit():
    """Return the commit of what was tested; with a + where that was changed since."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "src", "tests", "lab"])
    return head.stdout.strip() + ("+" if changed.returncode else "")


if __name__ == "__main__":
    print("\n".join(named_in(MATRIX)))
