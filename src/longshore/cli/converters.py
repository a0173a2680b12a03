"""longshore converter …: the Debian of its own in which guests are worked on."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.command import ShowOne
from longshore.cli.counting import following

if TYPE_CHECKING:
    from longshore.guests.converter.build import Made
    from longshore.guests.converter.tree import Converter


class BuildConverter(ShowOne):
    """Build the converter, in which all work on guests is done. Nothing is done when it is there already."""

    examples = ("longshore converter build",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--again", action="store_true", help="build it anew all the same, for newer packages")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.guests.converter.build import build

        self.app.configured()  # which says where it is
        with following() as show:
            return _made(build(lambda text: show(0, 0, text), again=args.again))


class ExportConverter(ShowOne):
    """Write the converter to a file, for machines that can't build one: they unpack it."""

    examples = ("longshore converter export converter.tar.zst",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="where to: a tar archive, compressed by zstd")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.guests.converter.build import export

        self.app.configured()
        file = Path(args.file).absolute()
        return {**_fields(export(file)), "file": str(file), "size": f"{file.stat().st_size / (1 << 20):.0f} MiB"}


class UnpackConverter(ShowOne):
    """Take the converter out of a file that another machine has written."""

    examples = ("longshore converter unpack converter.tar.zst",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="what `longshore converter export` has written")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.guests.converter.build import unpack

        self.app.configured()
        with following() as show:
            return _made(unpack(Path(args.file), lambda text: show(0, 0, text)))


def _made(made: Made) -> dict[str, Any]:
    how = "now" if made.started else "before: its recipe is the same"
    started = f"in {made.started.seconds:.0f} s" if made.started else ""
    return {**_fields(made.converter), "built": how, "appliance_started": started}


def _fields(converter: Converter) -> dict[str, Any]:
    return {
        "directory": str(converter.root),
        "recipe": converter.recipe,
        "packages_of": time.strftime("%Y-%m-%d", time.gmtime(converter.made)),
        "packages": len(converter.packages),
        "virt_v2v": converter.version("virt-v2v"),
        "libguestfs": converter.version("libguestfs0t64"),
    }
