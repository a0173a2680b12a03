"""The proxies of a provider, as whoever looks after them sees them."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.errors import LongshoreError
from longshore.providers.vsphere.proxy_credentials import Credentials
from longshore.providers.vsphere.proxy_machine import ProxyMachine, find_proxy
from longshore.providers.vsphere.proxy_pool import set_up
from longshore.providers.vsphere.session import Session


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy that answers, or the error that stands against reading through it."""

    ref: str = ""
    address: str = ""
    room: int = 0  # disks that can be attached to it beside those that are
    attached: tuple[str, ...] = ()  # files
    error: LongshoreError | None = None

    @property
    def words(self) -> str:
        if self.error is not None:
            return str(self.error)
        attached = f"; attached to it: {', '.join(self.attached)}" if self.attached else ""
        return f"{self.ref} answers at {self.address}, and has room for {self.room} disks{attached}"


def look_at(session: Session, credentials: Credentials, word: str) -> ProxyState:
    """Set a proxy up, and say what it has. `word`: what the settings call it."""
    try:
        proxy = ProxyMachine(session, find_proxy(session, word), credentials)
        served = set_up(proxy, credentials)
        return ProxyState(proxy.ref, served.address, proxy.room(), tuple(proxy.attached()))
    except LongshoreError as error:
        return ProxyState(error=error)
