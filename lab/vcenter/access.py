"""Privileges and custom attributes."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from .managed import ApiFault, Call, ManagedObject, fill, soap_method
from .virtual_machine import VirtualMachine

FIRST_ATTRIBUTE = 101


class AuthorizationManager(ManagedObject):
    """The one user may do everything but what a test takes away. (Only the answers change: calls are not refused.)"""

    vim_type = vim.AuthorizationManager

    def __init__(self, context: Any, moid: str) -> None:
        super().__init__(context, moid, roleList=[])
        self.denied: set[str] = set()

    def _answers(self, call: Call) -> list[Any]:
        return [
            vim.AuthorizationManager.EntityPrivilege(
                entity=entity,
                privAvailability=[
                    vim.AuthorizationManager.PrivilegeAvailability(privId=name, isGranted=name not in self.denied)
                    for name in call["privId"] or []
                ],
            )
            for entity in call["entities"] or call["entity"] or []
        ]

    @soap_method("HasPrivilegeOnEntities")
    def of_session(self, call: Call) -> list[Any]:
        return self._answers(call)

    @soap_method("HasUserPrivilegeOnEntities")
    def of_user(self, call: Call) -> list[Any]:
        return self._answers(call)


class CustomFieldsManager(ManagedObject):
    vim_type = vim.CustomFieldsManager

    def __init__(self, context: Any, moid: str, names: list[str]) -> None:
        super().__init__(context, moid)
        self.properties["field"] = [
            vim.CustomFieldsManager.FieldDef(key=key, name=name, type=str, managedObjectType=vim.VirtualMachine)
            for key, name in enumerate(names, FIRST_ATTRIBUTE)
        ]
        self.attach_to_all()

    def attach_to_all(self) -> None:
        for machine in self.context.of_type(VirtualMachine):
            self.attach(machine)

    def attach(self, machine: VirtualMachine) -> None:
        """Give a machine the attributes of its specification."""
        keys = {field.name: field.key for field in self.properties["field"]}
        machine.set(
            availableField=list(self.properties["field"]),
            customValue=[
                vim.CustomFieldsManager.StringValue(key=keys[name], value=value)
                for name, value in machine.spec.attributes.items()
            ],
        )

    @soap_method("AddCustomFieldDef")
    def define(self, call: Call) -> Any:
        known = self.properties["field"]
        if any(field.name == call["name"] for field in known):
            fault = vim.fault.DuplicateName(name=call["name"], object=self.ref)
            raise ApiFault(fault, f"The name '{call['name']}' already exists.")
        key = max((field.key for field in known), default=FIRST_ATTRIBUTE - 1) + 1
        made = vim.CustomFieldsManager.FieldDef(
            key=key, name=call["name"], type=str, managedObjectType=call["moType"] or vim.VirtualMachine
        )
        self.set(field=[*known, fill(made)])
        return made

    @soap_method("SetField")
    def assign(self, call: Call) -> None:
        target = self.context.objects.get(call["entity"]._moId)
        if not isinstance(target, VirtualMachine) or call["key"] not in [f.key for f in self.properties["field"]]:
            raise ApiFault(vim.fault.NotFound(), "The object or item referred to could not be found.")
        others = [value for value in target.properties["customValue"] if value.key != call["key"]]
        target.set(
            customValue=[*others, vim.CustomFieldsManager.StringValue(key=call["key"], value=call["value"])],
        )
