"""The options that a further try may change."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from typing import Any

from longshore.cli.arguments import seconds, with_accept, with_guest_key, with_mapping
from longshore.cli.given_files import key_in
from longshore.model.request import BootProof, LandingMode

_ONES = (
    *("flavor", "landing", "server_name", "key_name", "shutdown_timeout", "force_power_off"),
    *("boot_mark", "boot_port", "boot_proof", "boot_timeout"),
)


def with_changes(parser: ArgumentParser) -> None:
    """Add them. What isn't given isn't set."""
    group = parser.add_argument_group("instead of what it had")
    with_mapping(group, "--network", "SOURCE=TARGET", "source network and target network (may be repeated)")
    with_mapping(
        group, "--subnet", "SOURCE=SUBNET", "source network and subnet of the target network (may be repeated)"
    )
    group.add_argument("--flavor", help="name or id", default=SUPPRESS)
    group.add_argument(
        "--landing",
        choices=[mode.value for mode in LandingMode],
        help="what is done to the guest, as longshore migrate has it",
        default=SUPPRESS,
    )
    group.add_argument("--name", dest="server_name", help="of the server", default=SUPPRESS)
    group.add_argument("--key-name", metavar="NAME", help="key pair of the server", default=SUPPRESS)
    with_accept(group)
    with_guest_key(group)
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


def changes(args: Namespace) -> dict[str, Any]:
    """Pick those that were given, as a request has them."""
    several = {
        "networks": dict(args.network),
        "subnets": dict(args.subnet),
        "accept": args.accept,
        "guest_keys": [key_in(path) for path in args.guest_key],
    }
    given = {name: getattr(args, name) for name in _ONES if hasattr(args, name)}
    return given | {name: values for name, values in several.items() if values}
