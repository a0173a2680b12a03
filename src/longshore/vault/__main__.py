"""Serves one disk of a vault: `python -m longshore.vault WHERE PID_FILE REQUEST`, which is a file of JSON.

WHERE is the path of a Unix socket, or a port of the loopback address. For `longshore.vault.exports`.
It ends with SIGTERM; what wasn't flushed by then is lost.
"""

import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.errors import LongshoreError, Unreachable
from longshore.vault.disks import DiskReader, NewDisk, PointDisk, damage_beside
from longshore.vault.errors import Damaged
from longshore.vault.geometry import Top
from longshore.vault.nbd import serve
from longshore.vault.vault import Vault, store_at
from longshore.vault.writers import beat, beat_every

if TYPE_CHECKING:
    from longshore.vault.known_blocks import KnownBlocks


def main(where: str, pid_file: str, request: str) -> int:
    told = json.loads(Path(request).read_bytes())
    top = Top.of(told["top"])
    try:
        vault = Vault.with_key(store_at(told["vault"]), "write" if "journal" in told else "read", told["key"])
        if "journal" in told:
            beat(vault, told["writer"])
            tops = [Top.of(one) for one in told["known"]]
            journal = Path(told["journal"])
            noted = damage_beside(journal)
            disk: DiskReader = NewDisk(vault, top, journal, known=_known(vault, tops))
            threading.Thread(target=_live, args=(vault, told["writer"]), daemon=True).start()
        else:
            disk, noted = PointDisk(vault, top, called=told["called"]), None
    except LongshoreError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        listening = _listening(where)
    except OSError as error:
        print(f"{where} can't be listened on: {error.strerror}", file=sys.stderr)
        return 1

    def note(error: Damaged) -> None:
        if noted is not None:
            noted.write_text(str(error))

    with listening:
        Path(pid_file).write_text(f"{os.getpid()}\n")
        serve(listening, disk, note)
    return 0


def _listening(where: str) -> socket.socket:
    """Return a socket that listens on a loopback port (a number) or at a path. Raises OSError."""
    if where.isdecimal():
        return socket.create_server(("127.0.0.1", int(where)), backlog=64)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(where)
    listening.listen(64)
    return listening


def _known(vault: Vault, tops: list[Top]) -> "KnownBlocks | None":
    if not tops:
        return None
    from longshore.vault.known_blocks import KnownBlocks  # whoever knows of none doesn't load a database

    return KnownBlocks(vault, tops)


def _live(vault: Vault, writer_id: str) -> None:
    """Give signs of life, until the writer is taken for dead."""
    pause = threading.Event()
    while not pause.wait(beat_every(vault)):
        try:
            beat(vault, writer_id)
        except Unreachable as error:  # a file server or a bucket that is away for a moment
            print(f"No sign of life could be given: {error}", file=sys.stderr, flush=True)
        except LongshoreError as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
