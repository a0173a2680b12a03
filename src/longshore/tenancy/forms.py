"""Forms of the values in a file. A form answers None, or what is wrong as the end of a sentence about the field."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from longshore.model.addresses import is_mac
from longshore.tenancy import normal

Form = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class _Many:
    """A form of values of which several mean the same, as addresses of IPv6 do: `one` brings these to one."""

    form: Form
    one: Callable[[Any], Any]

    def __call__(self, value: Any) -> str | None:
        return self.form(value)


def one(form: Form, value: Any) -> Any:
    """Bring a value of this form to what all values have in common that mean the same. Others stay as they are."""
    return form.one(value) if isinstance(form, _Many) else value


def text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"must be text, not {_said(value)}"


def short(most: int) -> Form:
    """Return the form of text with as many characters at most."""

    def form(value: Any) -> str | None:
        wrong = text(value)
        if wrong is None and len(value) > most:
            return f"has {len(value)} characters, and {most} are allowed"
        return wrong

    return form


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_said(value)}"


def integer(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole else f"must be a whole number, not {_said(value)}"


def number(value: Any) -> str | None:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return None if right else f"must be a number, not {_said(value)}"


def anything(_value: Any) -> str | None:
    return None


def scalar(value: Any) -> str | None:
    return None if isinstance(value, str | int | float) else "must be text, a number, true or false"


def or_null(form: Form) -> Form:
    return lambda value: None if value is None else form(value)


def mapping(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else f"must be a mapping, not {_said(value)}"


def _address(value: Any) -> str | None:
    """Check an address; one with a zone (fe80::1%eth0) means something on one machine only."""
    return text(value) or _parsed(ipaddress.ip_address, value, "an IP address")


def _cidr(value: Any) -> str | None:
    """Check the CIDR of a network: no bits may be set behind the prefix."""
    wrong = text(value) or _parsed(ipaddress.ip_interface, value, "a CIDR")
    if wrong is None:
        whole = ipaddress.ip_interface(value).network
        if "/" not in value or str(whole) != str(ipaddress.ip_interface(value)):
            return f'"{value}" isn\'t the CIDR of a network; did you mean {whole}?'
    return wrong


def _prefix(value: Any) -> str | None:
    """Check an address or a CIDR, with or without bits behind the prefix."""
    return text(value) or _parsed(ipaddress.ip_interface, value, "an IP address or a CIDR")


address: Form = _Many(_address, normal.one_address)
cidr: Form = _Many(_cidr, normal.one_prefix)
prefix: Form = _Many(_prefix, normal.one_prefix)


_PROTOCOLS = {*normal.PROTOCOLS.values(), "hopopt", "icmpv6"}


def ip_protocol(value: Any) -> str | None:
    """Check a protocol by name or number, as text."""
    wrong = text(value)
    if wrong is None and value.lower() not in _PROTOCOLS and not (value.isdecimal() and int(value) <= 255):
        return f'"{value[:60]}" isn\'t a protocol that the network service knows, or a number up to 255'
    return wrong


_KEY_NAME = re.compile(r"[a-zA-Z0-9 @._-]{1,255}")


def key_name(value: Any) -> str | None:
    wrong = text(value)
    if wrong is None and value and not _KEY_NAME.fullmatch(value):
        return "can only have letters, digits, spaces and @ . _ - (255 at most)"
    return wrong


def _mac(value: Any) -> str | None:
    return text(value) or (None if is_mac(value) else f'"{value}" isn\'t a MAC address')


mac: Form = _Many(_mac, normal.lower)


def one_of(*words: Any) -> Form:
    def form(value: Any) -> str | None:
        known = ", ".join(str(word) for word in words)
        return None if value in words else f"must be one of {known}, not {_said(value)}"

    return form


def at_least(low: int) -> Form:
    def form(value: Any) -> str | None:
        wrong = integer(value)
        return f"must be at least {low}, not {value}" if wrong is None and value < low else wrong

    return form


def between(low: int, high: int) -> Form:
    def form(value: Any) -> str | None:
        wrong = integer(value)
        if wrong is None and not low <= value <= high:
            return f"must be between {low} and {high}, not {value}"
        return wrong

    return form


def list_of(each: Form) -> Form:
    def form(value: Any) -> str | None:
        if not isinstance(value, list):
            return f"must be a list, not {_said(value)}"
        return next((f"has an entry that {wrong}" for item in value if (wrong := each(item))), None)

    return _Many(form, lambda value: [one(each, item) for item in value] if isinstance(value, list) else value)


def record(**parts: Form) -> Form:
    """Return the form of a mapping with exactly these keys at most; null is allowed for each."""

    def form(value: Any) -> str | None:
        if not isinstance(value, Mapping):
            return f"must be a mapping, not {_said(value)}"
        for key, part in value.items():
            if key not in parts:
                return f"has {key}, which isn't known; known: {', '.join(parts)}"
            if part is not None and (wrong := parts[key](part)):
                return f"has {key}, which {wrong}"
        return None

    def of_parts(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: one(parts[key], part) if key in parts else part for key, part in value.items()}

    return _Many(form, of_parts)


def known_of(**parts: Form) -> Form:
    """Return the form of a mapping as `record` does, but it may have other keys, too."""
    strict = record(**parts)

    def form(value: Any) -> str | None:
        if isinstance(value, Mapping):
            value = {key: part for key, part in value.items() if key in parts}
        return strict(value)

    return form


def reference(value: Any) -> str | None:
    """Check {name, project_name, domain_name}: the latter two may be null or left out."""
    if not isinstance(value, Mapping):
        return f"must be a reference (a mapping with name, project_name and domain_name), not {_said(value)}"
    unknown = [key for key in value if key not in ("name", "project_name", "domain_name")]
    if unknown:
        return f"has {unknown[0]}; a reference has name, project_name and domain_name"
    if not isinstance(value.get("name"), str):
        return "is a reference without a name"
    for key in ("project_name", "domain_name"):
        if value.get(key) is not None and (wrong := text(value[key])):
            return f"has a {key} that {wrong}"
    return None


def _parsed(parse: Callable[[str], object], value: str, what: str) -> str | None:
    try:
        parse("" if "%" in value else value)
    except ValueError:
        return f'"{value}" isn\'t {what}'
    return None


def _said(value: Any) -> str:
    """Return a wrong value, as one would read it out."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f'"{value[:60]}"'
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else f"a {type(value).__name__}"
