"""The ways out of strangers' texts: of names, notes, addresses, file names and errors that a source, a guest, a vault or
a file tells.

Such a text comes in as it is, and is data to the end. What it is written into may take a part of it for something else:
Ansible for a template, a terminal for a command. So each way out has its function here, and nothing goes there without.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import yaml

# What Ansible knows as hosts and groups of its own, or we do
_TAKEN = frozenset({"localhost", "127.0.0.1", "all", "ungrouped", "machine"})


def ansible_variables(variables: dict[str, Any]) -> str:
    """A file of variables, in YAML. Every text in it, keys too, is `!unsafe`, so that Ansible evaluates none."""
    return yaml.dump(variables, Dumper=_Unsafe, sort_keys=False)


def ansible_host(ref: str) -> str:
    """How a machine is called in an inventory: by its reference, without what a pattern of hosts gives a meaning to."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", ref)[:200]
    return f"{plain}_" if plain in _TAKEN or not plain else plain


def ansible_address(told: Iterable[str]) -> str | None:
    """The first of the addresses at which a connection can be made; None where none of them is an address.

    A zone (fe80::1%eth0) is any text, and one of another machine's interfaces besides.
    """
    for text in told:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if "%" not in text:
            return str(address)
    return None


class _Unsafe(yaml.SafeDumper):
    """Without references: what stands there twice is written twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _unsafe(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is refused by whoever reads
    return dumper.represent_scalar("!unsafe", whole, style='"')


_Unsafe.add_representer(str, _unsafe)
