"""After a crash of the vCenter, of QEMU, or of both: make our record of the chains what they really are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from .chain import Chain
from .qmp import Qmp


def settle(chains: list[Chain], qmp: Qmp | None, pending: dict[int, str]) -> list[str]:
    """Correct the chains and delete layers that belong to none; says what was found.

    The truth is QEMU's own word while it runs, else the headers of the files, from the newest layer down.
    """
    notes = []
    for chain in chains:
        real = _layers_in_qemu(chain, qmp) if qmp else _layers_on_disk(chain, pending.get(chain.key))
        for layer in real:
            if layer not in chain.layers:
                notes.append(f"found {layer}")
                chain.made = max(chain.made, int(Path(layer).stem[-6:]))
                if chain.epoch:
                    chain.born[layer] = chain.seq
        for layer in chain.layers:
            if layer not in real:
                notes.append(f"merged away {layer}")
                if os.path.exists(layer):
                    chain.freeze(layer)
        chain.layers = real
        for layer in real[:-1]:
            chain.freeze(layer)
        for path in sorted(Path(chain.base).parent.glob(f"{Path(chain.stem).name}-*.qcow2")):
            if str(path) not in real:
                notes.append(f"in no chain: {path}")
                path.unlink()
    return notes


def _layers_in_qemu(chain: Chain, qmp: Qmp) -> list[str]:
    for device in qmp.command("query-block"):
        if device.get("qdev", "").rpartition("/")[2] == f"d{chain.key}":
            layers, image = [], device["inserted"]["image"]
            while image:
                layers.append(image["filename"])
                image = image.get("backing-image")
            return layers[::-1]
    raise LookupError(f"QEMU has no disk d{chain.key}")


def _layers_on_disk(chain: Chain, pending: str | None) -> list[str]:
    if not os.path.exists(chain.base):
        return [chain.base]  # not made yet
    if pending and os.path.exists(pending):
        try:
            return _with_backing(chain, pending)
        except subprocess.CalledProcessError:
            pass  # QEMU died while it made this overlay: nothing is in it yet
    top = next(layer for layer in reversed(chain.layers) if os.path.exists(layer))
    return _with_backing(chain, top)


def _with_backing(chain: Chain, top: str) -> list[str]:
    answer = subprocess.run(
        ["qemu-img", "info", "-U", "--backing-chain", "--output=json", "-f", chain.format(top), top],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [image["filename"] for image in json.loads(answer)][::-1]
