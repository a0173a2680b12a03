"""The sandbox in which QEMU takes strangers' images apart: with no network, no files and no rights.

An image's bytes come to it through a Unix socket from a process that doesn't understand them, and go on through
another; whoever takes QEMU over from inside an image has these two. See longshore.processes.launcher, and
docs/decisions/machines-in-files.md.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from longshore.blocks.exports import Export
from longshore.border.texts import shortened
from longshore.errors import InvalidInput, LongshoreError, Overstepped
from longshore.model.strict_reading import read_json
from longshore.processes.installed import refuse_without
from longshore.processes.launcher import ProcessLimits, Sandbox, refusal

ANSWERS_WITHIN = 120.0  # seconds that reading an image's tables may take
_LARGEST_FILE = 4 << 20  # bytes; a pid file and an answer are all that is written
# QEMU's tables of an image of 60 TiB take a quarter of the memory. It has a thread for each request under way
_LIMITS = ProcessLimits(ANSWERS_WITHIN, memory=2 << 30, scratch=_LARGEST_FILE, processes=256, messages=_LARGEST_FILE)
_SAID = 300  # characters of QEMU's own words


def socket_of(export: Export) -> Path:
    return Path(parse_qs(urlsplit(export.uri).query)["socket"][0])


def sandbox(given: Sequence[Path]) -> Sandbox:
    """Return a sandbox in which nothing is but programs, and these sockets and directories, each in its place."""
    return Sandbox(_LIMITS, sockets={str(path): path for path in given}, own_user=True)


def ask_qemu_img(
    verb: str, options: Mapping[str, str], sockets: Sequence[Path], descriptors: Sequence[int], name: str
) -> dict[str, Any]:
    """Return what `qemu-img info` or `check` says of an image. An answer of `check` has been given whatever it found.

    Raises InvalidInput, with QEMU's own words when it can't read the image, NotInstalled and NotConfined.
    """
    refuse_without("qemu-img")
    said = ",".join(f"{key}={value.replace(',', ',,')}" for key, value in options.items())
    command = ["qemu-img", verb, "--output=json", "--image-opts", said]
    try:
        ended = sandbox(sockets).run(command, descriptors=descriptors)
    except Overstepped:
        raise InvalidInput(
            f"{name} is no disk image that can be read: its tables took more than {ANSWERS_WITHIN:.0f} s.",
            code="image-refused",
        ) from None
    answer = _json(ended.told)
    if isinstance(answer, dict) and (ended.status == 0 or verb == "check"):
        return answer
    if verb == "check":  # of some formats QEMU gives no account, only says that it is at an end
        raise InvalidInput(f"{name} is damaged or cut off.", advice="Copy or export it again.", code="truncated")
    raise unreadable(name, ended.printed.decode(errors="replace"), options)


def _json(said: bytes) -> Any:
    try:
        return read_json(said)
    except (ValueError, RecursionError):
        return None


def unreadable(name: str, words: str, options: Mapping[str, str]) -> LongshoreError:
    """Return QEMU's words, in which it names its options rather than the image; or why it wasn't started."""
    last = next((line.strip() for line in reversed(words.strip().splitlines()) if line.strip()), "")
    if (why := refusal(last)) is not None:
        return why
    named = ",".join(f"{key}={value}" for key, value in options.items())
    said = last.replace(named, name).rpartition(f"{name}': ")[2].removeprefix("qemu-img: ")
    said = re.sub(r"Could not open '[^']*': ", "", said)  # with the name of a socket
    reason = shortened(said, _SAID).rstrip(".") or "QEMU gives no reason"
    return InvalidInput(
        f"{name} is no {options['driver']} image that can be read: {reason}.",
        advice="It may be damaged or cut off: copy or export it again.",
        code="image-refused",
    )
