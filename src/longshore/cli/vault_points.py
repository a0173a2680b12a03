"""longshore backup serve, mount, export: points of a vault on this machine, for other tools."""

from __future__ import annotations

import os
import select
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.backups import with_point
from longshore.cli.command import Command, Lister
from longshore.errors import InvalidInput

if TYPE_CHECKING:
    from types import FrameType

    from longshore.blocks.exports import LocalExport
    from longshore.vault.points import Point
    from longshore.vault.vault import Vault


class ServePoint(Command):
    """Serve a disk of a point over NBD, read-only, until Ctrl-C: for qemu-img, nbdcopy, guestfish and the like.

    Its address is the one line on standard output, once it can be read. It is a Unix socket that only you may enter;
    with --port anybody on this machine may read the disk. Nothing of it stays when it ends.
    """

    examples = ("longshore backup serve web01 --vault offsite --disk 1",)
    options = (with_point,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--disk",
            type=int,
            metavar="N",
            help="which one, as backup show lists them, from 1; needed if there are more",
        )
        parser.add_argument(
            "--port", type=_port, metavar="PORT", help="of the loopback address, instead of a socket; 0: any free one"
        )

    def take_action(self, args: Namespace) -> None:
        from longshore.vault.exports import serve_disk

        with _told_to_end() as ended, _opened(self, args) as (vault, point):
            key = _disk(point, args.disk)
            with serve_disk(vault, point.top(key), port=args.port, called=point.called(key)) as export:
                print(export.uri, flush=True)
                self.say("It is served until Ctrl-C.")
                _wait(ended, export)


class MountPoint(Command):
    """Mount the files of a point's guest at an empty directory, read-only, until Ctrl-C or umount.

    The directory is the one line on standard output, once files can be read there, by you alone. The kernel of this
    machine reads nothing of the guest's disks: links are bent so that they stay below the directory, devices aren't
    shown, and nothing can be executed. What is read is what backup files reads; a file system that the guest doesn't
    mount is at the top, by its disk and partition: 2.1:.
    """

    examples = ("longshore backup mount web01 /mnt/web01 --vault offsite",)
    options = (with_point,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="empty, and yours")

    def take_action(self, args: Namespace) -> None:
        from longshore.guests.mounted import mount_files
        from longshore.vault.disks import PointDisk

        directory = args.directory.absolute()
        if not directory.is_dir() or any(directory.iterdir()):
            raise InvalidInput(f"{directory} isn't an empty directory.", advice="Make one: mkdir.")

        def tell() -> None:
            print(directory, flush=True)
            self.say(f"It is mounted until Ctrl-C, or: umount {directory}")

        with _opened(self, args) as (vault, point):
            disks = [PointDisk(vault, top, called=point.called(key)) for key, top in point.disks.items()]
            mount_files(disks, directory, point.name, tell)


class ExportPoint(Lister):
    """Write a point's disks as qcow2 files, and machine.json, which describes its machine, to a directory.

    They are in clear, for their owner's eyes only. machine.json is written last: without it an export isn't whole. One
    that fails or is broken off leaves nothing. With --chain all points of the machine up to this one are written, each
    to a directory of its own: an image holds what is new in it, and names the one before by a relative path. A point
    that is damaged is left out and told.
    """

    examples = ("longshore backup export web01 --vault offsite /mnt/exports/web01",)
    options = (with_point,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="empty, or not there yet")
        parser.add_argument(
            "--chain", action="store_true", help="with the machine's earlier points, as a chain of images"
        )

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.blocks.progress import bar
        from longshore.blocks.request import CopyProgress, Phase
        from longshore.providers.vault.exporting import export_chain, export_point
        from longshore.vault.points import points

        with _unwound_by_sigterm(), _opened(self, args) as (vault, point), bar(args.directory.name) as show:

            def report(done: int, total: int) -> None:
                show(CopyProgress(Phase.COPY, total, done, total, done, 0, 0, 0, 0.0, 0.0, None))

            directory = args.directory.absolute()
            if args.chain:
                earlier = [one for one in points(vault, point.name.partition("/")[0]) if one.moment <= point.moment]
                told, left_out = export_chain(vault, earlier, directory, report)
                self.fault = " ".join(f"{name} is left out. {error}" for name, error in left_out.items())
            else:
                told = [export_point(vault, point, directory, report)]
        rows = [
            (
                f"{one['point'].rpartition('/')[2]}/{disk['file']}" if args.chain else disk["file"],
                disk["label"],
                self.size_of(disk["size"]),
            )
            for one in told
            for disk in one["disks"]
        ]
        return ("File", "Disk", "Size"), rows


@contextmanager
def _opened(command: Command | Lister, args: Namespace) -> Iterator[tuple[Vault, Point]]:
    """Return the vault and the point that were named. Raises InvalidInput where a server is to be asked: vaults are
    here."""
    from longshore.flows.clouds import Clouds
    from longshore.providers.vault.source import find_point
    from longshore.store import StateDirectory, Store

    configuration = command.app.configured()
    if command.app.options.server or configuration.url:
        raise InvalidInput(
            "A vault is read where its directory is, and not through a server.", advice="Run it there without --server."
        )
    store = Store(StateDirectory.configured(configuration))
    try:
        with Clouds(store).vault(args.vault, "read") as vault:
            yield vault, find_point(vault, args.point)
    finally:
        store.close()


def _disk(point: Point, number: int | None) -> str:
    """Return the disk's key. Raises InvalidInput."""
    keys = list(point.disks)
    if number is None:
        if len(keys) > 1:
            raise InvalidInput(f"The point {point.name} has {len(keys)} disks.", advice="Say which one: --disk 1.")
        number = 1
    if not 1 <= number <= len(keys):
        raise InvalidInput(f"The point {point.name} has no disk {number}: it has {len(keys)}.")
    return keys[number - 1]


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f'"{text}" is no port: give a number up to 65535')
    return int(text)


@contextmanager
def _told_to_end() -> Iterator[int]:
    """Yield a descriptor that becomes readable with Ctrl-C or SIGTERM, which end nothing by themselves meanwhile."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _wait(ended: int, export: LocalExport) -> None:
    """Wait until the server is told to end. Raises ExportError when it ends by itself."""
    while not select.select([ended, export.fileno()], [], [])[0]:
        pass
    export.check()


@contextmanager
def _unwound_by_sigterm() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)
