"""Machines in files move into the lab's OpenStack: exported as others would export them, then booted and looked at."""

import sys
import uuid
from pathlib import Path

import pytest
from moves import READY, only_migration, seen_on, state_of

pytestmark = pytest.mark.lab

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import manifest, ovf, pack, qemu_img

MAC = "00:50:56:3f:77:01"
TO_CLOUD = ["--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--plain", "--wait"]


def exported(lab, guest, directory):
    """An OVA of a guest, by its disks as they were built, with the MAC that it has in vCenter."""
    disks = sorted((lab.root / "cache" / "guests" / guest).glob("disk*.raw"))
    assert disks, "the lab has no disks of it"
    files, entries = {}, []
    for number, raw in enumerate(disks):
        vmdk = directory / f"{guest}-disk{number + 1}.vmdk"
        qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, vmdk)
        files[vmdk.name] = vmdk.read_bytes()
        entries.append((vmdk.name, vmdk.stat().st_size, raw.stat().st_size, number))
        vmdk.unlink()
    name = f"{guest}-{uuid.uuid4().hex[:6]}"
    text = ovf(*entries).replace(b"<Name>web01<", f"<Name>{name}<".encode())
    text = text.replace(b"00:50:56:AB:CD:EF", MAC.encode())
    text = text.replace(b"Quantity>2<", b"Quantity>1<").replace(b"Quantity>2048<", b"Quantity>256<")
    files = {f"{guest}.ovf": text, **files}
    files[f"{guest}.mf"] = manifest(files)
    pack(directory / f"{guest}.ova", files)
    return name


def moved(cli, cloud, *words, disks):
    done = cli("migrate", *words, *TO_CLOUD, timeout=1500)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    seen = seen_on(cloud, shown["server_id"])
    assert seen.verified is not None
    assert seen.verified.bad == 0
    assert len(seen.disks) == disks
    return shown, seen
