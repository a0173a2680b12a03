"""Finding things by name, path, UUID or address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from pyVmomi import vim

from .managed import Call, ManagedObject, soap_method
from .views import children
from .virtual_machine import VirtualMachine


class SearchIndex(ManagedObject):
    vim_type = vim.SearchIndex

    def _machines(self, call: Call, wanted: Callable[[VirtualMachine], bool]) -> Iterator[Any]:
        """The machines wanted, within the call's datacenter if it names one. This vCenter finds machines, not hosts."""
        if call["vmSearch"] is False:
            return
        for machine in self.context.inventory.machines():
            if wanted(machine) and (not call["datacenter"] or self._within(machine, call["datacenter"])):
                yield machine.ref

    def _within(self, target: ManagedObject, above: Any) -> bool:
        place: ManagedObject | None = target
        while place is not None:
            if place.ref == above:
                return True
            parent = place.properties.get("parent")
            place = self.context.objects.get(parent._moId) if parent else None
        return False

    def _by_uuid(self, call: Call) -> Iterator[Any]:
        name = "instanceUuid" if call["instanceUuid"] else "uuid"
        uuid = (call["uuid"] or "").lower()
        # One that is being made, or whose host is away, has no configuration
        return self._machines(call, lambda machine: getattr(machine.properties["config"], name, None) == uuid)

    def _by_address(self, call: Call) -> Iterator[Any]:
        return self._machines(
            call, lambda machine: any(call["ip"] in nic.ipAddress for nic in machine.properties["guest"].net)
        )

    def _by_dns_name(self, call: Call) -> Iterator[Any]:
        return self._machines(call, lambda machine: machine.properties["guest"].hostName == call["dnsName"])

    @soap_method("FindByUuid")
    def find_by_uuid(self, call: Call) -> Any:
        return next(self._by_uuid(call), None)

    @soap_method("FindAllByUuid")
    def find_all_by_uuid(self, call: Call) -> list[Any]:
        return list(self._by_uuid(call))

    @soap_method("FindByIp")
    def find_by_ip(self, call: Call) -> Any:
        return next(self._by_address(call), None)

    @soap_method("FindAllByIp")
    def find_all_by_ip(self, call: Call) -> list[Any]:
        return list(self._by_address(call))

    @soap_method("FindByDnsName")
    def find_by_dns_name(self, call: Call) -> Any:
        return next(self._by_dns_name(call), None)

    @soap_method("FindAllByDnsName")
    def find_all_by_dns_name(self, call: Call) -> list[Any]:
        return list(self._by_dns_name(call))

    @soap_method("FindByDatastorePath")
    def find_by_datastore_path(self, call: Call) -> Any:
        return next(
            self._machines(call, lambda machine: machine.properties["config"].files.vmPathName == call["path"]), None
        )

    @soap_method("FindChild")
    def find_child(self, call: Call) -> Any:
        above = self.context.objects.get(call["entity"]._moId)
        return self._child(above, call["name"]) if above else None

    @soap_method("FindByInventoryPath")
    def find_by_inventory_path(self, call: Call) -> Any:
        """For instance DC0/vm/web/web01; a slash within a name is written %2f."""
        place: ManagedObject | None = self.context.inventory.root
        for name in (call["inventoryPath"] or "").strip("/").split("/"):
            found = self._child(place, unquote(name)) if place and name else place and place.ref
            place = self.context.objects.get(found._moId) if found else None
        return place.ref if place else None

    def _child(self, above: ManagedObject, name: str) -> Any:
        for ref in children(above):
            below = self.context.objects.get(ref._moId)
            if below is not None and below.get("name") == name:
                return ref
        return None
