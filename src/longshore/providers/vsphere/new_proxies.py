"""Proxies that are made, and deleted: machines of the relay's image, uploaded to a datastore by vSphere's own import.

All that can't be given to a running machine is in the configuration that is imported: controllers, the setting by which
a guest tells disks apart, and whose the machine is. So one that is there at all is found again, and none of somebody
else's is ever deleted.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVmomi import vim

from longshore.border.texts import some
from longshore.errors import Conflict, InvalidInput, NotFound, Occupied
from longshore.model.proxy import NewProxy
from longshore.model.target import Owner
from longshore.providers.vsphere import making, power, proxy_machine, proxy_ova
from longshore.providers.vsphere.leases import GONE_WITHIN, held, upload
from longshore.providers.vsphere.places import NAMES_PAGE, datacenter_of, inventory_name
from longshore.providers.vsphere.properties import read, read_all, sweep
from longshore.providers.vsphere.proxy_credentials import make_credentials
from longshore.providers.vsphere.proxy_disks import elsewhere, is_written_by
from longshore.providers.vsphere.proxy_machine import CLIENT, ProxyMachine, find_proxy
from longshore.providers.vsphere.proxy_pool import set_up
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import result

BOOTS_WITHIN = 300.0  # seconds until it says where it serves
_CLUSTER_TIMEOUT = 120.0  # seconds for a change of a cluster's settings
_LONGEST_NAME = 80  # characters, by vSphere's own rule
_NAMED = 10  # places that are named where none of them was meant
_GUEST, _HARDWARE = "debian10_64Guest", "vmx-14"  # which vSphere 6.7 knows
_NETWORK_PATHS = ("name", "summary")

_Device = vim.vm.device


@dataclass(frozen=True, slots=True)
class _Place:
    folder: Any
    pool: Any
    host: Any
    cluster: Any  # None: the host is in none
    backing: Any  # of its adapter


def check(session: VsphereSession, wanted: NewProxy) -> None:
    """Raise InvalidInput for what can't be meant, or isn't there, Conflict when the name is taken."""
    if not 0 < len(wanted.name) <= _LONGEST_NAME or not wanted.name.isprintable() or set(wanted.name) & set("/\\%"):
        raise InvalidInput(
            f"{wanted.name!r} can't be the name of a proxy.",
            advice=f"Choose one of at most {_LONGEST_NAME} characters, without / \\ and %.",
        )
    proxy_ova.settings_of(wanted.address, wanted.gateway)
    with session.doing(f"look where the proxy {wanted.name} is to be"):
        place = _place(session, wanted)
        if session.content.searchIndex.FindChild(entity=place.folder, name=wanted.name) is not None:
            raise Conflict(f"There is something called {wanted.name} already.", advice="Choose another name.")


def create(
    session: VsphereSession, wanted: NewProxy, image: Path, owner: Owner, told: Callable[[int, str], None]
) -> str:
    """Make a proxy and return its reference once it lets us in. As the contract's `create_proxy`."""
    delete(session, wanted.name, owner)  # what an earlier run may have left half made
    check(session, wanted)
    # Each provider has a key pair of its own, which the proxy is told when it is first used: this one is for the proof
    # that it boots and can be reached
    credentials = make_credentials()
    with tempfile.TemporaryDirectory(prefix="longshore-proxy-") as work:
        disk = Path(work) / "disk.vmdk"
        told(0, "Packing the image.")
        size = proxy_ova.pack_disk(image, disk)
        with session.doing(f"make the proxy {wanted.name}"):
            place = _place(session, wanted)
            settings = {
                making.MARK: owner.tag,
                CLIENT: credentials.published,
                **proxy_ova.settings_of(wanted.address, wanted.gateway),
            }
            machine = _imported(session, place, _spec(wanted, place, settings, size), disk, told)
    if place.cluster is not None:
        _keep_where_it_is(session, place.cluster, machine, told)
    told(100, "Booting it.")
    power.power_on(session, machine._moId)
    proxy = ProxyMachine(session, machine._moId, credentials)
    proxy.served(BOOTS_WITHIN)
    told(100, "Connecting to it.")
    set_up(proxy, credentials)
    return str(machine._moId)


def delete(session: VsphereSession, name: str, owner: Owner) -> bool:
    """Delete the proxy that was made for this owner, and tell whether it was there. One that a dead process was just
    uploading is waited for: it can't be deleted until vSphere has noticed.

    Raises Conflict while other machines' disks are attached to it, or disks are read through it; Occupied,
    ProviderError.
    """
    end, deleted = time.monotonic() + GONE_WITHIN, False
    while (ref := making.find(session, name, owner)) is not None:
        try:
            _refuse_in_use(session, name, ref)
            power.power_off(session, ref)
            _refuse_in_use(session, name, ref)  # to one that is off nothing more is attached
            making.delete(session, ref, owner)
            deleted = True
        except (Occupied, NotFound):
            if time.monotonic() > end:
                raise
            time.sleep(proxy_machine.PAUSE)
    return deleted


def _refuse_in_use(session: VsphereSession, name: str, ref: str) -> None:
    for word in session.settings.proxies if session.settings.transport == "proxy" else ():
        try:
            used = find_proxy(session, word) == ref
        except (NotFound, Conflict):
            continue
        if used:
            raise Conflict(
                f"Disks of {session.label} are read through the proxy {name}.",
                advice="Name other proxies, or another way to read disks, first: longshore provider set.",
            )
    with session.doing(f"look what is attached to the proxy {name}"):
        machine = session.object(vim.VirtualMachine, ref)
        now = read(session, machine, ["config.hardware.device", "config.files.vmPathName"])
    if others := sorted(elsewhere(now)):
        raise Conflict(
            f"The proxy {name} has disks that aren't its own, and vSphere would delete them, too: "
            f"{some(others, _NAMED)}.",
            advice="Wait until what reads them has ended, or detach them without deleting their files.",
        )


# Where


def _place(session: VsphereSession, wanted: NewProxy) -> _Place:
    """Find where it is to be. Raises InvalidInput for what isn't there, and vSphere's own faults."""
    paths = ("name", "parent", "datastore", "network")
    hosts = [(ref, now) for ref, now in sweep(session, {vim.HostSystem: paths}, page=NAMES_PAGE)]
    host, now = _chosen(hosts, wanted.host, f"{session.label} has no host called")
    stores = read_all(session, now["datastore"], ("name", "host")) if now["datastore"] else {}
    here = [(ref, stores[ref._moId]) for ref in now["datastore"] or [] if ref._moId in stores]
    mounted = [(ref, told) for ref, told in here if is_written_by(host, told["host"])]
    _chosen(mounted, wanted.datastore, f"{wanted.host} has no datastore for writing called")
    networks = read_all(session, now["network"], _NETWORK_PATHS) if now["network"] else {}
    there = [(ref, networks[ref._moId]) for ref in now["network"] or [] if ref._moId in networks]
    network, told = _chosen(there, wanted.network, f"{wanted.host} has no network called")
    datacenter = datacenter_of(session, host)
    return _Place(
        folder=read(session, datacenter, ("vmFolder",))["vmFolder"],
        pool=read(session, now["parent"], ("resourcePool",))["resourcePool"],
        host=host,
        cluster=now["parent"] if isinstance(now["parent"], vim.ClusterComputeResource) else None,
        backing=making.adapter_backing(session, network, told),
    )


def _chosen(there: list[tuple[Any, Any]], name: str, missing: str) -> tuple[Any, Any]:
    """Return the first of this name. Raises InvalidInput."""
    names = [inventory_name(told["name"] or "") for _, told in there]
    if name not in names:
        raise InvalidInput(
            f"{missing} {name}.", advice=f"There are: {some(sorted(names), _NAMED)}." if names else "There is none."
        )
    return there[names.index(name)]


# What


def _spec(wanted: NewProxy, place: _Place, settings: dict[str, str], size: int) -> Any:
    """Describe the machine. `size`: of its disk, in bytes."""
    controllers = [
        _Device.ParaVirtualSCSIController(key=-1 - bus, busNumber=bus, sharedBus="noSharing")
        for bus in range(proxy_ova.CONTROLLERS)
    ]
    card = _Device.VirtualVmxnet3(
        key=-200,
        addressType="generated",
        backing=place.backing,
        connectable=making.plugged(on=True),
    )
    disk = making.new_disk(-100, (-1, 0), size, wanted.datastore, thin=True)
    changes = [*map(making.added, (*controllers, card)), disk]
    config = vim.vm.ConfigSpec(
        name=wanted.name,
        guestId=_GUEST,
        version=_HARDWARE,
        annotation=proxy_ova.ANNOTATION,
        firmware="bios",
        numCPUs=proxy_ova.CPUS,
        memoryMB=proxy_ova.MEMORY_MIB,
        files=vim.vm.FileInfo(vmPathName=f"[{wanted.datastore}]"),
        changeTrackingEnabled=False,
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in settings.items()],
        deviceChange=changes,
    )
    return vim.vm.VmImportSpec(configSpec=config)


def _imported(session: VsphereSession, place: _Place, spec: Any, disk: Path, told: Callable[[int, str], None]) -> Any:
    """Return the machine that vSphere has made of this. What is broken off leaves none."""
    size, done = disk.stat().st_size, 0

    def sent(count: int) -> None:
        nonlocal done
        done = 100 * count // size
        told(done, "Uploading its disk.")

    lease = place.pool.ImportVApp(spec=spec, folder=place.folder, host=place.host)
    with held(session, lease, lambda: done) as info:
        (url,) = [one for one in info.deviceUrl if one.disk]
        upload(session, url, disk, sent)
    return info.entity


def _keep_where_it_is(session: VsphereSession, cluster: Any, machine: Any, told: Callable[[int, str], None]) -> None:
    """Have DRS leave it on its host, or tell that it may not."""
    with session.doing("look at the cluster's settings"):
        now = read(session, cluster, ("configurationEx",))["configurationEx"]
    if now is None or not now.drsConfig.enabled:
        return
    info = vim.cluster.DrsVmConfigInfo(key=machine, enabled=True, behavior="manual")
    spec = vim.cluster.ConfigSpecEx(drsVmConfigSpec=[vim.cluster.DrsVmConfigSpec(operation="add", info=info)])
    with session.doing("keep DRS from moving the proxy"):
        try:
            result(session, cluster.ReconfigureComputeResource_Task(spec, modify=True), _CLUSTER_TIMEOUT)
        except vim.fault.NoPermission as fault:
            told(
                100,
                f"DRS may move it: Longshore's user lacks {fault.privilegeId or 'a right'} on its cluster. Set its "
                "automation level to manual there, or to disabled.",
            )
