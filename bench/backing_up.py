"""How fast Longshore backs up and restores, beside restic and borg from Debian, on the same disk image.

    apt-get install restic borgbackup
    .venv/bin/python bench/backing_up.py [--runs 5] [--directory DIR] [--large] [--small]

A round: each backs the image up into an empty repository, in an order drawn anew; 500 places of it are written; each
backs it up again; each restores all of it. All of them encrypt, compress and keep digests, and all end with the data on
the disk. restic and borg look for themselves what has changed; Longshore is told, as it is by any source that knows (a
vCenter, Ceph), and once more isn't. What counts is the ratio of the medians.

With --large Longshore alone backs up, restores and prunes a disk of 1 TiB with 2 GiB of data: its time and memory are
to follow the data. The results go to bench/results/backing_up.json and backing_up_large.json, a table to standard
output.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from backing_up_steps import PHRASE
from copying import GIB, KIB, MIB, rounded, settle, spread
from outcome import about_machine, keep, need, now, parser

from longshore.vault.directory import Directory
from longshore.vault.vault import Vault

STEPS = Path(__file__).parent / "backing_up_steps.py"
PIECE = MIB
WRITES, WRITTEN = 500, 4 * KIB
SAMPLED = 0.05  # seconds between two looks at memory
OURS, UNTOLD = "longshore", "longshore, not told what has changed"


class Ours:
    """Each step is a process of its own, as a job of Longshore's is."""

    def __init__(self, directory: Path, *, told: bool) -> None:
        self.directory, self.told = directory, told

    def make(self) -> None:
        Vault.create(Directory(self.directory / "vault"), PHRASE)

    def back_up(self, image: Path, changes: Path | None) -> list[list[str]]:
        given = [str(changes)] if changes and self.told else []
        return [[sys.executable, str(STEPS), "back-up", str(self.directory), str(image), *given]]

    def restore(self, target: Path) -> list[list[str]]:
        return [[sys.executable, str(STEPS), "restore", str(self.directory), str(target)]]

    def prune(self) -> list[list[str]]:
        return [[sys.executable, str(STEPS), "prune", str(self.directory)]]


class Restic:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def _command(self, *words: str) -> list[str]:
        return ["restic", "--quiet", "--repo", str(self.directory / "repository"), "--no-cache", *words]

    def make(self) -> None:
        run(self._command("init", "--repository-version", "2"))

    def back_up(self, image: Path, _changes: Path | None) -> list[list[str]]:
        return [self._command("backup", str(image))]

    def restore(self, target: Path) -> list[list[str]]:
        return [self._command("restore", "latest", "--target", str(target.parent / "restic")), ["sync"]]


class Borg:
    def __init__(self, directory: Path) -> None:
        self.directory, self.archive = directory, 0

    def make(self) -> None:
        run(["borg", "init", "--encryption", "repokey-blake2", str(self.directory / "repository")])

    def back_up(self, image: Path, _changes: Path | None) -> list[list[str]]:
        self.archive += 1
        name = f"{self.directory / 'repository'}::{self.archive}"
        return [["borg", "create", "--compression", "zstd,3", name, str(image)]]

    def restore(self, target: Path) -> list[list[str]]:
        where = target.parent / "borg"
        where.mkdir(exist_ok=True)
        words = ["borg", "extract", "--sparse", f"{self.directory / 'repository'}::{self.archive}"]
        return [["env", f"--chdir={where}", *words], ["sync"]]


@dataclass
class Figures:
    """Of one step of one contender: seconds, those of the processors, and the most memory of all its processes at once,
    in MiB."""

    seconds: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)
    memory: float = 0.0

    def take(self, commands: list[list[str]]) -> None:
        settle()
        start, before = time.perf_counter(), os.times()
        for command in commands:
            self.memory = max(self.memory, run(command))
        after = os.times()
        self.seconds.append(time.perf_counter() - start)
        before_all, after_all = (each.children_user + each.children_system for each in (before, after))
        self.processors.append(after_all - before_all)


def run(command: list[str]) -> float:
    """To its end; the most memory that it and its children took together, in MiB."""
    given = {"RESTIC_PASSWORD": PHRASE, "BORG_PASSPHRASE": PHRASE}
    most = 0.0
    with subprocess.Popen(command, env=os.environ | given, stdout=subprocess.DEVNULL) as process:
        ended = threading.Event()

        def look() -> None:
            nonlocal most
            while not ended.wait(SAMPLED):
                most = max(most, memory_of(process.pid))

        looking = threading.Thread(target=look)
        looking.start()
        process.wait()
        ended.set()
        looking.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {process.returncode}")
    return most


def memory_of(pid: int) -> float:
    """Of a process and its children, in MiB: what is theirs alone, and of pages that several processes have (programs,
    libraries) each one's share; so nothing is counted twice. What the kernel keeps of files isn't in it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / KIB
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except (OSError, StopIteration):  # it has just ended
        return 0.0
    return own + sum(memory_of(int(child)) for told in lists for child in told.split())


@dataclass(frozen=True)
class Disk:
    size: int
    data: int


DISK, LARGE, SMALL = Disk(4 * GIB, 1536 * MIB), Disk(1024 * GIB, 2 * GIB), Disk(64 * MIB, 8 * MIB)


# The disk


def make_image(path: Path, disk: Disk) -> None:
    """Every second piece is noise, the others are hexadecimal digits, half as large when they are compressed."""
    chance = random.Random(1)
    with path.open("wb") as file:
        file.truncate(disk.size)
        for number, place in enumerate(chance.sample(range(disk.size // PIECE), disk.data // PIECE)):
            file.seek(place * PIECE)
            file.write(chance.randbytes(PIECE // 2).hex().encode() if number % 2 else chance.randbytes(PIECE))
        os.fsync(file.fileno())


def write_here_and_there(image: Path, chance: random.Random, changes: Path) -> None:
    there = image.stat().st_size // (64 * KIB)
    places = sorted(chance.sample(range(there), min(WRITES, there)))
    with image.open("r+b") as file:
        for place in places:
            file.seek(place * 64 * KIB)
            file.write(chance.randbytes(WRITTEN))
        os.fsync(file.fileno())
    changes.write_text(json.dumps([[place * 64 * KIB, WRITTEN] for place in places]))


def size_of(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--directory", type=Path)
    asked.add_argument("--large", action="store_true")
    args = asked.parse_args()
    need("nbdkit", *([] if args.large else ["restic", "borg"]))
    doing, name, disk = (alone, "backing_up_large", LARGE) if args.large else (beside_others, "backing_up", DISK)
    if args.small:
        doing(1, args.directory, SMALL)
    else:
        keep(name, doing(args.runs, args.directory, disk))


def beside_others(runs: int, where: Path | None, disk: Disk) -> dict[str, Any]:
    steps = ("first backup", f"second, after {WRITES} writes of {WRITTEN // KIB} KiB", "restore of all")
    contenders: dict[str, Callable[[Path], Ours | Restic | Borg]] = {
        OURS: lambda path: Ours(path, told=True),
        UNTOLD: lambda path: Ours(path, told=False),
        "restic": Restic,
        "borg": Borg,
    }
    found = {step: {name: Figures() for name in contenders} for step in steps}
    stored: dict[str, int] = {}
    chance = random.Random(2)
    with tempfile.TemporaryDirectory(dir=where) as directory:
        root = Path(directory)
        image, changes, target = root / "image", root / "changes", root / "restored"
        make_image(image, disk)
        for number in range(runs):
            made: dict[str, Ours | Restic | Borg] = {}
            for name, make in contenders.items():
                path = root / f"{number}-{len(made)}"
                path.mkdir()
                made[name] = make(path)
                made[name].make()
            doing: tuple[Callable[[Ours | Restic | Borg], list[list[str]]], ...] = (
                lambda one: one.back_up(image, None),
                lambda one: one.back_up(image, changes),
                lambda one: one.restore(target),
            )
            for step, do in zip(steps, doing, strict=True):
                if do is doing[1]:
                    write_here_and_there(image, chance, changes)
                for name in random.sample(list(made), len(made)):
                    found[step][name].take(do(made[name]))
                    if do is doing[2]:
                        refuse_other(image, root, target, name)
            for name, one in made.items():
                stored[name] = size_of(one.directory)
                shutil.rmtree(one.directory)
    return told(found, stored)


def alone(runs: int, where: Path | None, disk: Disk) -> dict[str, Any]:
    steps = ("first backup", f"second, after {WRITES} writes of {WRITTEN // KIB} KiB", "restore of all", "prune")
    found = {step: {OURS: Figures()} for step in steps}
    first, second, back, tidy = (found[step][OURS] for step in steps)
    chance = random.Random(2)
    with tempfile.TemporaryDirectory(dir=where) as directory:
        root = Path(directory)
        image, changes, target = root / "image", root / "changes", root / "restored"
        make_image(image, disk)
        for number in range(runs):
            (root / str(number)).mkdir()
            ours = Ours(root / str(number), told=True)
            ours.make()
            first.take(ours.back_up(image, None))
            write_here_and_there(image, chance, changes)
            second.take(ours.back_up(image, changes))
            back.take(ours.restore(target))
            tidy.take(ours.prune())
            target.unlink()
            stored = {OURS: size_of(ours.directory)}
            shutil.rmtree(ours.directory)
    return told(found, stored)


def refuse_other(image: Path, root: Path, target: Path, name: str) -> None:
    """What was restored is what was backed up; then it goes."""
    folder = root / name
    file = target if name in (OURS, UNTOLD) else next(path for path in folder.rglob("*") if path.is_file())
    subprocess.run(["cmp", image, file], check=True)
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        file.unlink()


def told(found: dict[str, dict[str, Figures]], stored: dict[str, int]) -> dict[str, Any]:
    rows = []
    print("| step | contender | seconds | times slower than Longshore | of processors | times | MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for step, of_step in found.items():
        ours = of_step[OURS]
        for name, figures in of_step.items():
            times = median(figures.seconds) / median(ours.seconds)
            work = median(figures.processors) / median(ours.processors)
            seconds, processors = spread(figures.seconds), spread(figures.processors)
            print(f"| {step} | {name} | {seconds} | {times:.2f} | {processors} | {work:.2f} | {figures.memory:.0f} |")
            figures_of = {
                "seconds": rounded(figures.seconds),
                "times": round(times, 2),
                "processor_seconds": rounded(figures.processors),
                "processor_times": round(work, 2),
                "memory_mib": round(figures.memory),
            }
            rows.append({"step": step, "contender": name, **figures_of})
    for name, count in stored.items():
        print(f"{name}: {count / MIB:.0f} MiB stored after both")
    return {"at": now(), "machine": about_machine(), "stored": stored, "figures": rows}


if __name__ == "__main__":
    main()
