"""Providers, and what there is at them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from longshore.api.inventories import MachinePage, TargetOffer, UnprotectedMachine, UnprotectedPage, WeighedMachine
from longshore.api.schemas import Fingerprint, Migration, NewProxy, Provider, ProviderCheck
from longshore.client.calls import Calls, part
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine
from longshore.model.proxy import Proxy
from longshore.model.selection import EVERY, MachineFilter

_MACHINES_AT_ONCE = 1000
_PATHS = ("cacert", "ca_file")  # settings that name files of this machine, which another has no use for


class ProviderCalls(Calls):
    """Calls about providers, by their names or ids."""

    def add_provider(
        self, name: str, kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> ProviderCheck:
        body = {"name": name, "kind": kind, "settings": self._sent(settings), "secrets": dict(secrets)}
        return self._ask(ProviderCheck, "POST", "/v1/providers", body)

    def fingerprint(self, host: str, port: int) -> str:
        """Return the SHA-256 fingerprint of the certificate that the server shows to the service."""
        return self._ask(Fingerprint, "POST", "/v1/fingerprint", {"host": host, "port": port}).sha256

    def providers(self, *, kind: str | None = None, all_projects: bool = False) -> list[Provider]:
        """List the providers; `kind`: those of this one."""
        return self._all(Provider, "/v1/providers", lambda p: p.id, all_projects=all_projects, kind=kind)

    def provider(self, name: str) -> Provider:
        return self._ask(Provider, "GET", f"/v1/providers/{part(name)}")

    def check_provider(self, name: str) -> ProviderCheck:
        return self._ask(ProviderCheck, "POST", f"/v1/providers/{part(name)}/check")

    def proxies(self, name: str) -> list[Proxy]:
        """Return the machines that a provider attaches disks to, to read them there."""
        return self._ask(list[Proxy], "GET", f"/v1/providers/{part(name)}/proxies")

    def create_proxy(self, name: str, wanted: NewProxy) -> Migration:
        """Have such a machine made; its reference is in the result of what this answers, once that has ended."""
        return self._ask(Migration, "POST", f"/v1/providers/{part(name)}/proxies", wanted.model_dump())

    def delete_proxy(self, name: str, proxy: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/providers/{part(name)}/proxies/{part(proxy)}")

    def change_provider(self, name: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> ProviderCheck:
        """Change a provider: what isn't named stays as it is; null is as if it had never been said."""
        body = {"settings": self._sent(settings), "secrets": dict(secrets)}
        return self._ask(ProviderCheck, "PATCH", f"/v1/providers/{part(name)}", body)

    def _sent(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """A server has authorities of its own to trust: files that name some here stay here."""
        return {key: value for key, value in settings.items() if not (self._wire.remote and key in _PATHS)}

    def remove_provider(self, name: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/providers/{part(name)}")

    def share_provider(self, name: str, project: str) -> None:
        """Share a provider. `project`: its id, or * for every project."""
        self._ask(type(None), "PUT", f"/v1/providers/{part(name)}/shares/{part(project)}")

    def unshare_provider(self, name: str, project: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/providers/{part(name)}/shares/{part(project)}")

    # Machines

    def machines(
        self, provider: str, wanted: MachineFilter = EVERY, told: Callable[[int, int], None] = lambda _done, _all: None
    ) -> list[Machine]:
        """Return the machines that fit, without tags, some at a time; `told` hears how many of how many have been
        read."""
        path = f"/v1/providers/{part(provider)}"
        refs = self._ask(list[str], "GET", f"{path}/references", **asdict(wanted))
        found: list[Machine] = []
        for start in range(0, len(refs), _MACHINES_AT_ONCE):
            told(start, len(refs))
            page = refs[start : start + _MACHINES_AT_ONCE]
            found.extend(self._ask(list[Machine], "POST", f"{path}/machines", {"refs": page}))
        return found

    def inventory(self, provider: str) -> Inventory:
        return self._ask(Inventory, "GET", f"/v1/providers/{part(provider)}/inventory")

    def search(self, provider: str, words: str) -> list[Machine]:
        """Return the machines that fit, as words and field:value, without tags; as the source had them five minutes ago
        at most."""
        pages = self._pages(MachinePage, f"/v1/providers/{part(provider)}/inventory/machines", q=words)
        return [machine for page in pages for machine in page.machines]

    def unprotected(self, provider: str, words: str = "") -> list[UnprotectedMachine]:
        """Return the machines without replica or good backup that fit `words`; as the source had them five minutes ago
        at most."""
        pages = self._pages(UnprotectedPage, f"/v1/providers/{part(provider)}/unprotected", q=words)
        return [machine for page in pages for machine in page.machines]

    def offer(self, provider: str) -> TargetOffer:
        """Return what the target has to choose from."""
        return self._ask(TargetOffer, "GET", f"/v1/providers/{part(provider)}/offer")

    def volumes(self, provider: str) -> list[Machine]:
        """Return the volumes that no machine has, each as a machine of this one disk."""
        return self._ask(list[Machine], "GET", f"/v1/providers/{part(provider)}/volumes")

    def weighed_machine(self, provider: str, machine: str) -> WeighedMachine:
        """Return a machine with what of it itself stands against a move of it."""
        return self._ask(WeighedMachine, "GET", f"/v1/providers/{part(provider)}/concerns", machine=machine)

    def inspect(self, source: str, machine: str) -> Migration:
        """Have a machine's disks looked into; what was found is in the result of what this answers, once that has
        ended."""
        return self._ask(Migration, "POST", "/v1/inspections", {"source": source, "machine": machine})
