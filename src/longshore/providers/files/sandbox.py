"""Where QEMU takes strangers' images apart: with no network, no files and no rights.

An image's bytes come to it through a Unix socket from a process that doesn't understand them, and go on through
another; whoever takes QEMU over from inside an image has these two. See docs/decisions/machines-in-files.md.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from longshore.blocks.exports import Export
from longshore.border.texts import shortened
from longshore.errors import ExportError, InvalidInput
from longshore.model.strict_reading import read_json
from longshore.processes.parent import die_with_parent

MEMORY = 2 << 30  # bytes of address space; QEMU's tables of an image of 60 TiB take a quarter of it
ANSWERS_WITHIN = 120.0  # seconds that reading an image's tables may take
_LARGEST_FILE = 4 << 20  # bytes; a pid file and an answer are all that is written
_SAID = 300  # characters of QEMU's own words


def socket_of(export: Export) -> Path:
    return Path(parse_qs(urlsplit(export.uri).query)["socket"][0])


def confine(command: list[str], directory: Path | None, sockets: Sequence[Path]) -> list[str]:
    """The command line of `command` where nothing is but programs, the directory and the sockets, each in its place."""
    if shutil.which("bwrap") is None:
        raise ExportError(
            "Disk images can't be read safely on this machine: bwrap isn't installed.",
            advice="Install the package bubblewrap.",
            code="not-confined",
        )
    libraries = [path for path in map(Path, ("/lib", "/lib64", "/bin", "/etc/ld.so.cache")) if path.exists()]
    links = [word for p in libraries if p.is_symlink() for word in ("--symlink", str(p.readlink()), str(p))]
    bound = [word for p in libraries if not p.is_symlink() for word in ("--ro-bind", str(p), str(p))]
    given = [*([directory] if directory else []), *sockets]
    return [
        *("bwrap", "--die-with-parent", "--unshare-all", "--cap-drop", "ALL", "--clearenv"),
        *("--setenv", "PATH", "/usr/bin", "--setenv", "LC_ALL", "C.UTF-8"),
        *("--ro-bind", "/usr", "/usr", *links, *bound, "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
        *(word for path in given for word in ("--bind", str(path), str(path))),
        *("--", "prlimit", f"--as={MEMORY}", f"--fsize={_LARGEST_FILE}", "--core=0", "--", *command),
    ]


def ask_qemu_img(
    verb: str, options: Mapping[str, str], sockets: Sequence[Path], descriptors: Sequence[int], name: str
) -> dict[str, Any]:
    """What `qemu-img info` or `check` says of an image. An answer of `check` has been given whatever it found.

    Raises InvalidInput, with QEMU's own words when it can't read the image.
    """
    said = ",".join(f"{key}={value.replace(',', ',,')}" for key, value in options.items())
    command = ["qemu-img", verb, "--output=json", "--image-opts", said]
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as errors:  # files, whose sizes are limited
        try:
            done = subprocess.run(
                die_with_parent(*confine(command, None, sockets)),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=errors,
                timeout=ANSWERS_WITHIN,
                check=False,
                pass_fds=list(descriptors),
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired:
            raise InvalidInput(
                f"{name} is no disk image that can be read: its tables took more than {ANSWERS_WITHIN:.0f} s.",
                code="image-refused",
            ) from None
        answer, words = _json(os.pread(told.fileno(), _LARGEST_FILE, 0)), os.pread(errors.fileno(), _LARGEST_FILE, 0)
    if isinstance(answer, dict) and (done.returncode == 0 or verb == "check"):
        return answer
    if verb == "check":  # of some formats QEMU gives no account, only says that it is at an end
        raise InvalidInput(f"{name} is damaged or cut off.", advice="Copy or export it again.", code="truncated")
    raise unreadable(name, words.decode(errors="replace"), options)


def _json(said: bytes) -> Any:
    try:
        return read_json(said)
    except (ValueError, RecursionError):
        return None


def unreadable(name: str, words: str, options: Mapping[str, str]) -> InvalidInput:
    """QEMU's words, in which it names its options rather than the image."""
    last = next((line.strip() for line in reversed(words.strip().splitlines()) if line.strip()), "")
    named = ",".join(f"{key}={value}" for key, value in options.items())
    said = last.replace(named, name).rpartition(f"{name}': ")[2].removeprefix("qemu-img: ").removeprefix("bwrap: ")
    reason = shortened(said, _SAID).rstrip(".") or "QEMU gives no reason"
    return InvalidInput(
        f"{name} is no {options['driver']} image that can be read: {reason}.",
        advice="It may be damaged or cut off: copy or export it again.",
        code="image-refused",
    )
