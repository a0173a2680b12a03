"""What a vault does with a system's disk: the first backup, its twin, thirty points, a thousand, files, encryption; and
with the files of a disk of 1 TiB.

    .venv/bin/python bench/vault.py [--runs 5] [--directory DIR] [--from /usr] [--small]

The disk is an ext4 of 3 GiB with some 1 GB of the files of this machine's own system. Everything but the thousand
points is done by the commands that a user has, each a process of its own, so their start is in every figure. Results
go to bench/results/vault.json, a table to standard output.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from backing_up import memory_of, run, size_of, write_here_and_there
from copying import GIB, MIB, rounded, settle, spread
from outcome import about_machine, keep, need, now, parser

from longshore.client import Client, Embedded
from longshore.configuration import Configuration, read_configuration
from longshore.service import mount
from longshore.vault.directory import Directory
from longshore.vault.points import new_name, points, write_point
from longshore.vault.vault import Vault

LONGSHORE = Path(sys.executable).parent / "longshore"
PHRASE = "the bench's pass phrase"
SIZE, DATA = 3 * GIB, 1000 * MIB
LARGE, LARGE_DATA = 1024 * GIB, 300 * MIB
POINTS, MANY = 30, 1000


class Bench:
    def __init__(self, root: Path) -> None:
        self.root, self.images = root, root / "images"
        self.images.mkdir()
        (root / "phrase").write_text(PHRASE + "\n")
        self.rows: list[dict[str, object]] = []
        self.did("provider", "add", "files", "files", "--url", f"file://{self.images}")

    def command(self, *words: object, state: str = "state") -> list[str]:
        return [str(LONGSHORE), "--state", str(self.root / state), *map(str, words)]

    def did(self, *words: object, state: str = "state") -> tuple[float, str]:
        """Seconds, and what it answered."""
        start = time.perf_counter()
        command = self.command(*words, state=state)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return time.perf_counter() - start, done.stdout

    def vault(self, name: str, *, encrypted: bool) -> Path:
        phrase = ("--pass-phrase-file", self.root / "phrase") if encrypted else ()
        self.did("vault", "create", name, self.root / name, *phrase)
        return self.root / name

    def back_up(self, machine: str, vault: str) -> float:
        settle()
        words = ("--source", "files", "--vault", vault, "--verify", "none", "--wait", "--plain")
        return self.did("backup", "create", machine, *words)[0]

    def tell(self, what: str, seconds: list[float], **more: object) -> None:
        print(
            f"| {what} | {spread(seconds)} | {', '.join(f'{name} {value}' for name, value in more.items())} |",
            flush=True,
        )
        self.rows.append({"what": what, "seconds": rounded(seconds), **more})


def make_image(path: Path, source: Path, size: int = SIZE, data: int = DATA) -> None:
    """Files of a system, as many as there is room for."""
    kept, chosen = 0, path.with_suffix(".files")
    for file in sorted(source.rglob("*")):
        if kept >= data:
            break
        if file.is_file() and not file.is_symlink():
            place = chosen / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            kept += file.stat().st_size
    (chosen / "etc").mkdir(exist_ok=True)
    (chosen / "etc/hostname").write_text("bench\n")
    (chosen / "five").write_bytes(os.urandom(5 * MIB))
    options = ("-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1")
    subprocess.run(["mke2fs", *options, "-d", chosen, path, f"{size // MIB}M"], check=True)
    shutil.rmtree(chosen)


def first_and_its_twin(bench: Bench, runs: int) -> None:
    stored, twins, seconds, of_twins = 0, 0, [], []
    for number in range(runs):
        place = bench.vault(f"first-{number}", encrypted=True)
        seconds.append(bench.back_up("system", place.name))
        stored = size_of(place)
        of_twins.append(bench.back_up("twin", place.name))
        twins = size_of(place) - stored
        if number < runs - 1:
            shutil.rmtree(place)
    bench.tell("first backup, encrypted", seconds, stored_mib=round(stored / MIB))
    share = round(100 * (1 - twins / stored), 1)
    bench.tell(
        "of a second machine of the same image", of_twins, stored_mib=round(twins / MIB), not_stored_percent=share
    )


def encryption(bench: Bench, runs: int) -> None:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(runs):
        for encrypted in random.sample([True, False], 2):
            place = bench.vault(f"paired-{encrypted}-{number}", encrypted=encrypted)
            seconds[encrypted].append(bench.back_up("system", place.name))
            shutil.rmtree(place)
    times = round(median(seconds[True]) / median(seconds[False]), 3)
    bench.tell("first backup, in clear", seconds[False], encrypted_takes_times=times)


def thirty_points(bench: Bench) -> None:
    """The first and one in the middle are deleted: nothing is rewritten, and the others are whole."""
    place, chance = bench.vault("thirty", encrypted=True), random.Random(4)
    for _ in range(POINTS):
        bench.back_up("small", "thirty")
        write_here_and_there(bench.images / "small.img", chance, bench.root / "changes")
    names = [one["Point"] for one in json.loads(bench.did("backup", "list", "--vault", "thirty", "-f", "json")[1])]
    packs = {path: path.stat().st_mtime_ns for path in place.glob("packs/*/*")}
    start = time.perf_counter()
    for name in (names[0], names[POINTS // 2]):
        bench.did("backup", "delete", name, "--vault", "thirty")
    pruned = bench.did("vault", "prune", "thirty", "--wait", "--plain")[0]
    whole = time.perf_counter() - start
    rewritten = sum(
        path.stat().st_size for path in place.glob("packs/*/*") if packs.get(path) != path.stat().st_mtime_ns
    )
    took, told = bench.did("vault", "verify", "thirty", "--wait", "--plain", "-f", "json")
    found = json.loads(told)["result"]
    bench.tell("two of thirty points deleted and pruned", [whole], prune_seconds=round(pruned, 2), rewritten=rewritten)
    bench.tell("the others verified", [took], points=found["points"], faults=len(found["faults"]))


def a_thousand_points(bench: Bench) -> None:
    """An installation that has nothing but the vault."""
    vault = Vault.open(Directory(bench.root / "thirty"), "write", PHRASE)
    some = list(points(vault))
    now = datetime.now(UTC)
    for number in range(MANY - len(some)):
        one, moment = some[number % len(some)], now - timedelta(minutes=number)
        folder = one.name.partition("/")[0]
        write_point(vault, type(one)(new_name(folder, moment), moment, one.disks, one.content))
    added = bench.did(
        *("provider", "add", "vault", "found", "--directory", bench.root / "thirty"),
        *("--pass-phrase-file", bench.root / "phrase"),
        state="empty",
    )[0]
    listed, told = bench.did("backup", "list", "--vault", "found", "-f", "json", state="empty")
    imported = bench.did("vault", "import", "found", state="empty")[0]
    seconds = [added + imported]
    bench.tell(
        "a vault of 1,000 points added and imported",
        seconds,
        points=len(json.loads(told)),
        list_seconds=round(listed, 2),
    )


def files(bench: Bench, runs: int, machine: str, vault: str) -> None:
    got = bench.root / "got"
    words_of = {
        "found": ("backup", "files", "find", machine, "hostname", "--vault", vault),
        "one of 5 MiB fetched": ("backup", "files", "get", machine, "/five", "--vault", vault, "--to", got),
    }
    for what, words in words_of.items():
        seconds = []
        for _ in range(runs):
            got.unlink(missing_ok=True)
            seconds.append(bench.did(*words)[0])
        got.unlink(missing_ok=True)
        memory = run(bench.command(*words))  # once more: who looks takes time of its own
        bench.tell(f"files of {machine}: {what}", seconds, memory_mib=round(memory))
    seconds, memory = [], 0.0
    for _ in range(runs):
        there = bench.root / "mounted"
        there.mkdir(exist_ok=True)
        start = time.perf_counter()
        command = bench.command("backup", "mount", machine, there, "--vault", vault)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while not (there / "etc/hostname").exists():
                time.sleep(0.01)
            seconds.append(time.perf_counter() - start)
            assert (there / "five").stat().st_size == 5 * MIB
            (there / "five").read_bytes()
            memory = max(memory, memory_of(process.pid))
            process.terminate()
    bench.tell(f"files of {machine}: mounted, and a name in it seen", seconds, memory_mib=round(memory))


def files_of_a_large_disk(bench: Bench, runs: int, source: Path) -> None:
    make_image(bench.images / "large.img", source, LARGE, LARGE_DATA)
    bench.vault("large", encrypted=True)
    bench.tell("first backup of a disk of 1 TiB", [bench.back_up("large", "large")])
    files(bench, runs, "large", "large")


class Lasting(Embedded):
    """As a server is: what was read is kept for who asks again."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self._unmount()
        self._app, self._unmount = mount(configuration, lasting=True)


def files_of_a_service(bench: Bench, runs: int, vault: str) -> None:
    """As a server is asked for them, which runs and has opened the vault: nothing has to start. What others do takes
    a longer part of so short a time: more runs."""
    pieces = list[bytes]()
    with Client(Lasting(read_configuration(None, state=bench.root / "state"))) as client:
        asked: dict[str, Callable[[], object]] = {
            "files found by a service": lambda: client.point_files(vault, "system", "/", "hostname"),
            "one of 5 MiB fetched from a service": lambda: client.fetch_file(
                vault, "system", "/five", lambda _tar, _length: pieces.append
            ),
        }
        client.vault_points(vault)  # it opens the vault
        for what, ask in asked.items():
            settle()
            seconds = []
            for _ in range(3 * runs):
                start = time.perf_counter()
                ask()
                seconds.append(time.perf_counter() - start)
            bench.tell(what, seconds)
    assert len(b"".join(pieces)) == 3 * runs * 5 * MIB


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--directory", type=Path)
    asked.add_argument("--from", dest="source", type=Path, default=Path("/usr"))
    args = asked.parse_args()
    need("mke2fs", "nbdkit")
    runs = 1 if args.small else args.runs
    with tempfile.TemporaryDirectory(dir=args.directory) as directory:
        bench = Bench(Path(directory))
        size = (64 * MIB, 4 * MIB) if args.small else (SIZE, DATA)
        make_image(bench.images / "system.img", args.source, *size)
        shutil.copyfile(bench.images / "system.img", bench.images / "twin.img")
        write_here_and_there(bench.images / "twin.img", random.Random(3), bench.root / "changes")
        with (bench.images / "small.img").open("wb") as file:
            file.write(os.urandom(64 * MIB))
        print("| what | seconds | |\n| --- | --- | --- |")
        if args.small:
            bench.vault("first", encrypted=True)
            bench.back_up("system", "first")
            files_of_a_service(bench, 1, "first")
            return
        first_and_its_twin(bench, runs)
        encryption(bench, runs)
        files(bench, runs, "system", f"first-{runs - 1}")
        files_of_a_large_disk(bench, runs, args.source)
        files_of_a_service(bench, runs, f"first-{runs - 1}")
        thirty_points(bench)
        a_thousand_points(bench)
    keep("vault", {"at": now(), "machine": about_machine(), "figures": bench.rows})


if __name__ == "__main__":
    main()
