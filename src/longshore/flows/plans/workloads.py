"""Reading OS-Migrate's workloads.yml as a plan: it says of machines only where they are to become different.

The file describes servers as they are to be; what they are is asked of the source. A network that was renamed in the
file is found by the port, which the file names by its id at the source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from longshore.errors import InvalidInput
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.plan import Mappings, Plan, PlannedMachine
from longshore.model.request import FloatingMode
from longshore.planning.plan_kinds import WORKLOAD_NOT_FOLLOWED

if TYPE_CHECKING:
    from longshore.tenancy import Resource


def named_in(servers: Sequence[Resource]) -> list[PlannedMachine]:
    """Return the machines that the file names, to be looked up at the source."""
    return [PlannedMachine(server.name, ref=server.info.get("id")) for server in servers]


def mapped(machines: Sequence[Machine], servers: Sequence[Resource], given: Mappings) -> Mappings:
    """Return `given`, with the networks and volume types for which all of the servers want the same.

    Raise InvalidInput when two ports of a machine on one network are to be on two.
    """
    networks: dict[str, set[str]] = defaultdict(set)
    storage: dict[str, set[str]] = defaultdict(set)
    for machine, server in zip(machines, servers, strict=True):
        for said, of in ((networks, _networks), (storage, _storage)):
            for source, wanted in of(machine, server.params).items():
                said[source].add(wanted)
    return replace(given, networks=_agreed(networks) | given.networks, storage=_agreed(storage) | given.storage)


def _agreed(said: Mapping[str, set[str]]) -> dict[str, str]:
    return {source: next(iter(wanted)) for source, wanted in said.items() if len(wanted) == 1}


def follow(plan: Plan, machines: Sequence[Machine], servers: Sequence[Resource]) -> tuple[Plan, list[Concern]]:
    """Return the plan with what the servers say of these machines (found in this order), and what of it can't be
    followed."""
    wanted = {machine.ref: (machine, server) for machine, server in zip(machines, servers, strict=True)}
    concerns: list[Concern] = []
    entries = []
    for entry in plan.machines:
        if entry.ref in wanted:
            machine, server = wanted[entry.ref]
            entry = replace(entry, options={**entry.options, **_options(plan, machine, server)})  # noqa: PLW2901
            concerns += [
                replace(WORKLOAD_NOT_FOLLOWED(subject, text), machine=entry.machine)
                for subject, text in _not_followed(machine, server)
            ]
        entries.append(entry)
    return replace(plan, machines=tuple(entries)), concerns


def _options(plan: Plan, machine: Machine, server: Resource) -> dict[str, Any]:
    from longshore.providers.openstack.machines import readable_user_data  # not for commands that plan nothing

    params, has = server.params, machine.server_settings
    groups = [ref["name"] for ref in params.get("security_group_refs") or () if ref]
    had = {name for nic in machine.nics for name in nic.security_groups or ()}
    user_data = readable_user_data(params.get("user_data"))
    options = {
        "server_name": params["name"] if params["name"] != machine.name else None,
        "flavor": params["flavor_ref"]["name"],
        "key_name": _other(params.get("key_name"), has.key_name),
        "availability_zone": _other(params.get("availability_zone"), has.availability_zone),
        "security_groups": groups if groups and set(groups) != had else None,
        "user_data": user_data if user_data != has.user_data else None,
        "metadata": {k: str(v) for k, v in (params.get("metadata") or {}).items() if has.metadata.get(k) != str(v)},
        "tags": [tag for tag in params.get("tags") or () if tag not in has.tags],
        "floating": _other(server.how.get("floating_ip_mode"), FloatingMode.AUTO.value),
        "networks": _beyond(plan.mappings.networks, _networks(machine, params)),
        "storage": _beyond(plan.mappings.storage, _storage(machine, params)),
    }
    return {name: value for name, value in options.items() if value}


def _beyond(said: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    return {source: target for source, target in wanted.items() if said.get(source) != target}


def _other(wanted: str | None, there: str | None) -> str | None:
    return wanted if wanted != there else None


def _parts(params: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [part for part in params.get(name) or () if part.get("params")]


def _id(part: Mapping[str, Any]) -> str:
    """Return the id that a part of a server has at the source."""
    return str((part.get("_info") or {}).get("id"))


def _networks(machine: Machine, params: Mapping[str, Any]) -> dict[str, str]:
    by_key = {nic.key: nic.network for nic in machine.nics}
    found: dict[str, str] = {}
    for port in _parts(params, "ports"):
        source = by_key.get(_id(port))
        wanted = (port["params"].get("network_ref") or {}).get("name")
        if source is None or wanted is None:
            continue
        if found.setdefault(source, wanted) != wanted:
            raise InvalidInput(
                f"{machine.name} has two ports on network {source}, in the file on {found[source]} and {wanted}.",
                advice="A plan maps each network of a machine to one. Leave this server out, and move it by itself.",
            )
    return found


def _storage(machine: Machine, params: Mapping[str, Any]) -> dict[str, str]:
    by_key = {disk.key: disk.storage for disk in machine.disks}
    found = {}
    for volume in _parts(params, "volumes"):
        source, wanted = by_key.get(_id(volume)), volume["params"].get("volume_type")
        if source and wanted:
            found[source] = wanted
    return found


def _not_followed(machine: Machine, server: Resource) -> Iterator[tuple[str, str]]:
    """Yield the subject and a sentence for each thing in the file that isn't followed."""
    params, how = server.params, server.how
    if how.get("data_copy") is False:
        yield "data_copy", f"The data of {machine.name} is copied, though the file says data_copy: false."
    if params.get("image_ref") and how.get("boot_disk_copy") is False:
        yield (
            "boot_disk_copy",
            f"The boot disk of {machine.name} is copied, not made anew from image {params['image_ref']['name']} "
            "(boot_disk_copy: false).",
        )
    if params.get("scheduler_hints"):
        yield "scheduler_hints", f"The scheduler hints of {machine.name} name things of the source cloud."
    held = {address for nic in machine.nics for address in nic.addresses}
    asked = [
        ip["ip_address"]
        for port in _parts(params, "ports")
        for ip in port["params"].get("fixed_ips_refs") or ()
        if ip.get("ip_address")
    ]
    if other := [address for address in asked if address not in held]:
        yield "ports", f"{machine.name} keeps its addresses; the file wants {', '.join(other)}."
