"""A disk as a chain of layers, and what was written in which of them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import Any

from .extents import Extent, qcow2_clusters, union


@dataclass
class Chain:
    """The layers of one disk, oldest first: a raw base, then qcow2 overlays.

    Change tracking: when a layer gets its last write, the clusters it holds are kept as a record, with the number of
    the point (snapshot) after which the layer was born. What changed since point n is the union of the records of all
    layers born at n or later. Records outlive the layers themselves.
    """

    key: int
    """The disk's device key in its machine."""
    layers: list[str]
    image: str
    """The pristine image, which the base is a copy of, made at the first need."""
    born: dict[str, int] = field(default_factory=dict)
    """Layers that may still be written -> the number of the point they were born at."""
    records: list[tuple[int, list[Extent]]] = field(default_factory=list)
    made: int = 0
    """How many overlays were ever made: the names of new ones go on from there."""
    seq: int = 0
    """The number of the newest point."""
    epoch: str | None = None
    """What change ids of this tracking begin with; None while tracking has not begun."""

    @property
    def base(self) -> str:
        return self.layers[0]

    @property
    def top(self) -> str:
        return self.layers[-1]

    @property
    def stem(self) -> str:
        return self.base.removesuffix("-flat.vmdk")

    @property
    def next_layer(self) -> str:
        return f"{self.stem}-{self.made + 1:06}.qcow2"

    def node(self, layer: str) -> str:
        """QEMU's name for a layer."""
        return f"k{self.key}-{os.path.basename(layer).rpartition('-')[2].partition('.')[0]}"

    def format(self, layer: str) -> str:
        return "raw" if layer == self.base else "qcow2"

    @property
    def size(self) -> int:
        """Bytes."""
        return os.path.getsize(self.base if os.path.exists(self.base) else self.image)

    def readable_layers(self, upto: str | None = None) -> list[str]:
        """The layers up to one (or all) as they can be read now, oldest first."""
        layers = self.layers if upto is None else self.layers[: self.layers.index(upto) + 1]
        return layers if os.path.exists(self.base) else [self.image, *layers[1:]]

    def materialize(self) -> None:
        """Make the base, a sparse copy of the image, if it is not there yet."""
        if not os.path.exists(self.base):
            part = self.base + ".part"
            subprocess.run(["cp", "--reflink=auto", "--sparse=always", self.image, part], check=True)
            os.chmod(part, 0o600)
            os.rename(part, self.base)

    def freeze(self, layer: str) -> None:
        """A layer got its last write: keep the record of what it holds."""
        if layer in self.born:
            self.records.append((self.born.pop(layer), qcow2_clusters(layer)))

    def push(self, layer: str) -> None:
        """A new overlay is on top; the layer below it got its last write."""
        self.made += 1
        self.freeze(self.top)
        self.layers.append(layer)
        if self.epoch:
            self.born[layer] = self.seq

    def forget_changes(self) -> None:
        self.records, self.born, self.seq, self.epoch = [], {}, 0, None

    def changed(self, since: int, upto: int | None = None) -> list[Extent]:
        """What was written from point `since` to point `upto`, or to now (only while nothing writes)."""
        found = [clusters for seq, clusters in self.records if since <= seq and (upto is None or seq < upto)]
        if upto is None:
            found += [qcow2_clusters(layer) for layer, seq in self.born.items() if seq >= since]
        return union(found)

    def save(self) -> dict[str, Any]:
        return {
            name: getattr(self, name) for name in ("key", "layers", "image", "born", "records", "made", "seq", "epoch")
        }

    @classmethod
    def load(cls, saved: dict[str, Any]) -> Chain:
        records = [(seq, [(start, length) for start, length in clusters]) for seq, clusters in saved["records"]]
        return cls(**{**saved, "records": records})
