"""Documents that others read: YAML, and what Ansible is told."""

import json
import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import yaml

from longshore.border.texts import printable

# What Ansible knows as hosts and groups of its own, or we do
_TAKEN = frozenset({"localhost", "127.0.0.1", "all", "ungrouped", "machine"})


def ansible_variables(variables: dict[str, Any]) -> str:
    """Write a file of variables, in YAML. Every text in it, keys too, is `!unsafe`, so that Ansible evaluates none."""
    return yaml.dump(variables, Dumper=_Unsafe, sort_keys=False)


def ansible_playbook(plays: list[dict[str, Any]]) -> str:
    """Write plays in YAML. A text that Ansible would evaluate, wherever it stands, is `!unsafe`."""
    return yaml.dump(plays, Dumper=_Playbook, sort_keys=False, width=120)


def hcl_text(text: str) -> str:
    """Write a text in HCL, as OpenTofu and Terraform read it: no template in it is evaluated.

    `$${` is HCL's own way to write `${`, but in `$$${` that takes the wrong two: so it is the first letter that is
    written as a number.
    """
    letters = (_HCL.get(letter) or _in_hcl(letter, text[n + 1 : n + 2]) for n, letter in enumerate(text))
    return f'"{"".join(letters)}"'


_HCL = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _in_hcl(letter: str, following: str) -> str:
    if letter.isprintable() and not (letter in "$%" and following == "{"):
        return letter
    code = ord(letter) if not "\ud800" <= letter <= "\udfff" else 0xFFFD  # half a pair is no letter
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def ansible_host(ref: str) -> str:
    """Return how a machine is called in an inventory: by its reference, without what a pattern of hosts gives a meaning
    to."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", ref)[:200]
    return f"{plain}_" if plain in _TAKEN or not plain else plain


def ansible_address(told: Iterable[str]) -> str | None:
    """Return the first of the addresses at which a connection can be made; None where none of them is an address.

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


def as_json(content: Any) -> str:
    """Write plain data as JSON, for people and programs. Where there is anything that a screen doesn't show, in ASCII
    alone."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return (text if printable(text) == text else json.dumps(content, indent=2)) + "\n"


def as_yaml(content: Any) -> str:
    """Write plain data as YAML for people to read and change, and for whoever reads it strictly: without references and
    tags.

    Of a text with anything that a screen doesn't show, all that isn't ASCII is written as numbers: PyYAML lets some of
    that stand as it is, and reads Unicode's rarer line breaks as others than it wrote.
    """
    text: str = yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    if printable(text) == text:
        return text
    return str(yaml.dump(content, Dumper=_Plain, sort_keys=False, width=120))


class _Plain(yaml.SafeDumper):
    """A writer without references: what stands there twice is written twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


class _Unsafe(_Plain):
    pass


def _unsafe(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is refused by whoever reads
    return dumper.represent_scalar("!unsafe", whole, style='"')


class _Playbook(_Plain):
    pass


def _unsafe_if_evaluated(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return _unsafe(dumper, text) if "{" in text else yaml.SafeDumper.represent_str(dumper, text)


_Unsafe.add_representer(str, _unsafe)
_Playbook.add_representer(str, _unsafe_if_evaluated)
