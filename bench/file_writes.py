"""How long a file system's kernel takes for writes of several lengths.

    .venv/bin/python bench/file_writes.py [--runs 5] [--directory DIR] [--small]

Each run writes 1 GiB into an empty file, in writes of one length; the file is emptied after it. A file system takes one
stretch of free memory for each write into its cache. On a virtual machine that tells its host of free memory, the long
stretches may have to be had back from there first: then long writes take many times as long as short ones, all of it in
the kernel. That is why copies write in pieces (docs/decisions/copy-threads.md).
"""

import os
import random
import resource
import tempfile
import time
from statistics import median

from outcome import parser

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
LENGTHS = [length * KIB for length in (64, 256, 512, 1024, 2048)]


def write(path: str, length: int, size: int = GIB) -> tuple[float, float]:
    """Seconds that 1 GiB takes, and processor seconds of the kernel."""
    data = memoryview(os.urandom(length))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.ftruncate(file, size)
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        for offset in range(0, size, length):
            os.pwrite(file, data, offset)
        took = time.perf_counter() - start
        kernel = resource.getrusage(resource.RUSAGE_SELF).ru_stime - before.ru_stime
        os.ftruncate(file, 0)
    finally:
        os.close(file)
    os.sync()
    return took, kernel


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--directory", help="where the file is made, instead of the directory for temporary files")
    arguments = asked.parse_args()
    runs, size, rest = (1, 8 * MIB, 0.0) if arguments.small else (arguments.runs, GIB, 1.0)
    taken: dict[int, list[tuple[float, float]]] = {length: [] for length in LENGTHS}
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        for _ in range(runs):
            for length in random.sample(LENGTHS, len(LENGTHS)):
                taken[length].append(write(os.path.join(directory, "file"), length, size))
                time.sleep(rest)  # what was emptied is discarded in the background
    print(
        "| length of a write | seconds for 1 GiB (fastest and slowest) | of these in the kernel |\n| --- | --- | --- |"
    )
    for length, measured in taken.items():
        took, kernel = zip(*measured, strict=True)
        print(f"| {length // KIB} KiB | {median(took):.2f} ({min(took):.2f}–{max(took):.2f}) | {median(kernel):.2f} |")


if __name__ == "__main__":
    main()
