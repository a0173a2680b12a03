"""How fast Longshore copies, against nbdcopy and qemu-img on the same endpoints.

    .venv/bin/python bench/copying.py [--runs 9] [--directory DIR] [--rbd pool=…,image=…,conf=…,user=…]
        [--condition held-idle] [--small] [CASE …]

Runs are interleaved (every contender once, then all again, in an order drawn anew for each round), since a busy machine
changes its mind by the minute, and whoever comes next may profit from what came before; what counts are the ratio of
the medians and that of the slowest. Every contender ends with the data flushed to the target. Longshore has digests and
checkpoints on.

Each case is measured under four conditions: with the machine's free memory held for the bench ("held") or as it is
("free"), at rest ("idle") or beside a process that computes all the time ("busy"). The results go to
bench/results/copying.json, a table to standard output. With each goes what the processors had
to do for it: where they are busy all the time, that is what the seconds follow.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage, struct_rusage
from statistics import median
from typing import Any

from outcome import SMALL, about_machine, keep, kept, need, now, parser

from longshore.blocks.exports import Export, serve_nbdkit, serve_qemu_nbd

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CONDITIONS = ("held-idle", "free-idle", "held-busy", "free-busy")
NEEDS_RBD = "This case needs --rbd: an RBD image of 4 GiB to write, as pool=…,image=…,conf=…,user=…"
OURS = "longshore"
IDLE, LONGEST_WAIT = 0.1, 2.0  # busy at most to this part; seconds
# An installed program is compiled: the uncounted first run may leave its bytecode, whatever the caller's habits
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
REPORTING = Path("/sys/module/page_reporting/parameters/page_reporting_order")
LARGEST_ORDER = "10"
FIELD_SIZE, FIELD_CHANGED = 14_294_967_296, 1_983_040  # a delta that a well-known product took 8 s for


@dataclass(frozen=True)
class Work:
    """What one run took of the processors. Seconds, but for the switches from one thread to another."""

    user: float  # of the contender's own processes
    system: float
    others: float  # of all else: mostly the servers, which have the same to do for everybody
    waits: int  # switches because a thread waited
    turns: int  # switches because another thread got its turn

    @classmethod
    def medians(cls, runs: "Sequence[Work]") -> dict[str, float]:
        return {part.name: round(median(getattr(run, part.name) for run in runs), 2) for part in fields(cls)}


@dataclass
class Case:
    """What is compared, and what came of it. Seconds."""

    name: str
    contenders: dict[str, Callable[[], None]]
    prepare: Callable[[], None] = lambda: None
    condition: str = CONDITIONS[0]
    neighbour: int | None = None  # the process
    seconds: dict[str, list[float]] = field(default_factory=dict)
    work: dict[str, list[Work]] = field(default_factory=dict)
    memory_mib: float = 0.0  # of the largest of our processes
    at: str = ""
    machine: dict[str, Any] = field(default_factory=dict)

    def run(self, runs: int) -> None:
        """Run every contender so many times."""
        # Not counted: whoever comes first pays for memory that the making of the disks has filled
        busy = int(self.neighbour is not None)
        self.prepare()
        settle(busy)
        self.contenders[OURS]()
        self.seconds = {contender: [] for contender in self.contenders}
        self.work = {contender: [] for contender in self.contenders}
        for _ in range(runs):
            for contender in random.sample(list(self.contenders), len(self.contenders)):
                self.prepare()
                settle(busy)
                before, everybody = getrusage(RUSAGE_CHILDREN), self.worked_by_all()
                start = time.perf_counter()
                self.contenders[contender]()
                self.seconds[contender].append(time.perf_counter() - start)
                self.work[contender].append(work_since(before, self.worked_by_all() - everybody))
        self.memory_mib = Memory.take()
        self.at, self.machine = now(), about_machine()

    def worked_by_all(self) -> float:
        """Processor seconds, but for the neighbour's."""
        return processor_seconds() - (processor_seconds_of(self.neighbour) if self.neighbour else 0.0)

    @property
    def ratio(self) -> float:
        """The best other's median by ours: above 1 we are faster."""
        others = [median(seconds) for contender, seconds in self.seconds.items() if contender != OURS]
        return min(others) / median(self.seconds[OURS])

    @property
    def slowest_ratio(self) -> float:
        """The slowest run of ours by the slowest of the best other: below 1 ours is the sooner one."""
        others = [seconds for contender, seconds in self.seconds.items() if contender != OURS]
        return max(self.seconds[OURS]) / max(min(others, key=median))

    def as_json(self) -> dict[str, object]:
        return {
            "case": self.name,
            "condition": self.condition,
            "ours_s": rounded(self.seconds[OURS]),
            "others": {name: rounded(seconds) for name, seconds in self.seconds.items() if name != OURS},
            "ratio": round(self.ratio, 2),
            "slowest_ratio": round(self.slowest_ratio, 2),
            "work": {name: Work.medians(runs) for name, runs in self.work.items()},
            "memory_mib": round(self.memory_mib),
            "at": self.at,
            "machine": self.machine,
        }

    def row(self) -> str:
        cells = [spread(self.seconds[OURS])]
        cells += [f"{name}: {spread(seconds)}" for name, seconds in self.seconds.items() if name != OURS]
        cells = [self.name, self.condition, cells[0], "; ".join(cells[1:])]
        cells += [f"{self.ratio:.2f}", f"{self.slowest_ratio:.2f}", f"{self.memory_mib:.0f}"]
        return f"| {' | '.join(cells)} |"


def work_since(before: struct_rusage, by_all: float) -> Work:
    """Of the processes that have ended since, and of all."""
    after = getrusage(RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    waits, turns = after.ru_nvcsw - before.ru_nvcsw, after.ru_nivcsw - before.ru_nivcsw
    return Work(user, system, by_all - user - system, waits, turns)


def rounded(seconds: list[float]) -> list[float]:
    return [round(second, 3) for second in seconds]


def spread(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


@contextmanager
def under(condition: str) -> Iterator[int | None]:
    """Have the machine as this condition says. The neighbour's process, where there is one."""
    with ExitStack() as stack:
        if condition.startswith("held"):
            stack.enter_context(memory_kept())
        if condition.endswith("busy"):
            neighbour = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(neighbour.kill)
            yield neighbour.pid
        else:
            yield None


def settle(busy: int = 0) -> None:
    """Wait, for a few seconds at most, until the machine has digested what came before.

    A file system may discard the blocks of an emptied file in the background, and whoever comes next would pay for it.
    So many processors are `busy` with a neighbour that stays.
    """
    if SMALL:
        return
    os.sync()
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        before, start = processor_seconds(), time.monotonic()
        time.sleep(0.2)
        passed = time.monotonic() - start
        if processor_seconds() - before - busy * passed < IDLE * passed * (os.cpu_count() or 1):
            return


@contextmanager
def memory_kept() -> Iterator[None]:
    """Have the machine own the memory that it calls free, and keep it, as long as this is measured (memory.py).

    As root also have the kernel tell the host of only the largest pieces that are free.
    """
    with ExitStack() as stack:
        if os.access(REPORTING, os.W_OK):
            stack.callback(REPORTING.write_text, REPORTING.read_text())
            REPORTING.write_text(LARGEST_ORDER)
        keeper = [sys.executable, str(Path(__file__).with_name("memory.py"))]
        process = stack.enter_context(
            subprocess.Popen(keeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert process.stdin and process.stdout
        if not process.stdout.readline():
            raise SystemExit("no memory could be kept for the bench")
        stack.callback(process.stdin.close)
        yield


def processor_seconds() -> float:
    """What all processors have worked since the machine started."""
    user, nice, system, _, _, interrupts, soft, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(map(int, (user, nice, system, interrupts, soft))) / os.sysconf("SC_CLK_TCK")


def processor_seconds_of(process: int) -> float:
    """What a process has worked, its ended children not counted."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


class Memory:
    """The most memory that one of our processes took, in MiB."""

    peak = 0.0

    @classmethod
    def take(cls) -> float:
        peak, cls.peak = cls.peak, 0.0
        return peak


def run(*arguments: str | Path) -> None:
    """Run a program to its end."""
    run_together([arguments])


def run_together(commands: Sequence[Sequence[str | Path]]) -> None:
    """Run programs side by side to their ends; remember the most memory that one of ours took."""
    running = [
        subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        for command in commands
    ]
    for process, command in zip(running, commands, strict=True):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} failed with exit code {process.returncode}")
        if command[0] == sys.executable:
            Memory.peak = max(Memory.peak, usage.ru_maxrss / KIB)


def longshore(source: Export, target: Export, *options: str) -> None:
    run(sys.executable, "-m", "longshore.blocks", source.uri, target.uri, "--progress=none", *options)


def nbdcopy(source: Export, target: Export, *options: str) -> None:
    run("nbdcopy", "--flush", "--connections=4", "--requests=64", *options, source.uri, target.uri)


def qemu_img(source: Export, target: Export, *options: str) -> None:
    run("qemu-img", "convert", "-n", "-m", "16", "-W", "-f", "raw", "-O", "raw", *options, source.uri, target.uri)


def make_disk(path: Path, size: int, data: int, piece: int) -> None:
    """A sparse disk with `data` bytes of noise in pieces at scattered places."""
    numbers = random.Random(1)
    with path.open("wb") as file:
        file.truncate(size)
        for place in numbers.sample(range(size // piece), data // piece):
            file.seek(place * piece)
            for _ in range(0, piece, MIB):
                file.write(os.urandom(min(piece, MIB)))
        os.fsync(file.fileno())  # so that nobody is measured while it is being written


class Bench:
    """Disks and servers, made as the cases need them. `gib`: bytes of what is called a GiB, fewer in a small bench."""

    def __init__(self, directory: Path, stack: ExitStack, rbd: str | None, gib: int = GIB) -> None:
        self.directory = directory
        self.stack = stack
        self.rbd = rbd
        self.gib, self.mib = gib, gib >> 10

    def serve(self, path: Path, *filters: str, read_only: bool = False, **parameters: str) -> Export:
        return self.stack.enter_context(
            serve_nbdkit("file", {"file": str(path), **parameters}, filters=filters, read_only=read_only, threads=16)
        )

    def empty(self, path: Path, size: int) -> Callable[[], None]:
        """Makes the target as a new volume is: nothing in it."""

        def empty() -> None:
            with path.open("wb") as file:
                file.truncate(size)

        return empty

    def whole(self, source: Export, target: Export) -> dict[str, Callable[[], None]]:
        checkpoint = f"--checkpoint={self.directory / 'checkpoint'}"
        return {
            OURS: lambda: longshore(source, target, "--verify=none", checkpoint),
            "nbdcopy, told that the target is zero": lambda: nbdcopy(source, target, "--destination-is-zero"),
            "nbdcopy": lambda: nbdcopy(source, target),
            "qemu-img, told that the target is zero": lambda: qemu_img(source, target, "--target-is-zero"),
        }

    def source(self) -> Path:
        path = self.directory / "source"
        if not path.exists():
            make_disk(path, 4 * self.gib, 1536 * self.mib, 64 * self.mib)
        return path

    def sparse(self) -> Case:
        target = self.directory / "target"
        self.empty(target, 4 * self.gib)()
        ends = self.serve(self.source(), read_only=True), self.serve(target)
        return Case("4 GiB sparse, 1.5 GiB of data", self.whole(*ends), self.empty(target, 4 * self.gib))

    def almost_empty(self) -> Case:
        source, target = self.directory / "empty-source", self.directory / "target"
        make_disk(source, 16 * self.gib, 64 * self.mib, 4 * self.mib)
        self.empty(target, 16 * self.gib)()
        ends = self.serve(source, read_only=True), self.serve(target)
        return Case("16 GiB almost empty", self.whole(*ends), self.empty(target, 16 * self.gib))

    def latency(self) -> Case:
        target = self.directory / "target"
        self.empty(target, 4 * self.gib)()
        far = {"rdelay": "5ms", "blocksize-maximum": "2M", "blocksize-error-policy": "error"}
        source = self.serve(self.source(), "blocksize-policy", "delay", read_only=True, **far)
        contenders = self.whole(source, self.serve(target))
        return Case("5 ms per read, 2 MiB at most", contenders, self.empty(target, 4 * self.gib))

    def two(self) -> Case:
        sources = [self.serve(self.source(), read_only=True) for _ in range(2)]
        paths = [self.directory / f"target-{number}" for number in range(2)]
        emptying = [self.empty(path, 4 * self.gib) for path in paths]

        def empty_both() -> None:
            for empty in emptying:
                empty()

        empty_both()
        pairs = list(zip(sources, [self.serve(path) for path in paths], strict=True))

        def ours(number: int) -> list[str]:
            uris = [end.uri for end in pairs[number]]
            checkpoint = f"--checkpoint={self.directory / f'checkpoint-{number}'}"
            return [sys.executable, "-m", "longshore.blocks", *uris, "--progress=none", "--verify=none", checkpoint]

        def theirs(number: int) -> list[str]:
            options = ["--flush", "--connections=4", "--requests=64", "--destination-is-zero"]
            return ["nbdcopy", *options, *(end.uri for end in pairs[number])]

        contenders = {
            OURS: lambda: run_together([ours(0), ours(1)]),
            "nbdcopy, told that the target is zero": lambda: run_together([theirs(0), theirs(1)]),
        }
        return Case("two disks at once, 1.5 GiB each", contenders, empty_both)

    def serve_rbd(self) -> Export:
        if self.rbd is None:
            raise SystemExit(NEEDS_RBD)
        options = {"driver": "raw", "file.driver": "rbd"}
        options |= {f"file.{key}": value for key, value in (item.split("=", 1) for item in self.rbd.split(","))}
        return self.stack.enter_context(serve_qemu_nbd(options))

    def into_rbd(self) -> Case:
        target = self.serve_rbd()

        def discard() -> None:
            steps = [f"--cmd=discard {number}G 1G" for number in range(4)]
            run("qemu-io", "-f", "raw", *steps, target.uri)

        contenders = self.whole(self.serve(self.source(), read_only=True), target)
        return Case("into Ceph RBD through qemu-nbd, 1.5 GiB", contenders, discard)

    def verify_rbd(self) -> Case:
        return self.verify("reading the target back from Ceph RBD, 1.5 GiB in 4 GiB", self.serve_rbd())

    def field(self) -> Case:
        source, target = self.directory / "field-source", self.directory / "field-target"
        size = FIELD_SIZE * self.gib // GIB // 512 * 512
        make_disk(source, size // MIB * MIB, 512 * self.mib, 4 * self.mib)
        os.truncate(source, size)
        self.empty(target, size)()
        ends = self.serve(source, read_only=True), self.serve(target)
        base, changes = self.directory / "field-manifest", self.directory / "field-changes"
        longshore(*ends, f"--manifest={base}")
        numbers = random.Random(2)
        left, listed = FIELD_CHANGED * self.gib // GIB, []
        with source.open("r+b") as file:
            while left:
                length = min(left, numbers.choice([512, 4096, 65536, 131072]))
                offset = numbers.randrange(size // 65536 - 2) * 65536
                file.seek(offset)
                file.write(numbers.randbytes(length))
                listed.append([offset, length])
                left -= length
        changes.write_text(json.dumps(listed))
        options = [f"--changes={changes}", f"--base-manifest={base}", f"--manifest={self.directory / 'new-manifest'}"]
        options.append(f"--checkpoint={self.directory / 'field-checkpoint'}")
        command = Path(sys.executable).with_name("longshore")

        def whole_command() -> None:
            run(command, "copy", ends[0].uri, ends[1].uri, "--progress=none", *options)

        contenders = {OURS: lambda: longshore(*ends, *options), "the same as `longshore copy`": whole_command}
        return Case("delta of 1,983,040 bytes in 14 GB, verified", contenders)

    def scattered(self) -> Case:
        source, target = self.directory / "scattered-source", self.directory / "target"
        make_disk(source, 4 * self.gib, 256 * self.mib, 4 * self.mib)
        self.empty(target, 4 * self.gib)()
        far = {"rdelay": "10ms"}
        ends = self.serve(source, "delay", read_only=True, **far), self.serve(target)
        places = random.Random(3).sample(range(4 * self.gib // (64 * KIB)), 1000 * self.gib // GIB)
        listed = [[place * 64 * KIB, 64 * KIB] for place in sorted(places)]
        changes = self.directory / "scattered-changes"
        changes.write_text(json.dumps(listed))

        def one_at_a_time() -> None:
            import nbd

            one, two = nbd.NBD(), nbd.NBD()
            one.connect_uri(ends[0].uri)
            two.connect_uri(ends[1].uri)
            for offset, length in listed:
                two.pwrite(one.pread(length, offset), offset)
            two.flush()

        contenders = {
            OURS: lambda: longshore(*ends, f"--changes={changes}", f"--checkpoint={self.directory / 'checkpoint'}"),
            "one request at a time, unverified": one_at_a_time,
        }
        return Case("1,000 extents of 64 KiB, 10 ms away, verified", contenders)

    def verify_cached(self) -> Case:
        return self.verify("reading the target back from memory, 1.5 GiB in 4 GiB", self.serve_target())

    def verify_disk(self) -> Case:
        served = self.serve_target(cached=False)
        return self.verify("reading the target back from a disk, 1.5 GiB in 4 GiB", served)

    def serve_target(self, *, cached: bool = True) -> Export:
        target = self.directory / "target"
        self.empty(target, 4 * self.gib)()
        return self.serve(target) if cached else self.serve(target, cache="none")

    def verify(self, name: str, target: Export) -> Case:
        ends = self.serve(self.source(), read_only=True), target
        done = [f"--checkpoint={self.directory / 'verify-checkpoint'}", "--source-identity=bench"]
        longshore(*ends, *done, "--verify=none")
        contenders = {
            # The checkpoint says that all is done, so verifying is all that is left
            OURS: lambda: longshore(*ends, *done, "--verify=full"),
            "nbdcopy TARGET null:": lambda: run("nbdcopy", "--connections=4", "--requests=64", ends[1].uri, "null:"),
        }
        return Case(name, contenders)


CASES = {
    "sparse": Bench.sparse,
    "empty": Bench.almost_empty,
    "latency": Bench.latency,
    "two": Bench.two,
    "rbd": Bench.into_rbd,
    "field": Bench.field,
    "scattered": Bench.scattered,
    "verify": Bench.verify_cached,
    "verify-disk": Bench.verify_disk,
    "verify-rbd": Bench.verify_rbd,
}


@contextmanager
def working_directory(chosen: Path | None) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="longshore-bench-", dir=chosen))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all; those of rbd with --rbd"
    )
    asked.add_argument("--runs", type=int, default=9)
    asked.add_argument("--directory", type=Path, help="where the disks are made (default: the temporary directory)")
    asked.add_argument("--rbd", help="an RBD image of 4 GiB to write: pool=…,image=…,conf=…,user=…")
    asked.add_argument("--condition", action="append", choices=CONDITIONS, help="can be repeated; default: all four")
    args = asked.parse_args()
    need("nbdkit", "nbdcopy", "qemu-img", "qemu-nbd")
    names = args.cases or [name for name in CASES if not name.endswith("rbd") or args.rbd]
    if unknown := sorted(set(names) - set(CASES)):
        raise SystemExit(f"There is no case {unknown[0]}, only {', '.join(CASES)}.")
    if not args.rbd and any(name.endswith("rbd") for name in names):
        raise SystemExit(NEEDS_RBD)
    runs, gib = (1, GIB >> 6) if args.small else (args.runs, GIB)
    print("| case | condition | Longshore, s | others, s | ratio | slowest | MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        for condition in args.condition or (CONDITIONS[1:2] if args.small else CONDITIONS):
            with working_directory(args.directory) as directory, ExitStack() as stack:
                neighbour = stack.enter_context(under(condition))
                case = CASES[name](Bench(directory, stack, args.rbd, gib))
                case.condition, case.neighbour = condition, neighbour
                Memory.take()
                case.run(runs)
                print(case.row(), flush=True)
                if not args.small:
                    keep_case(case.as_json())


def keep_case(done: dict[str, Any]) -> None:
    """In the place of what was measured of this case under this condition before."""
    which = (done["case"], done["condition"])
    others = [each for each in kept("copying").get("cases", []) if (each["case"], each["condition"]) != which]
    keep("copying", {"cases": [*others, done]})


if __name__ == "__main__":
    main()
