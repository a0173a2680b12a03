"""Building the image. recipe/ says what is in it; here it is decided whether, from which mirrors, and where to.

The mirrors, their keys and a proxy are those of this machine's own apt.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.processes.debian import (
    KEYRING,
    RecipeFailed,
    digest_of,
    known_archives,
    reaching_mirrors,
    run_recipe,
    source,
)

RECIPE = Path(__file__).parent / "recipe"
RECIPE_PROPERTY = "longshore_relay_recipe"  # of an image in a cloud
STEPS = 3  # that the recipe names while it is at work
_MIB = 1 << 20
# Programs, and the packages they are in
_NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "syslinux": "syslinux",
    "qemu-img": "qemu-utils",
    "gcc": "gcc",
    "apt-get": "apt",
}
_FILES = {
    Path("/usr/lib/syslinux/mbr/mbr.bin"): "syslinux-common",
    Path("/usr/include/stdlib.h"): "libc6-dev",
    KEYRING: "debian-archive-keyring",
}


@dataclass(frozen=True, slots=True)
class BuiltImage:
    file: Path
    recipe: str  # digest of what it was made from
    packages: dict[str, str]  # name to version
    sha256: str
    fresh: bool  # made now, and not found


def recipe_digest() -> str:
    return digest_of(RECIPE)


def image_file(named: str | None) -> Path:
    """Return the path of an image: the named one, or where one is built to without a word."""
    return Path(named).absolute() if named else user_cache_path("longshore") / "relay.qcow2"


def built_image(file: Path) -> BuiltImage:
    """Return what an image file and the record beside it say. Raises NotFound, or InvalidInput when they don't fit."""
    if not file.is_file():
        raise NotFound(f"There is no relay image {file}.", advice="Run: longshore relay-image build.")
    try:
        record = json.loads(_record(file).read_text())
        image = BuiltImage(file, str(record["recipe"]), dict(record["packages"]), str(record["sha256"]), fresh=False)
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInput(f"{_record(file)} doesn't say what {file} is.", advice="Build the image again.") from None
    if _sha256(file) != image.sha256:
        raise InvalidInput(f"{file} isn't what was built.", advice="Remove it and build the image again.")
    return image


def build(file: Path, progress: Callable[[int, int, str], None]) -> BuiltImage:
    """Make the image, unless it is there and of this recipe. Takes a minute or two, and 1.5 GB beside the file.

    `progress` is told the step, the number of steps and what is being done. Raises LongshoreError; an image that was
    there stays then.
    """
    recipe = recipe_digest()
    if file.is_file():
        try:
            found = built_image(file)
        except InvalidInput:
            pass
        else:
            if found.recipe == recipe:
                return found
    _check_machine()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".relay-image-", dir=file.parent) as place:
        work = Path(place)
        (work / "sources").write_text(_sources())
        (work / "apt").write_text(reaching_mirrors())
        _run_recipe(work, progress)
        lines = (work / "packages").read_text().splitlines()
        image = BuiltImage(
            file, recipe, dict(line.split(" ", 1) for line in lines), _sha256(work / "relay.qcow2"), fresh=True
        )
        record = {"recipe": image.recipe, "sha256": image.sha256, "packages": image.packages}
        (work / "record").write_text(json.dumps(record, indent=1))
        (work / "relay.qcow2").replace(file)
        (work / "record").replace(_record(file))
    return image


def _run_recipe(work: Path, progress: Callable[[int, int, str], None]) -> None:
    begun: list[str] = []

    def told(step: str) -> None:
        if begun[-1:] != [step]:
            begun.append(step)
        progress(max(0, len(begun) - 2), STEPS, step)

    try:
        run_recipe([str(RECIPE / "build"), str(work), str(work / "sources"), str(work / "apt")], work, told)
    except RecipeFailed as failed:
        raise LongshoreError(
            f"The relay image couldn't be built {failed.message}",
            advice="Check that apt-get update works on this machine.",
            code="image-build-failed",
        ) from None


def _check_machine() -> None:
    missing = {package for program, package in _NEEDED.items() if shutil.which(program) is None}
    missing |= {package for path, package in _FILES.items() if not path.exists()}
    if missing:
        raise InvalidInput(
            "The relay image can't be built here: something is missing on this machine.",
            advice=f"Run, as root: apt-get install {' '.join(sorted(missing))}.",
        )
    if os.geteuid() != 0:
        raise InvalidInput(
            "The relay image can only be built by root: its files belong to root.",
            advice="Run it with sudo, or build it on another machine and bring the file and the .json beside it.",
        )


def _sources() -> str:
    """Return apt's lines for this machine's own release of Debian."""
    found: dict[str, str] = {}
    for archive in known_archives():
        wanted = {"Debian": "", "Debian-Security": "-security"}.get(archive.label)
        if wanted is not None and archive.codename == f"{_release()}{wanted}":
            found.setdefault(archive.label, source(archive.uri, archive.codename))
    if "Debian" not in found:
        raise InvalidInput(
            "apt on this machine knows no mirror of its own release of Debian.",
            advice="Build the image on a Debian machine, after apt-get update.",
        )
    return "".join(found.values())


def _release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return next((line.split("=", 1)[1].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")), "")


def _record(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
