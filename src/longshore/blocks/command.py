"""The copy command, of `longshore copy` and `python -m longshore.blocks`: its arguments and what it prints."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

from longshore.blocks.progress import bar
from longshore.blocks.request import CopyProgress, CopyRequest, CopyResult, FilePath
from longshore.errors import Cancelled, InvalidInput, LongshoreError
from longshore.model.extents import Extent
from longshore.model.verify import Verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

DESCRIPTION = "Copy a disk from one NBD export to another, verified, and able to go on after an interruption"
EXIT_FAILED = 1
EXIT_INVALID = 2
EXIT_CANCELLED = 130
_DEFAULTS = CopyRequest(source_uri="", target_uri="")


def _read(parse: str) -> Callable[[str], float]:
    """Make of a parser in `model/quantities.py` one that argparse can use, loaded by copies that have such options."""

    def read(text: str) -> float:
        from longshore.model import quantities

        try:
            found: float = getattr(quantities, parse)(text)
        except InvalidInput as error:
            raise _unusable(str(error)) from None
        return found

    return read


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise _unusable(f"{text!r} is not a number above 0")
    return int(text)


def _unusable(why: str) -> Exception:
    from argparse import ArgumentTypeError

    return ArgumentTypeError(why)


# What every option takes, as argparse wants to know it
_OPTIONS: dict[str, dict[str, Any]] = {
    "--changes": {
        "metavar": "FILE",
        "help": "copy only these extents: a JSON list of [offset, length] in bytes",
    },
    "--manifest": {"metavar": "FILE", "help": "write the digests of the disk's blocks here"},
    "--base-manifest": {
        "metavar": "FILE",
        "help": "digests of what the target holds now; without --changes, only blocks that differ are written",
    },
    "--checkpoint": {"metavar": "FILE", "help": "record progress here, and go on from what is recorded"},
    "--verify": {
        "choices": [str(verify) for verify in Verify],
        "default": str(_DEFAULTS.verify),
        "help": "how much of the target to read back and compare (default: %(default)s)",
    },
    "--rate-limit": {
        "type": _read("parse_rate"),
        "metavar": "RATE",
        "help": "bytes per second to read at most; K, M and G are 1024-fold",
    },
    "--limit-group": {
        "action": "append",
        "default": [],
        "metavar": "FILE",
        "help": "share the limits in this file with all other copies that name it (may be given more than once)",
    },
    "--connections": {
        "type": _positive,
        "default": _DEFAULTS.connections,
        "metavar": "N",
        "help": "to each side at most (default: %(default)s)",
    },
    "--maximum-read": {
        "type": _read("parse_size"),
        "metavar": "SIZE",
        "help": "largest single read from the source (2M suits a vCenter, 23M an ESXi host)",
    },
    "--block-size": {
        "type": _read("parse_size"),
        "default": _DEFAULTS.block_size,
        "metavar": "SIZE",
        "help": "of the digests, a power of two; a base manifest must have the same (default: 1M)",
    },
    "--merge-gap": {
        "type": _read("parse_size"),
        "default": _DEFAULTS.merge_gap,
        "metavar": "SIZE",
        "help": "copy unchanged or empty stretches up to this size along with what is around them (default: 64K)",
    },
    "--checkpoint-every": {
        "type": _read("parse_seconds"),
        "default": _DEFAULTS.checkpoint_interval,
        "metavar": "SECONDS",
        "help": "flush the target and record progress this often (default: %(default)s)",
    },
    "--retry-for": {
        "type": _read("parse_seconds"),
        "default": _DEFAULTS.retry_for,
        "metavar": "SECONDS",
        "help": "how long to try again when a side fails (default: %(default)s)",
    },
    "--disk": {"default": _DEFAULTS.disk, "metavar": "NAME", "help": "what messages call the disk"},
    "--source-identity": {
        "metavar": "TEXT",
        "help": "names one moment of one source disk, for checkpoint and manifest (default: the URI)",
    },
    "--target-identity": {"metavar": "TEXT", "help": "names the target, for the checkpoint (default: the URI)"},
    "--progress": {
        "choices": ["bar", "json", "none"],
        "default": "bar",
        "help": "how to tell what is going on; the last line of json is the result (default: %(default)s)",
    },
}


EXAMPLES = (
    "longshore copy nbd://source.example/disk nbd://target.example/disk",
    "longshore copy --manifest disk.manifest nbds://source.example/disk nbd+unix:///?socket=/run/disk.sock",
)


def main(arguments: Sequence[str], name: str) -> int:
    """Do what the arguments of the command of this name say, and answer the exit code."""
    if (plain := _plain(arguments)) is not None:
        return run(plain)
    return run(parser_of(name).parse_args(arguments))


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return what reads the command's arguments, where it is called so."""
    import argparse

    examples = "\n".join(["examples:", *(f"  {example}" for example in EXAMPLES)])
    kept = argparse.RawDescriptionHelpFormatter  # which leaves lines as they are
    parser = argparse.ArgumentParser(prog=name, description=DESCRIPTION, epilog=examples, formatter_class=kept)
    parser.add_argument("source", metavar="SOURCE_URI", help="NBD URI of the disk to copy")
    parser.add_argument("target", metavar="TARGET_URI", help="NBD URI of the disk to write, at least as large")
    for option, details in _OPTIONS.items():
        parser.add_argument(option, **details)
    return parser


def _plain(arguments: Sequence[str]) -> SimpleNamespace | None:
    """Parse two URIs and options of the form --name=value; return None for anything else.

    As a program writes them, that is. argparse, which knows all the other ways and has something to say about what is
    wrong, takes as long to import and prepare as a small copy's data needs to be copied.
    """
    values: dict[str, Any] = {_field(name): details.get("default") for name, details in _OPTIONS.items()}
    uris = []
    for argument in arguments:
        if not argument.startswith("-"):
            uris.append(argument)
            continue
        name, given, text = argument.partition("=")
        details = _OPTIONS.get(name)
        if not given or details is None or text not in details.get("choices", [text]):
            return None
        try:
            value = details.get("type", str)(text)
        except Exception:  # noqa: BLE001 - argparse tries it again, and says what is wrong with it
            return None
        appended = "action" in details
        values[_field(name)] = [*values[_field(name)], value] if appended else value
    if len(uris) != 2:
        return None
    return SimpleNamespace(source=uris[0], target=uris[1], **values)


def _field(name: str) -> str:
    return name[2:].replace("-", "_")


def arguments_of(request: CopyRequest, changes_file: FilePath | None) -> list[str]:
    """Return the command line that asks for this copy; `changes_file` holds its changes."""
    arguments = [request.source_uri, request.target_uri, "--progress=json"]
    for option, field in _fields():
        value: Any = changes_file if field == "changes" else getattr(request, field)
        values = value if field == "limit_groups" else [value]
        arguments += [f"{option}={one}" for one in values if one is not None]
    return arguments


def request_from(arguments: argparse.Namespace | SimpleNamespace) -> CopyRequest:
    """Return the copy that was asked for. Raises InvalidInput."""
    asked = {field: getattr(arguments, _field(option)) for option, field in _fields()}
    asked["changes"] = None if arguments.changes is None else read_changes(arguments.changes)
    asked["verify"] = Verify(arguments.verify)
    asked["limit_groups"] = tuple(arguments.limit_group)
    return CopyRequest(arguments.source, arguments.target, **asked)


def _fields() -> Iterator[tuple[str, str]]:
    """Yield each option that says something of the copy, and the field of `CopyRequest` that it says."""
    otherwise = {"--checkpoint-every": "checkpoint_interval", "--limit-group": "limit_groups"}
    return ((option, otherwise.get(option, _field(option))) for option in _OPTIONS if option != "--progress")


def run(arguments: argparse.Namespace | SimpleNamespace) -> int:
    """Copy, print how it goes and how it went, and answer the exit code."""
    try:
        request = request_from(arguments)
        if arguments.progress == "json":
            result = _copy(request, lambda progress: _print_json("progress", progress._asdict()))
            _print_json("result", result._asdict())
        elif arguments.progress == "bar":
            with bar(request.disk) as report:
                result = _copy(request, report)
            _print_summary(result)
        else:
            _copy(request, lambda _: None)
    except LongshoreError as error:
        if arguments.progress == "json":
            details = {"message": error.message, "advice": error.advice, "code": error.code}
            _print_json("error", {"type": type(error).__name__, **details})
        else:
            print(error, file=sys.stderr)
        match error:
            case Cancelled():
                return EXIT_CANCELLED
            case InvalidInput():
                return EXIT_INVALID
        return EXIT_FAILED
    return 0


def _copy(request: CopyRequest, report: Callable[[CopyProgress], None]) -> CopyResult:
    try:
        from longshore.blocks.copy import Copy
    except ModuleNotFoundError as error:
        from longshore.processes.installed import missing_module

        raise (missing_module(error) or error) from None  # the sentence is all that is shown
    copy = Copy(request, report)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: copy.cancel())
    return copy.run()


def _print_json(event: str, details: dict[str, Any]) -> None:
    import json

    print(json.dumps({"event": event, **details}), flush=True)


def _print_summary(result: CopyResult) -> None:
    mib = 1 << 20
    print(
        f"Copied in {result.seconds:.1f} s: {result.bytes_written / mib:.1f} MiB written, "
        f"{result.bytes_zeroed / mib:.1f} MiB zeroed, {result.bytes_skipped / mib:.1f} MiB skipped, "
        f"{result.bytes_verified / mib:.1f} MiB verified."
    )
    if result.repaired:
        ranges = ", ".join(f"{extent.offset}-{extent.end - 1}" for extent in result.repaired)
        print(f"Wrong when read back, and right after writing them once more: bytes {ranges}.", file=sys.stderr)


def read_changes(path: FilePath) -> tuple[Extent, ...]:
    """Read the extents in a JSON file. Raises InvalidInput."""
    import json

    try:
        with open(path) as file:
            listed = json.load(file)
    except OSError as error:
        raise InvalidInput(f"The list of changes {path} can't be read: {error.strerror}.") from error
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(_is_pair(item) for item in listed):
        raise InvalidInput(
            f"The list of changes {path} isn't a JSON list of [offset, length] pairs in bytes.",
            advice="Nothing was written.",
        )
    return tuple(Extent(offset, length) for offset, length in listed)


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(type(number) is int and number >= 0 for number in item)
