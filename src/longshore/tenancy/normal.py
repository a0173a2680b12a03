"""Forms in which two values that mean the same are the same."""

import ipaddress
from typing import Any


def lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def one_prefix(value: Any) -> Any:
    """10.0.0.7/24 and 10.0.0.0/24 select the same addresses, and so do 10.0.0.7 and 10.0.0.7/32."""
    try:
        return str(ipaddress.ip_network(value, strict=False)) if isinstance(value, str) else value
    except ValueError:
        return value


def prefixes(value: Any) -> Any:
    return sorted(map(one_prefix, value), key=str) if isinstance(value, list) else value


def by_text(value: Any) -> Any:
    """A list of texts or mappings, in an order that doesn't depend on where they come from."""
    if not isinstance(value, list):
        return value
    return sorted(value, key=lambda each: repr(sorted(each.items())) if isinstance(each, dict) else repr(each))
