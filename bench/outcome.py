"""What all benches do alike: say what is missing, take --small, and keep their figures in results/.

`readme.py` makes README.md from those figures. There is one result of each case, the newest; git has the others.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = {
    "borg": "borgbackup",
    "mke2fs": "e2fsprogs",
    "nbdcopy": "libnbd-bin",
    "nbdkit": "nbdkit",
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "restic": "restic",
}
POSTGRESQL = Path("/usr/lib/postgresql")
SMALL = "--small" in sys.argv  # nobody reads the figures: no need for the machine to come to rest


def parser(description: str) -> argparse.ArgumentParser:
    """Takes the first sentence of a bench's own description. Every bench has --small."""
    first = " ".join(description.split("\n\n", 1)[0].split())
    made = argparse.ArgumentParser(description=first)
    made.add_argument("--small", action="store_true", help="only show that it runs: seconds of work, nothing is kept")
    return made


def need(*programs: str) -> None:
    """End with a sentence that says what to install, if one of these is missing."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        packages = " ".join(sorted({PACKAGES[program] for program in missing}))
        raise SystemExit(f"This bench needs {' and '.join(missing)}: apt-get install {packages}")


def need_postgresql() -> None:
    if not list(POSTGRESQL.glob("*/bin/initdb")):
        raise SystemExit("This bench needs PostgreSQL: apt-get install postgresql")


def need_lab(words: str) -> Path:
    """The lab's directory. Ends with a sentence outside of it. `words`: how the bench is called inside."""
    lab = os.environ.get("LONGSHORE_LAB")
    if not lab:
        raise SystemExit(f"This bench needs the lab: lab/lab run .venv/bin/python bench/{words}")
    return Path(lab)


def about_machine() -> dict[str, Any]:
    models = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": models[0] if models else platform.machine(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def keep(name: str, figures: dict[str, Any]) -> None:
    """In results/NAME.json, in the place of what was there; README.md is made anew."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
    subprocess.run([sys.executable, str(Path(__file__).with_name("readme.py"))], check=True)


def kept(name: str) -> dict[str, Any]:
    """What an earlier run has left in results/NAME.json."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}
