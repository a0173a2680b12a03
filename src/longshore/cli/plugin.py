"""The commands as a plugin of python-openstackclient: `openstack migration …`, with a server from the catalogue."""

import os
import re
from argparse import ArgumentParser
from typing import Any

from longshore.client.wires import CATALOGUE

DEFAULT_API_VERSION = "1"
API_VERSION_OPTION = "os_migration_api_version"
API_NAME = "migration"
API_VERSIONS = ("1",)

_TYPED = (
    (re.compile(r"\blongshore migrate\b"), "openstack migration create"),
    (re.compile(r"\blongshore migration\b"), "openstack migration"),
    (
        re.compile(
            r"\blongshore (provider|machine|inventory|volume|plan|limit|operation|job|replica|vault|backup|restore)\b"
        ),
        r"openstack migration \1",
    ),
)


def make_client(instance: Any) -> Any:
    """Make the client. `instance`: the client manager of the `openstack` command."""
    from longshore.client import Client, Remote

    url = os.environ.get("LONGSHORE_URL")
    return Client(
        Remote(
            instance.session,
            None if url in (None, "", CATALOGUE) else url,
            region=instance.region_name,
            interface=instance.interface,
        )
    )


def build_option_parser(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument(
        "--os-migration-api-version",
        metavar="<migration-api-version>",
        default=os.environ.get("OS_MIGRATION_API_VERSION", DEFAULT_API_VERSION),
        help=f"Migration API version, default={DEFAULT_API_VERSION} (Env: OS_MIGRATION_API_VERSION)",
    )
    return parser


def check_api_version(version: str) -> bool:
    return version in API_VERSIONS


def as_typed(text: str) -> str:
    """Return advice that names a command of `longshore`, as one types it here."""
    for pattern, replacement in _TYPED:
        text = pattern.sub(replacement, text)
    return text
