"""The options of shutting down and booting that a further try may change."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from typing import Any

from longshore.cli.arguments import seconds
from longshore.model.request import BootProof

_NAMES = ("shutdown_timeout", "force_power_off", "boot_mark", "boot_port", "boot_proof", "boot_timeout")


def with_boot(parser: ArgumentParser) -> None:
    """Add them. What isn't given isn't set."""
    group = parser.add_argument_group("instead of what it had")
    group.add_argument(
        "--shutdown-timeout",
        type=seconds,
        metavar="SECONDS",
        help="how long the guest may take to shut down",
        default=SUPPRESS,
    )
    group.add_argument(
        "--force-power-off",
        action="store_true",
        help="cut the power of a guest that doesn't shut down in time",
        default=SUPPRESS,
    )
    group.add_argument(
        "--boot-mark", metavar="REGEX", help="what the console shows once the guest is up", default=SUPPRESS
    )
    group.add_argument(
        "--boot-port",
        type=int,
        action="append",
        metavar="PORT",
        help="a TCP port of the guest that takes connections once it is up (may be repeated: one of them is enough)",
        default=SUPPRESS,
    )
    group.add_argument(
        "--boot-proof",
        choices=[proof.value for proof in BootProof],
        help="what shows that the guest is up",
        default=SUPPRESS,
    )
    group.add_argument(
        "--boot-timeout", type=seconds, metavar="SECONDS", help="how long that may take", default=SUPPRESS
    )


def boot_options(args: Namespace) -> dict[str, Any]:
    """Pick those that were given, as a request has them."""
    return {name: getattr(args, name) for name in _NAMES if hasattr(args, name)}
