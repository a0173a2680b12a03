"""The proxies of a provider, as whoever looks after them sees them."""

from __future__ import annotations

from longshore.errors import LongshoreError
from longshore.model.proxy import Proxy
from longshore.providers.vsphere.proxy_credentials import Credentials
from longshore.providers.vsphere.proxy_machine import ProxyMachine, find_proxy
from longshore.providers.vsphere.proxy_pool import set_up
from longshore.providers.vsphere.session import VsphereSession


def proxies(session: VsphereSession, credentials: Credentials) -> list[Proxy]:
    """Return the proxies that the settings name, as vCenter knows them. Nothing is changed, and none is connected
    to."""
    return [_seen(session, credentials, word) for word in session.settings.proxies]


def _seen(session: VsphereSession, credentials: Credentials, word: str) -> Proxy:
    try:
        return ProxyMachine(session, find_proxy(session, word), credentials).seen(word)
    except LongshoreError as error:
        return Proxy(word, trouble=str(error))


def check(session: VsphereSession, credentials: Credentials) -> dict[str, str]:
    """Set the proxies up, see that they answer, and say what they have. Raises what stands against the first one, if no
    other works."""
    found: dict[str, str] = {}
    failed: list[LongshoreError] = []
    for word in session.settings.proxies:
        try:
            proxy = ProxyMachine(session, find_proxy(session, word), credentials)
            served = set_up(proxy, credentials)
            seen = proxy.seen(word)
            attached = f"; attached to it: {', '.join(seen.attached)}" if seen.attached else ""
            only = "" if served.writes is not None else "; it only lets disks be read: its image is an earlier one"
            said = f"{seen.ref} answers at {served.address}, and has room for {seen.room} disks{attached}{only}"
        except LongshoreError as error:
            failed.append(error)
            said = str(error)
        found[f"proxy {word}"] = said
    if len(failed) == len(found):
        raise failed[0]
    return found
