"""Byte ranges of disks: which parts of a layer hold data."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable

Extent = tuple[int, int]
"""Start and length in bytes."""

CLUSTER = 64 << 10
"""Bytes: the cluster size of our qcow2 layers, the grain of everything said about changes."""


def union(groups: Iterable[Iterable[Extent]]) -> list[Extent]:
    """All ranges of all groups, sorted, overlapping and touching ones joined."""
    joined: list[Extent] = []
    for start, length in sorted((s, n) for group in groups for s, n in group):
        if joined and start <= sum(joined[-1]):
            first, size = joined[-1]
            joined[-1] = (first, max(first + size, start + length) - first)
        else:
            joined.append((start, length))
    return joined


def qcow2_clusters(path: str) -> list[Extent]:
    """The clusters that a qcow2 layer holds itself, whatever is below it; zeroed and discarded ones count."""
    source = {"driver": "qcow2", "file": {"driver": "file", "filename": path}, "backing": None}
    answer = subprocess.run(
        ["qemu-img", "map", "-U", "--output=json", "json:" + json.dumps(source)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return union([[(e["start"], e["length"]) for e in json.loads(answer) if e["present"]]])


def raw_clusters(path: str) -> list[Extent]:
    """The clusters of a raw file that are not holes of the file system."""
    found: list[Extent] = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        position = 0
        while position < size:
            try:
                data = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # ENXIO: only holes from here on
                break
            hole = os.lseek(file.fileno(), data, os.SEEK_HOLE)
            start = data // CLUSTER * CLUSTER
            position = min(-(-hole // CLUSTER) * CLUSTER, size)
            found.append((start, position - start))
    return union([found])


def allocated(path: str) -> list[Extent]:
    return qcow2_clusters(path) if path.endswith(".qcow2") else raw_clusters(path)
