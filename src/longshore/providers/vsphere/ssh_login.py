"""A trial whether the ESXi hosts let Longshore in over SSH: made before anything depends on it."""

from concurrent.futures import ThreadPoolExecutor

from pyVmomi import vim

from longshore.errors import LongshoreError
from longshore.providers.vsphere.flat_files import host_of
from longshore.providers.vsphere.places import NAMES_PAGE, inventory_name
from longshore.providers.vsphere.properties import read, sweep
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.ssh_disks import try_login, usable_key

AT_ONCE = 8


def everywhere(session: VsphereSession, key: str) -> dict[str, str]:
    """Return which of the connected hosts do (`ssh`), and what the others say (`ssh_refused`).

    Raises what the first one says when none of them does.
    """
    usable_key(key)
    with session.doing("list its hosts"):
        found = list(sweep(session, {vim.HostSystem: ("name", "runtime.connectionState")}, page=NAMES_PAGE))
    connected = [properties for _, properties in found if properties["runtime.connectionState"] == "connected"]
    hosts = sorted({host_of(session, inventory_name(properties["name"] or "")) for properties in connected})
    with ThreadPoolExecutor(AT_ONCE) as threads:
        refusals = dict(zip(hosts, threads.map(lambda host: _refusal(session, key, host), hosts), strict=True))
    refused = {host: error for host, error in refusals.items() if error is not None}
    if refused and len(refused) == len(hosts):
        raise refused[hosts[0]]
    told = {"ssh": ", ".join(host for host in hosts if host not in refused)}
    return told | ({"ssh_refused": " ".join(map(str, refused.values()))} if refused else {})


def to_host_of(session: VsphereSession, key: str, machine_ref: str) -> None:
    """Log in to the host of a machine. Raises what the host says when it doesn't let us in."""
    with session.doing(f"tell on which host {machine_ref} is"):
        host = read(session, session.object(vim.VirtualMachine, machine_ref), ["runtime.host"])["runtime.host"]
        name = read(session, host, ["name"])["name"] or ""
    try_login(session.settings, key, host_of(session, inventory_name(name)))


def _refusal(session: VsphereSession, key: str, host: str) -> LongshoreError | None:
    try:
        try_login(session.settings, key, host)
    except LongshoreError as error:
        return error
    return None
