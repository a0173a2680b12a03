"""How long a guest's conversion takes, and the start of the appliance, with this machine's converter and another one
beside it, in turn.

Run inside the lab, whose Debian guest is converted; DIRECTORY has the other converter, as LONGSHORE_CONVERTER would
name it (docs/howto/converter.md):

    lab/lab run .venv/bin/python bench/converting.py [RUNS] --beside DIRECTORY

What else the machine does counts more than the converter: the load is kept with each figure.
"""

import asyncio
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from outcome import about_machine, keep, need_lab, now, parser

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.converter.tree import VARIABLE, converters, current
from longshore.guests.process import convert
from longshore.guests.start import start_appliance

DISKS = ("root.raw", "data.raw")


def started(_guest: Path) -> float:
    return start_appliance().seconds


def converted(guest: Path) -> float:
    """Return the seconds that a fresh copy of the disks took."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        for name in DISKS:
            subprocess.run(["cp", "--sparse=always", guest / name, place / name], check=True)
        uris = [stack.enter_context(serve_qemu_nbd(place / name)).uri for name in DISKS]
        begun = time.monotonic()
        asyncio.run(convert(uris, place, lambda _: None))
        return time.monotonic() - begun


WORK: dict[str, Callable[[Path], float]] = {"start": started, "conversion": converted}


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("runs", type=int, nargs="?", default=3)
    asked.add_argument("--beside", type=Path, default=converters(), metavar="DIRECTORY")
    args = asked.parse_args()
    guest = need_lab("converting.py") / "cache" / "guests" / "debian"
    places = {"this": converters(), "other": args.beside}
    versions = {}
    figures: dict[str, dict[str, list[dict[str, float]]]] = {work: {side: [] for side in places} for work in WORK}
    for _ in range(1 if args.small else args.runs):
        for side in random.sample(sorted(places), k=len(places)):
            os.environ[VARIABLE] = str(places[side])
            versions[side] = current().version("virt-v2v")
            for work, take in WORK.items():
                seconds = round(take(guest), 1)
                figures[work][side].append({"seconds": seconds, "load": round(os.getloadavg()[0])})
                print(f"virt-v2v {versions[side]}: {work} took {seconds} s", flush=True)
    if not args.small:
        keep("converting", {"at": now(), "machine": about_machine(), "versions": versions, **figures})
    for work, of_side in figures.items():
        medians = {side: statistics.median(run["seconds"] for run in runs) for side, runs in of_side.items()}
        print(f"{work}: {medians}, ratio {medians['this'] / medians['other']:.2f}")


if __name__ == "__main__":
    main()
