"""The proxies of a provider, and which of them suits some disks best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from pyVmomi import vim

from longshore.blocks.remote import list_exports
from longshore.errors import Conflict, ExportError, LongshoreError, NotFound, Occupied, Unreachable
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.proxy_credentials import Credentials, tls_files
from longshore.providers.vsphere.proxy_disks import HeldDisk
from longshore.providers.vsphere.proxy_machine import ProxyMachine, Rank, find_proxy
from longshore.providers.vsphere.session import VsphereSession

ANSWERS_WITHIN = 2.0  # seconds until one that was silent answers, or is still taken for silent
_LAST = Rank(silent=False, off_vsan=True, off_host=False, taken=0)
_Done = TypeVar("_Done")


class Proxies:
    """The proxies that a provider's settings name."""

    def __init__(self, session: VsphereSession, credentials: Credentials) -> None:
        self._session = session
        self._credentials = credentials
        self._found: dict[str, ProxyMachine] = {}  # by the settings' word for it
        self._silent: set[str] = set()  # references of those that didn't answer when they were last asked

    def all(self) -> list[ProxyMachine]:
        """Return those that vCenter has. Raises NotFound, Conflict when it has none."""

        def find(word: str) -> ProxyMachine:
            if word not in self._found:
                ref = find_proxy(self._session, word)
                self._found[word] = ProxyMachine(self._session, ref, self._credentials)
            return self._found[word]

        found: list[ProxyMachine] = []
        failed: list[LongshoreError] = []
        for word in self._session.settings.proxies:
            try:
                found.append(find(word))
            except (NotFound, Conflict) as error:
                failed.append(error)
        if not found:
            raise failed[0]
        return found

    @contextmanager
    def asking(self, proxy: ProxyMachine) -> Iterator[None]:
        """Remember of a proxy that is waited for in the block whether it answers."""
        try:
            yield
        except (ExportError, Unreachable):
            self._silent.add(proxy.ref)
            raise
        self._silent.discard(proxy.ref)

    def answering_first(self) -> list[ProxyMachine]:
        """Return them as `all` does, those last that don't answer."""
        return sorted(self.all(), key=self._is_silent)

    def _is_silent(self, proxy: ProxyMachine) -> bool:
        """Tell whether it didn't answer when it was waited for, and doesn't at once now."""
        if proxy.ref in self._silent:
            with suppress(LongshoreError):
                served = proxy.served(within=0)
                with tls_files(self._credentials, served.certificate) as tls:
                    list_exports(served.uri("", tls), name="The proxy", within=ANSWERS_WITHIN)
                self._silent.discard(proxy.ref)
        return proxy.ref in self._silent

    def ranked(self, disks: Sequence[HeldDisk], machine_ref: str) -> dict[ProxyMachine, Rank]:
        """Return the proxies and how well they suit these disks, the best first."""
        with self._session.doing(f"look where {machine_ref} runs"):
            machine = self._session.object(vim.VirtualMachine, machine_ref)
            host = read(self._session, machine, ["runtime.host"])["runtime.host"]
        found: dict[ProxyMachine, Rank] = {}
        for proxy in self.all():
            try:
                found[proxy] = replace(proxy.rank(disks, host), silent=self._is_silent(proxy))
            except LongshoreError:  # which is said by whoever tries to attach something
                found[proxy] = _LAST
                self._found.clear()  # it may have been made anew
        return dict(sorted(found.items(), key=lambda one: one[1]))


def with_first(proxies: Iterable[ProxyMachine], act: Callable[[ProxyMachine], _Done]) -> _Done:
    """Return what comes of the first proxy with which it doesn't fail. Raises LongshoreError when none is left; an
    Occupied before all others, for it passes."""
    failed: list[LongshoreError] = []
    for proxy in proxies:
        try:
            return act(proxy)
        except LongshoreError as error:
            failed.append(error)
    raise next((error for error in failed if isinstance(error, Occupied)), failed[0])
