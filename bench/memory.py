"""Takes memory, and gives it back but for one page of each 4 MiB, until its standard input is closed.

    python memory.py [MIB]

A virtual machine may give its free memory back to its host, in pieces of 4 MiB or larger when it is told so
(copying.py tells it). Who writes next then waits for the host, for more than a second per GiB on some, and only luck
decides who that is. A page in each piece keeps the machine from giving it away, and leaves large enough pieces for all
programs' writes. It is a program of its own, since the kernel counts the most memory of a process for its children too.
"""

import mmap
import sys
from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30
PIECE = 4 * MIB
KEPT, SPARE = 14 * GIB, 2 * GIB  # at most, unless told; at least to be left for what else runs here
POPULATE_WRITE = 23  # madvise(2): have it all now


def main() -> None:
    available = int(Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]) << 10
    most = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else KEPT
    size = max(1, min(most, available - SPARE) // PIECE) * PIECE
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory.madvise(POPULATE_WRITE)
        for piece in range(0, size, PIECE):
            memory.madvise(mmap.MADV_DONTNEED, piece + mmap.PAGESIZE, PIECE - mmap.PAGESIZE)
        print("kept", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
