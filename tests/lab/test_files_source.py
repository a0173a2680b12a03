"""Machines in files move into the lab's OpenStack: exported as others would export them, then booted and looked at."""

import sys
import uuid
from pathlib import Path

import pytest
from moves import READY, only_migration, seen_on, state_of

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import https, manifest, ovf, pack, qemu_img

pytestmark = pytest.mark.lab

MAC = "00:50:56:3f:77:01"
TO_CLOUD = ["--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--plain", "--wait"]


def exported(lab, guest, directory):
    """An OVA of a guest, by its disks as they were built, with the MAC that it has in vCenter."""
    disks = [lab.root / "cache" / "guests" / guest / f"{disk}.raw" for disk in ("root", "data")]
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


def add_files(cli, url, *words):
    done = cli("provider", "add", "files", "exports", "--url", url, *words)
    assert done.returncode == 0, done.stderr


def test_a_tiny_machine_boots_from_its_ova(cli, lab, cloud, tmp_path, tidy):
    name = exported(lab, "tiny", tmp_path)
    add_files(cli, f"file://{tmp_path}")
    (listed,) = cli.json("machine", "list", "exports")
    assert listed["Name"] == name
    shown, seen = moved(cli, cloud, name, "--from", "exports", "--landing=unchanged", "--power=on", disks=2)
    assert {nic.mac for nic in seen.nics.values()} == {MAC}
    assert shown["result"]["bytes_verified"] > 0


def test_a_tiny_machine_boots_from_a_qcow2_on_the_web(cli, lab, cloud, tmp_path, tidy):
    served = tmp_path / "served"
    served.mkdir()
    root = lab.root / "cache" / "guests" / "tiny" / "root.raw"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", root, served / "tinyweb.qcow2")
    with https(served, tmp_path) as (url, certificate):
        hardware = ("--cpus", "1", "--memory", "256", "--network", "VM Network")
        add_files(cli, f"{url}/tinyweb.qcow2", "--ca-file", certificate, *hardware)
        words = ["--from", "exports", "--landing=unchanged", "--power=on", "--boot-proof=none"]
        done = cli("migrate", "tinyweb", *TO_CLOUD[:4], *words, "--wait", "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert cloud.compute.get_server(shown["server_id"]).status == "ACTIVE"


@pytest.mark.soak
def test_debian_is_converted_from_its_ova_and_boots(cli, lab, cloud, tmp_path, tidy):
    name = exported(lab, "debian", tmp_path)
    add_files(cli, f"file://{tmp_path}")
    shown, _ = moved(cli, cloud, name, "--from", "exports", "--flavor", "debian", "--power=on", disks=2)
    assert shown["result"]["conversion"]["system"]["distribution"] == "debian"
