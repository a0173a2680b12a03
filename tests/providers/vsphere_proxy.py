"""The lab's vCenter with a machine whose disks are files, and a proxy that serves what is attached to it."""

import hashlib
import subprocess
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from vcenter.paper import paper_vcenter

from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.proxy_credentials import make_credentials
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource

MIB = 1 << 20
SIZE = 4 * MIB
CONTENT = b"home" * (MIB // 4) + bytes(2 * MIB) + b"port" * (MIB // 4)
ROOT, DATA = "2000", "2001"  # keys of its disks
GOODS, PROXY, LIKE = "goods", "proxy", "paper00001"


class Place:
    """A vCenter, by its side door and its API."""

    def __init__(self, served, root: Path):
        self.served = served
        self.door = served.sidedoor
        self.root = root

    def settings(self, **said):
        fingerprint = fetch_fingerprint(self.served.host, self.served.port)
        return VsphereSettings(self.served.host, self.served.user, self.served.port, fingerprint, **said)

    def provider(self, *proxies, transport="proxy"):
        """Return settings and secrets of a provider that reads machines through these proxies, or in another way."""
        said = asdict(self.settings(transport=transport, proxies=proxies))
        settings = {name: said[name] for name in ("host", "port", "username", "fingerprint", "transport", "proxies")}
        return settings, {"password": self.served.password, "proxy_key": make_credentials().secret}

    @contextmanager
    def source(self, proxy_key="", **said):
        with closing(VsphereSource(self.settings(**said), self.served.password, proxy_key=proxy_key)) as source:
            yield source

    def add_machine(self, name=GOODS, disks=2, nics=()):
        """Add one that is off, with as many disks of 4 MiB, whose first and last MiB hold something."""
        disk = {"datastore": "datastore1", "image": "small.raw"}
        return self.door.add_machine(LIKE, name, disks=[disk] * disks, nics=list(nics))

    def add_proxy(self, name=PROXY, *, controllers=2, datastore="datastore1", **changes):
        """Add a machine with one disk of its own."""
        disk = {"datastore": datastore, "capacity": 1 << 30}
        return self.door.add_machine(LIKE, name, disks=[disk], controllers=controllers, **changes)

    def digests(self, machine=GOODS):
        return digests_of(self.door, machine, self.root)


def digests_of(door, machine, directory):
    """Return digests of what a machine's disks hold now, from whichever files, by their keys. Nothing writes.
    `directory` is for copies of them."""
    found = {}
    for key, layers in door.machine(machine)["chains"].items():
        form = "raw" if len(layers) == 1 else "qcow2"
        whole = directory / f"{machine}-{key}.whole"
        command = ["qemu-img", "convert", "-U", "-f", form, "-O", "raw", layers[-1], whole]
        subprocess.run(command, check=True, capture_output=True)
        with whole.open("rb") as opened:
            found[key] = hashlib.file_digest(opened, "sha256").hexdigest()
        whole.unlink()
    return found


@contextmanager
def vcenter_at(directory: Path):
    root = directory / "lab"
    with paper_vcenter(root) as served:
        (root / "cache" / "guests" / "small.raw").write_bytes(CONTENT)
        served.sidedoor.add_paper_machines(1, prefix="paper")
        yield Place(served, root)
