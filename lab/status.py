#!/usr/bin/python3
"""status.py [-f table|json] [--quiet]: what of the lab runs. Exit code 0: all of it; 3: not all of it, or nothing.

Looks only at what start left below $LONGSHORE_LAB/run/daemons; the daemons' pids there are those of the lab's pid
namespace, which /proc/PID/status gives as the last number of NSpid.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

LAB = Path(os.environ["LONGSHORE_LAB"])


@dataclass
class Daemon:
    name: str
    state: str
    address: str
    uptime_s: int


def stat_fields(directory: Path) -> list[str]:
    """/proc/PID/stat from the state (field 3 in proc(5)) on."""
    return (directory / "stat").read_text().rpartition(") ")[2].split()


def holder() -> int | None:
    """The holder's pid, as seen here."""
    try:
        pid, started = (LAB / "run" / "holder.pid").read_text().split()
        return int(pid) if stat_fields(Path("/proc", pid))[19] == started else None
    except (OSError, ValueError):
        return None


def processes(pid: int) -> dict[str, list[str]]:
    """The lab's processes: pid in its namespace → fields of stat."""
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    found = {}
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and os.readlink(directory / "ns" / "pid") == namespace:
                status = (directory / "status").read_text()
                inner = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
                found[inner] = stat_fields(directory)
        except OSError:  # ended in the meantime
            continue
    return found


def daemons(found: dict[str, list[str]]) -> list[Daemon]:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = os.sysconf("SC_CLK_TCK")
    rows = []
    for file in sorted((LAB / "run" / "daemons").glob("*.pid")):
        pid, started = file.read_text().split()
        fields = found.get(pid)
        alive = bool(fields) and fields[0] != "Z" and fields[19] == started
        address = file.with_suffix(".address")
        rows.append(
            Daemon(
                name=file.stem,
                state="alive" if alive else "dead",
                address=address.read_text().strip() if address.exists() else "-",
                uptime_s=int(now - int(started) / ticks) if alive else 0,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab/lab status")
    parser.add_argument("-f", "--format", choices=("table", "json"), default="table")
    parser.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()

    pid = holder()
    rows = daemons(processes(pid) if pid else {})
    whole = bool(pid) and bool(rows) and all(row.state == "alive" for row in rows)
    complete = (LAB / "run" / "vcenter.version").exists()
    state = "up" if whole and complete else "starting or incomplete" if whole else "not whole" if pid else "down"
    if wanted.quiet:
        pass
    elif wanted.format == "json":
        print(json.dumps({"lab": str(LAB), "state": state, "daemons": [asdict(row) for row in rows]}, indent=2))
    else:
        print(f"lab in {LAB}: {state}")
        for row in rows:
            print(f"  {row.name:26} {row.state:6} {row.uptime_s:7} s  {row.address}")
    return 0 if whole and (complete or wanted.quiet) else 3


sys.exit(main())
