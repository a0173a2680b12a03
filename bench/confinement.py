"""What it costs to keep a guest's work confined: the same guest converted with and without it, in turn.

Run inside the lab, whose Debian guest is worked on:

    lab/lab run .venv/bin/python bench/confinement.py [RUNS] [convert|inspect]

What else the machine does counts more than the confinement: the load is kept with each figure.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from outcome import about_machine, keep, kept, need_lab, now, parser

from longshore.blocks.exports import serve_nbdkit, serve_qemu_nbd
from longshore.guests.process import convert, inspect_guest

DISKS = ("root.raw", "data.raw")


def confined(operation: str, uris: list[str], directory: Path) -> None:
    if operation == "convert":
        asyncio.run(convert(uris, directory, lambda _: None))
    else:
        asyncio.run(inspect_guest(uris, directory))


def unconfined(operation: str, uris: list[str], _directory: Path) -> None:
    """The same program on the same disks, as this user and on this machine's own network."""
    sockets = [parse_qs(urlsplit(uri).query)["socket"][0] for uri in uris]
    request = {"operation": operation, "disks": sockets, "nics": [], "first_boot": [], "addresses": []}
    subprocess.run(
        [sys.executable, "-m", "longshore.guests.work"],
        input=json.dumps(request).encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


WAYS: dict[str, Callable[[str, list[str], Path], None]] = {"confined": confined, "unconfined": unconfined}


def measured(way: str, operation: str, guest: Path) -> dict[str, float]:
    """Seconds of one run on a fresh copy of the disks, and the machine's load at its end."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        for name in DISKS:
            subprocess.run(["cp", "--sparse=always", guest / name, place / name], check=True)
        uris = [stack.enter_context(serve_qemu_nbd(place / name)).uri for name in DISKS]
        started = time.monotonic()
        WAYS[way](operation, uris, place)
        wall = time.monotonic() - started
    return {"seconds": round(wall, 1), "load": round(os.getloadavg()[0])}


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("runs", type=int, nargs="?", default=3)
    asked.add_argument("operation", nargs="?", choices=("convert", "inspect"), default="convert")
    args = asked.parse_args()
    guest = need_lab("confinement.py") / "cache" / "guests" / "debian"
    with serve_nbdkit("memory", {"size": "1M"}):
        pass  # what is started first is loaded from disk
    found = kept("confinement")
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(1 if args.small else args.runs):
        for way in random.sample(sorted(WAYS), k=len(WAYS)):
            figures[way].append(measured(way, args.operation, guest))
            print(way, args.operation, figures[way][-1], flush=True)
    if not args.small:
        keep("confinement", found | {args.operation: {"at": now(), "machine": about_machine(), **figures}})
    medians = {way: statistics.median(run["seconds"] for run in figures[way]) for way in WAYS}
    print(f"{args.operation}: {medians}, ratio {medians['confined'] / medians['unconfined']:.2f}")


if __name__ == "__main__":
    main()
