"""What a cloud must be able to do to be a source or a target of machines.

Providers are plain synchronous code: flows call them in threads. They know nothing of workflows, databases or each
other; everything they take and return is from `longshore.model`. Any failure is raised as a `longshore.errors` error
whose text a user can act on and which holds no secret.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from longshore.blocks.exports import Export
from longshore.model.changes import Changes
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine, PowerState, Snapshot
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.target import (
    Choices,
    Flavor,
    FloatingAddress,
    Named,
    Network,
    Owner,
    Port,
    PortRequest,
    Present,
    QuotaRoom,
    Server,
    ServerRequest,
    SourceRoom,
    Subnet,
    Taken,
    Volume,
    VolumeRequest,
    VolumeSnapshot,
)


class RelayLedger(Protocol):
    """Where a relay is written down before it exists, and until it is gone."""

    def intend(self, owner: Owner) -> None: ...
    def made(self, owner: Owner, server_id: str) -> None: ...
    def gone(self, owner: Owner) -> None: ...
    def left(self, owner: Owner, why: str) -> None: ...

    def unsettled(self) -> list[Owner]:
        """Those that may exist, as far as is known; of earlier processes too."""

    def say(self, owner: Owner, text: str, level: str) -> None:
        """Something worth knowing for whom it was booted for."""


class Relays(Protocol):
    """Those of one provider, shared by all that open its volumes."""

    def end_quiet(self) -> None:
        """Remove those that nobody has used for a while."""

    def end_all(self) -> None:
        """Remove them all, also those that a process before this one has left behind."""


class Provider(Protocol):
    def check(self) -> dict[str, str]:
        """Log in and say what was found (name, version, …). Raises AccessDenied, FingerprintMismatch, Unreachable."""

    def close(self) -> None:
        """End sessions. May be called more than once."""


class Source(Provider, Protocol):
    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        """Of the machines that the credentials may see those that fit. They have their tags only if the filter names
        one: reading tags takes calls of its own."""

    def references(self, wanted: MachineFilter = EVERY) -> list[str]:
        """The references of the same machines, which takes much less than describing them."""

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        """The machines of these references, without tags. Those that are gone are left out."""

    def tags(self, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The tags of the machines that have any, by reference."""

    def inventory(self) -> Inventory:
        """What the machines are in, on and attached to."""

    def machine(self, name_or_ref: str) -> Machine:
        """One machine by its reference, else by its name. Raises NotFound, or Conflict when the name isn't unique."""

    def volumes(self) -> list[Machine]:
        """The volumes that no machine has, each as a machine of this one disk; none where disks live with machines."""

    def volume(self, name_or_id: str) -> Machine:
        """One of them, by its id, else by its name. Raises NotFound, or Conflict when a machine has it or the name
        isn't unique."""

    def room(self) -> SourceRoom | None:
        """What its quota still allows of what is made there to read disks; None: nothing of that is counted."""

    def power_state(self, machine_ref: str) -> PowerState: ...

    def last_start(self, machine_ref: str) -> str | None:
        """A mark of the last time the machine was powered on, another one each time; "" when the source knows of none.
        None: the source can't tell. A machine that is off may have run since it was last seen off: this shows it."""

    def shut_down(self, machine_ref: str) -> None:
        """Ask the guest to shut down; returns at once. Raises Conflict when nothing in the guest can be asked."""

    def power_off(self, machine_ref: str) -> None:
        """Cut the power; returns when the machine is off. Nothing to do when it is off."""

    def power_on(self, machine_ref: str) -> None:
        """Returns when the machine is on. Nothing to do when it is on."""

    def wait_powered_off(self, machine_ref: str, timeout: float) -> bool:
        """Wait until the machine is seen off, at most `timeout` seconds; says whether it is."""

    def set_change_tracking(self, machine_ref: str, on: bool) -> bool:
        """Switch the tracking of changed blocks; says whether anything had to be changed. Raises Conflict.

        To be able to switch it back, remember `Machine.change_tracking` before: a second run sees what the first did.
        """

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        """One moment for all disks. A snapshot that carries this owner already is answered instead of a second one."""

    def find_snapshot(self, machine_ref: str, owner: Owner) -> Snapshot | None:
        """The snapshot that carries this owner, if it is there. One that is still being made is waited for: None means
        that none will appear."""

    def remove_snapshot(self, machine_ref: str, snapshot_ref: str) -> None:
        """Nothing to do when it isn't there. Its changes are merged; other snapshots stay."""

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        """What was written between change id `since` and the snapshot; Unknown whenever the source can't tell."""

    def make_ready(self, owner: Owner, machine_ref: str) -> None:
        """Begin what opening this machine's disks needs and takes its time, so that a machine that is stopped needn't
        wait for it; what stands against it is raised while the machine still runs."""

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        """The disk as the snapshot holds it, served read-only over NBD while the context is open."""


class Target(Provider, Protocol):
    # What is there, for mapping and for checks before anything is made
    def networks(self) -> list[Network]: ...
    def volume_types(self) -> list[str]: ...
    def flavors(self) -> list[Flavor]: ...

    def create_flavor(self, name: str, cpus: int, memory_mib: int, flavor_id: str) -> Flavor:
        """For this project alone, under this id. One of this name that is there already is answered instead.

        Raises AccessDenied for who may not make flavors, Conflict when the name is that of another size: none is left
        then.
        """

    def delete_flavor(self, flavor_id: str) -> None:
        """Nothing to do when it isn't there."""

    def quota_room(self) -> QuotaRoom: ...
    def choices(self) -> Choices: ...

    def taken(self, network_id: str, macs: Collection[str], addresses: Collection[str]) -> Taken:
        """Which of these a port there has already, as far as the project may see: of networks that aren't its own, its
        own ports."""

    def present(self) -> list[Present]:
        """The project's servers."""

    def present_volumes(self) -> list[Present]:
        """The project's volumes, whether a server has them or not."""

    def floating_addresses(self) -> list[FloatingAddress]: ...
    def external_networks(self) -> list[Named]:
        """Those that new floating addresses can be had from."""

    def make_ready(self, owner: Owner) -> None:
        """Begin what opening volumes needs and takes its time, so that its failure shows before a source is stopped."""

    def remove_relay(self, owner: Owner) -> None:
        """The server with this owner through which volumes were opened, and all that belongs to it. Nothing to do when
        it isn't there."""

    # Volumes. Everything made carries its owner; find_* finds it again, for second runs and for clean-up
    def create_volume(self, request: VolumeRequest, owner: Owner) -> Volume:
        """Returns once the volume is available. One that carries this owner already is answered instead."""

    def find_volume(self, owner: Owner) -> Volume | None: ...

    def open_volume(self, volume_id: str, owner: Owner) -> AbstractContextManager[Export]:
        """The volume served over NBD for writing. It is reserved in the cloud meanwhile, and freed at the end.

        A reservation that a killed process of ours left behind is taken over. Raises Conflict when the volume isn't of
        this owner's workflow, or a server holds it.
        """

    def finish_volume(self, volume_id: str, request: VolumeRequest) -> None:
        """Set what a server made from it needs (bootable flag, image properties) and what else is to be said of it."""

    def snapshot_volume(self, volume_id: str, owner: Owner) -> VolumeSnapshot: ...
    def find_volume_snapshot(self, owner: Owner) -> VolumeSnapshot | None: ...

    def revert_volume(self, volume_id: str, snapshot_id: str) -> None:
        """Back to the volume's latest snapshot; to no other. Detaches what we attached ourselves first."""

    def delete_volume_snapshot(self, snapshot_id: str) -> None:
        """Returns when it is gone. Nothing to do when it isn't there."""

    def delete_volume(self, volume_id: str) -> None:
        """Returns when it is gone; detaches what we attached ourselves first. Nothing to do when it isn't there.

        Raises Conflict while it has snapshots.
        """

    # Networks that lead nowhere, for dry runs
    def create_isolated_network(self, name: str, subnets: tuple[Subnet, ...], owner: Owner) -> Network:
        """With subnets like these and no router. One that carries this owner already is answered instead."""

    def find_isolated_network(self, owner: Owner) -> Network | None: ...
    def delete_isolated_network(self, network_id: str) -> None:
        """With its subnets. Nothing to do when it isn't there; raises Conflict while a port of ours is on it."""

    # Ports
    def create_port(self, request: PortRequest, owner: Owner) -> Port:
        """Raises AccessDenied when MAC or address may not be chosen there, Conflict when one of them is taken."""

    def find_port(self, owner: Owner) -> Port | None: ...
    def port(self, port_id: str) -> Port:
        """Any port of the project's, whoever made it. Raises NotFound."""

    def delete_port(self, port_id: str) -> None: ...

    # Floating addresses
    def create_floating_address(
        self, network_id: str, port_id: str, fixed: str | None, owner: Owner
    ) -> FloatingAddress:
        """It leads to the port, and there to the address `fixed`, if the port has several."""

    def find_floating_address(self, owner: Owner) -> FloatingAddress | None: ...
    def attach_floating_address(self, address_id: str, port_id: str, fixed: str | None) -> None:
        """One that is there and free. It is free again when its port is deleted."""

    def delete_floating_address(self, address_id: str) -> None:
        """Nothing to do when it isn't there."""

    # Servers
    def create_server(self, request: ServerRequest, owner: Owner) -> Server:
        """Returns once it is ACTIVE. Raises BootError with Nova's fault when it ends in ERROR."""

    def find_server(self, owner: Owner) -> Server | None: ...
    def server(self, server_id: str) -> Server:
        """Raises NotFound."""

    def stop_server(self, server_id: str) -> None:
        """Returns when it is off. Nothing to do when it is off."""

    def start_server(self, server_id: str) -> None:
        """Returns when it is on. Nothing to do when it is on."""

    def delete_server(self, server_id: str) -> None:
        """Returns when it is gone and its volumes are free. Nothing to do when it isn't there."""

    def console(self, server_id: str) -> str:
        """What the server has printed on its console so far; empty when there is nothing yet."""

    def agent_answers(self, server_id: str, owner: Owner) -> bool:
        """Whether the guest's agent answers. The server must have been made so that the cloud asks it, or fails.

        When it does, something is left that carries this owner (an image, snapshots of the volumes) and has to be
        removed; when it doesn't, nothing is. Raises AccessDenied, QuotaExceeded, NotFound; ProviderError when the cloud
        can't ask the agent of this server.
        """

    def remove_agent_probe(self, owner: Owner) -> bool:
        """What asking the agent has left; says whether there was anything. Raises Conflict when others hold it."""
