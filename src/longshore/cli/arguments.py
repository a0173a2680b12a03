"""Types of arguments, and options that several commands take."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from longshore.errors import InvalidInput
from longshore.model.quantities import parse_rate, parse_seconds
from longshore.model.request import Verify

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from argparse import _ArgumentGroup as ArgumentGroup
    from collections.abc import Callable

    from longshore.api.replicas import NewHold
    from longshore.api.schemas import CutoverTime

T = TypeVar("T")


def mapping(text: str) -> tuple[str, str]:
    """Split SOURCE=TARGET."""
    source, found, target = text.partition("=")
    if not found or not source.strip() or not target.strip():
        raise ArgumentTypeError(f'"{text}" isn\'t SOURCE=TARGET')
    return source.strip(), target.strip()


def time_of(text: str) -> datetime:
    """Read a time in UTC, and say so in it."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f'"{text}" isn\'t a time such as 2026-11-21T22:00 or 2026-11-21T22:00+01:00') from None


def seconds(text: str) -> float:
    """Read a length of time, more than none: 90, 15m."""
    if not (found := _read(parse_seconds, text)):
        raise ArgumentTypeError(f"{text} is no time in which anything happens: give more than 0")
    return found


def rate(text: str) -> int:
    """Read bytes per second: 50M, 800K."""
    return _read(parse_rate, text)


def _read(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except InvalidInput as error:
        raise ArgumentTypeError(str(error)) from None


def with_mapping(group: ArgumentParser | ArgumentGroup, option: str, metavar: str, said: str) -> None:
    """Add an option that maps names. `metavar`: SOURCE=TARGET."""
    group.add_argument(option, action="append", default=[], type=mapping, metavar=metavar, help=said)


def with_accept(group: ArgumentParser | ArgumentGroup) -> None:
    group.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="CODE",
        help="go on in spite of this concern (may be repeated)",
    )


def with_guest_key(group: ArgumentParser | ArgumentGroup) -> None:
    group.add_argument(
        "--guest-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="holds a passphrase for disks that LUKS encrypts, to look into them and convert them (may be repeated)",
    )


def with_verify_and_rate(group: ArgumentParser | ArgumentGroup) -> None:
    group.add_argument(
        "--verify",
        choices=[v.value for v in Verify],
        default=Verify.FULL.value,
        help="what is read back from where it goes and compared (default: %(default)s)",
    )
    group.add_argument(
        "--rate-limit", type=rate, metavar="RATE", help="bytes per second and disk: 50M, 1G (default: no limit)"
    )


def rules_of(args: Namespace) -> str | None:
    """Return the rules of retention from `--keep`: last=7,daily=14."""
    return args.keep.replace("=", " ") if args.keep else None


def with_hold_name(parser: ArgumentParser) -> None:
    parser.add_argument("--name", default="held", help="of the wish that a point stays (default: %(default)s)")


def with_until(parser: ArgumentParser) -> None:
    parser.add_argument("--until", type=time_of, metavar="TIME", help="2026-11-21T22:00 (UTC unless it says so)")


def asked_hold(args: Namespace) -> NewHold:
    from longshore.api.replicas import NewHold

    return NewHold(name=args.name, until=getattr(args, "until", None))


def with_cutover_time(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--at", type=time_of, metavar="TIME", help="then, by itself: 2026-11-21T22:00 (UTC unless it says so)"
    )
    parser.add_argument(
        "--until", type=time_of, metavar="TIME", help="and not begun later than that: it then waits for you"
    )
    parser.add_argument(
        "--take-back", action="store_true", help="don't, though it was asked for, now or at a time, if it hasn't begun"
    )


def cutover_time(args: Namespace) -> CutoverTime | None:
    """Return the time that was given, if any. Raises InvalidInput for what doesn't go together."""
    if args.until and not args.at:
        raise InvalidInput("--until needs an --at.", advice="Say when the window opens, too.")
    if args.at and args.take_back:
        raise InvalidInput("--at and --take-back exclude each other.", advice="Choose one.")
    from longshore.api.schemas import CutoverTime

    return CutoverTime(at=args.at, until=args.until) if args.at else None


def with_snapshot_playbooks(parser: ArgumentParser, *, allowed: bool, end: str = "") -> None:
    """Add the options for playbooks. `allowed`: whether they can be run at all; a server runs none for its callers.
    `end`: of their help."""
    parser.set_defaults(before=None, after=None)
    if not allowed:
        return
    parser.add_argument(
        "--before",
        type=Path,
        metavar="PLAYBOOK",
        help=f"Ansible playbook run right before the snapshot of a machine that isn't off: it freezes an application, "
        f"whose state the point then holds{end}",
    )
    parser.add_argument(
        "--after",
        type=Path,
        metavar="PLAYBOOK",
        help=f"and one run right after it, whatever becomes of the snapshot: it thaws that again{end}",
    )
