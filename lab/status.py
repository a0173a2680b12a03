#!/usr/bin/python3
"""status.py [-f table|json | --alive cloud|vcenter]: what of the lab runs.

Looks only at what starting left below $LONGSHORE_LAB/run: pids there are those of the lab's pid namespace, which
/proc/PID/status gives as the last number of NSpid. Exit code 0: all of it runs; 3: not all of it, or nothing.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

LAB = Path(os.environ["LONGSHORE_LAB"])
VCENTER = "vcenter"
PARTS = ("cloud",) if LAB.parent.name == "clouds" else ("cloud", VCENTER)  # a second cloud has no vCenter


@dataclass
class Process:
    state: str  # one letter, see proc(5)
    started: int  # clock ticks since boot
    command: str


@dataclass
class Daemon:
    name: str
    alive: bool
    address: str
    uptime_s: int


def process(directory: Path) -> Process:
    fields = (directory / "stat").read_text().rpartition(") ")[2].split()  # from field 3 on
    command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return Process(fields[0], int(fields[19]), command)


def holder() -> int | None:
    """The holder's pid, as seen here."""
    try:
        pid, started = (LAB / "run" / "holder.pid").read_text().split()
        return int(pid) if process(Path("/proc", pid)).started == int(started) else None
    except (OSError, ValueError):
        return None


def processes() -> dict[str, Process]:
    """The lab's processes by their pid in the lab."""
    pid = holder()
    if pid is None:
        return {}
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    found = {}
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and os.readlink(directory / "ns" / "pid") == namespace:
                status = (directory / "status").read_text()
                inner = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
                found[inner] = process(directory)
        except OSError:  # ended in the meantime
            continue
    return found


def daemon(name: str, address: str, found: Process | None) -> Daemon:
    if found is None or found.state == "Z":
        return Daemon(name, False, address, 0)
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - found.started / os.sysconf("SC_CLK_TCK")
    return Daemon(name, True, address, int(age))


def cloud(found: dict[str, Process]) -> list[Daemon]:
    rows = []
    for file in sorted((LAB / "run" / "daemons").glob("*.pid")):
        pid, started = file.read_text().split()
        one = found.get(pid)
        address = file.with_suffix(".address").read_text().strip()
        rows.append(daemon(file.stem, address, one if one and one.started == int(started) else None))
    return rows


def vcenter(found: dict[str, Process]) -> list[Daemon]:
    """With the SSH servers of its hosts."""
    try:
        one = found.get((LAB / "run" / "vcenter.pid").read_text().strip())
    except OSError:
        return []
    rows = [daemon(VCENTER, "https://vcenter.lab", one if one and "-m vcenter" in one.command else None)]
    for file in sorted((LAB / "run" / "esx").glob("*.conf")):
        pid = file.with_suffix(".pid")
        one = found.get(pid.read_text().strip()) if pid.exists() else None
        rows.append(daemon(file.stem, f"ssh://root@{file.stem}", one if one and "sshd" in one.command else None))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab/lab status")
    parser.add_argument("-f", "--format", choices=("table", "json"), default="table")
    parser.add_argument("--alive", choices=("cloud", VCENTER), help=argparse.SUPPRESS)
    wanted = parser.parse_args()

    found = processes()
    rows = {"cloud": cloud(found), VCENTER: vcenter(found)}
    whole = {
        part: bool(rows[part]) and all(row.alive for row in rows[part]) and (LAB / "run" / f"{part}.version").exists()
        for part in PARTS
    }
    if wanted.alive:
        return 0 if whole[wanted.alive] else 3

    state = "up" if all(whole.values()) else "not whole" if found else "down"
    every = rows["cloud"] + rows[VCENTER]
    if wanted.format == "json":
        print(json.dumps({"lab": str(LAB), "state": state, "daemons": [asdict(row) for row in every]}, indent=2))
    else:
        print(f"the lab in {LAB} is {state}")
        for row in every:
            print(f"  {row.name:26} {'alive' if row.alive else 'DEAD':6} {row.uptime_s:7} s  {row.address}")
    return 0 if state == "up" else 3


sys.exit(main())
