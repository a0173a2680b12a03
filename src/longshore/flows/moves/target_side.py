"""The things that a migration makes on its target: volumes, ports, rollback points, the server."""

from dataclasses import dataclass, replace
from functools import partial

from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.source_side import Off, require_still_off
from longshore.flows.undo import LED_STEP
from longshore.model.hardware import Hardware
from longshore.model.machine import Disk, Machine
from longshore.model.request import FloatingMode, LandingMode, MigrationType
from longshore.model.target import (
    DISK_BUS,
    SOURCE,
    Owner,
    Port,
    PortRequest,
    Server,
    ServerRequest,
    Volume,
    VolumeRequest,
)
from longshore.planning import Landing, agent_properties, without_tpm
from longshore.planning.floating import FloatingLanding
from longshore.planning.hardware import firmware_properties, likely_drivers, system_properties
from longshore.providers.contract import FloatingAddresses
from longshore.store import ThingKind

SAFEGUARD = "safeguard-"  # steps of the snapshots that are taken before a guest is changed or booted; the volume's id


@dataclass(frozen=True, slots=True)
class Prepared:
    machine: Machine  # as it was before anything was done to it
    landing: Landing


def server_name(job: MoveContext, prepared: Prepared) -> str:
    name = job.request.server_name or prepared.machine.name
    suffixes = {MigrationType.DRY_RUN: "-dry-run", MigrationType.TEST: "-test", MigrationType.LOOK: "-look"}
    return name + suffixes.get(job.request.type, "")


def volume_request(job: MoveContext, prepared: Prepared, disk: Disk, hardware: Hardware | None = None) -> VolumeRequest:
    types = {d.disk_key: d.volume_type for d in prepared.landing.disks}
    keys = [one.key for one in prepared.machine.disks]
    bus = dict(zip(keys, disk_buses(prepared, hardware), strict=False)).get(disk.key)
    return VolumeRequest(
        name=disk.name or f"{server_name(job, prepared)}-{disk.position}",
        size=disk.size,
        volume_type=types.get(disk.key),
        bootable=disk.position == 0,
        availability_zone=prepared.landing.volume_zone,
        image_properties=_image_properties(prepared, disk, hardware),
        metadata={} if bus is None else {DISK_BUS: bus},
    )


def disk_buses(prepared: Prepared, hardware: Hardware | None) -> tuple[str | None, ...]:
    """Return the buses of disks that aren't on their server's bus. Those of a guest that stays as it is stay where they
    are."""
    if hardware is not None:
        return hardware.disk_buses
    own = tuple(disk.own_bus for disk in prepared.machine.disks)
    return own if any(own) and prepared.landing.request.landing is LandingMode.UNCHANGED else ()


def _image_properties(prepared: Prepared, disk: Disk, hardware: Hardware | None) -> dict[str, str]:
    """Return the image properties of a volume. Those that it has at the source stay, as long as the guest does."""
    asked = prepared.landing.request
    landing = prepared.landing
    ours = {**landing.cpu_topology, **landing.tpm, **agent_properties(asked)} if disk.position == 0 else {}
    if hardware is not None:
        return {**hardware.image_properties, **ours}
    if asked.landing is LandingMode.UNCHANGED:
        kept = without_tpm(disk.image_properties)
    else:
        kept = system_properties(likely_drivers(prepared.machine).family)
    return {**kept, **firmware_properties(prepared.machine), **ours}


def make_volume(job: MoveContext, prepared: Prepared, disk: Disk, snapshot_id: str | None = None) -> Volume:
    """Make the volume of one disk. `snapshot_id`: of the snapshot whose content it holds; None: it holds zeroes."""
    if disk.position == 0:
        job.phase("making-volumes", f"Making {len(prepared.machine.disks)} volume(s) on the target.")
    return make_requested_volume(job, disk, replace(volume_request(job, prepared, disk), snapshot_id=snapshot_id))


def make_requested_volume(job: MoveContext, disk: Disk, request: VolumeRequest) -> Volume:
    """Make a volume for this disk, ready to be opened."""
    with job.clouds.target(job.record.target_id) as target:
        volume = job.make_at_target(ThingKind.VOLUME, f"volume-{disk.key}", partial(target.create_volume, request))
        target.make_ready(Owner(job.id, f"open-{volume.id}"))
    job.store.disks.update(job.id, disk.key, volume_id=volume.id)
    return volume


def make_isolated_networks(job: MoveContext, prepared: Prepared) -> dict[str, str]:
    """Make a network that leads nowhere, with the same subnets, for each network that the machine is mapped to.

    Return the new networks' ids by those of the networks they stand for.
    """
    made: dict[str, str] = {}
    with job.clouds.target(job.record.target_id) as target:
        there = {network.id: network for network in target.networks()}
        for number, network_id in enumerate(dict.fromkeys(nic.network_id for nic in prepared.landing.nics)):
            like = there[network_id]
            make = partial(target.create_isolated_network, f"{server_name(job, prepared)}-{like.name}", like.subnets)
            made[network_id] = job.make_at_target(ThingKind.NETWORK, f"network-{number}", make).id
    return made


def make_ports(job: MoveContext, prepared: Prepared, isolated: dict[str, str]) -> list[Port]:
    """Make the server's ports. `isolated`: the networks to take instead of those the machine is mapped to, by their
    ids."""
    ports = []
    # Beside the machine that goes on running, on its own network, a copy can't have the same MACs and addresses
    changed = job.request.type.rehearses and not isolated
    with job.clouds.target(job.record.target_id) as target:
        for number, nic in enumerate(prepared.landing.nics):
            if nic.port_id is not None:  # somebody else's: not in the ledger, so that nothing of ours removes it
                ports.append(target.port(nic.port_id))
                continue
            request = PortRequest(
                name=f"{server_name(job, prepared)}-{number}",
                network_id=isolated.get(nic.network_id, nic.network_id),
                mac=None if changed else nic.mac,
                fixed_addresses=() if changed and not nic.chosen else nic.addresses,
                subnet_id=None if isolated else nic.subnet_id,
                security_groups=nic.security_groups,
                allowed_addresses=() if changed else nic.allowed_addresses,
                plugged=nic.plugged,
            )
            make = partial(target.create_port, request)
            ports.append(job.make_at_target(ThingKind.PORT, f"port-{nic.nic_key}", make))
    return ports


def safeguard(job: MoveContext, volumes: list[Volume]) -> list[str]:
    """Make a way back for each volume before the guest is changed. Return the ids of the volumes' snapshots."""
    job.phase("safeguarding", "Taking snapshots of the volumes before the guest is changed.")
    return snapshot_volumes(job, volumes, SAFEGUARD)


def snapshot_volumes(job: MoveContext, volumes: list[Volume], beginning: str) -> list[str]:
    """Take a snapshot of each volume, and return the snapshots' ids. `beginning`: of their steps, before the volume's
    id."""
    with job.clouds.target(job.record.target_id) as target:
        return [
            job.make_at_target(
                ThingKind.VOLUME_SNAPSHOT, f"{beginning}{volume.id}", partial(target.snapshot_volume, volume.id)
            ).id
            for volume in volumes
        ]


def boot(  # noqa: PLR0917
    job: MoveContext,
    prepared: Prepared,
    volumes: list[Volume],
    ports: list[Port],
    hardware: Hardware | None,
    off: Off | None = None,
    step: str = "server",
) -> Server:
    """Make the server, and lead floating addresses to it. Raise SourceRunning when the source was powered on.

    `hardware` is that of a guest that lands as it is; `step` is what the ledger calls the server. `off`: the source
    must have been off since then. Nothing keeps anybody from powering it on while the server is made, so it is looked
    at right before and right after, in this same step.
    """
    job.phase("booting", f"Making the server on flavor {prepared.landing.flavor_name}.")
    asked = prepared.landing.request
    source = {SOURCE: replace(prepared.machine, ref=job.record.machine_ref).mark}
    request = ServerRequest(
        name=server_name(job, prepared),
        flavor_id=prepared.landing.flavor_id,
        volume_ids=tuple(v.id for v in volumes),
        port_ids=tuple(p.id for p in ports),
        availability_zone=asked.availability_zone,
        key_name=asked.key_name,
        server_group=asked.server_group,
        user_data=job.text(asked.user_data) if asked.user_data else asked.user_data,
        tags=asked.tags,
        description=prepared.landing.description,
        disk_buses=disk_buses(prepared, hardware),
        # A test is nobody's machine, and in no failover's way
        metadata=asked.metadata if job.request.type is MigrationType.TEST else {**asked.metadata, **source},
    )
    with job.clouds.target(job.record.target_id) as target:
        for disk, volume in zip(prepared.machine.disks, volumes, strict=True):
            target.finish_volume(volume.id, volume_request(job, prepared, disk, hardware))
        if off is not None:
            require_still_off(job, off)
        server = job.make_at_target(ThingKind.SERVER, step, partial(target.create_server, request))
        if off is not None:
            require_still_off(job, off)
        _lead_addresses(job, prepared, ports, target)
    job.store.migrations.update(job.id, server_id=server.id)
    return server


def _lead_addresses(job: MoveContext, prepared: Prepared, ports: list[Port], target: FloatingAddresses) -> None:
    """Lead floating addresses to the server's ports. What wasn't asked for by name only warns: the server
    is as good."""
    for nic, port in zip(prepared.landing.nics, ports, strict=False):
        for number, floating in enumerate(nic.floating):
            try:
                _lead_address(job, f"floating-{nic.nic_key}-{number}", floating, port, target)
            except LongshoreError as error:
                if error.code == "cancelled" or prepared.landing.request.floating is not FloatingMode.AUTO:
                    raise
                job.say(f"A floating IP is missing: {error}", "warning")


def _lead_address(
    job: MoveContext, step: str, floating: FloatingLanding, port: Port, target: FloatingAddresses
) -> None:
    """Lead the address that its user has named to this port, or a new one. Raise LongshoreError."""
    fixed = floating.fixed if floating.fixed in port.addresses else None
    if (address_id := floating.address_id) is not None:
        job.make(
            ThingKind.LED_ADDRESS,
            f"{LED_STEP}{address_id}",
            lambda _: target.attach_floating_address(address_id, port.id, fixed),
            provider_id=job.record.target_id,
            parent=port.id,
            ref=lambda _: address_id,
        )
        return
    make = partial(target.create_floating_address, floating.network_id or "", port.id, fixed)
    made = job.make_at_target(ThingKind.FLOATING_ADDRESS, step, make)
    job.say(f"{fixed or port.mac} has the floating IP {made.address}.")
