"""A share as Trilio leaves one: a workload with a full snapshot and increments, each naming the one before by a path
that was true elsewhere."""

import base64
import json
import random
import uuid

from files_made import SIZE, disk_bytes, qemu_img

MOUNTED = "/var/triliovault-mounts/" + base64.b64encode(b"10.10.2.20:/upstream").decode()
VM = "9894f013-77dd-4514-8e65-818f4ae91d1f"
MAC = "fa:16:3e:00:00:01"
SECTOR = 512
_FORMAT_OF_BASE = bytes.fromhex("e2792aca")  # an extension of qcow2's header, which Trilio's images don't have


def id_of(word):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, word))


def make_share(root, snapshots=3, disks=("vda", "vdb")):
    """Says what is in each disk, by snapshot: [{name: bytes}], oldest first."""
    workload = root / f"workload_{id_of('workload')}"
    write(workload / "workload_db", {"display_name": "nightly"})
    contents, images, chance = [], [], random.Random(4)
    for number in range(snapshots):
        held = dict(contents[-1]) if contents else {name: disk_bytes(n) for n, name in enumerate(disks)}
        snapshot = workload / f"snapshot_{id_of(f'snapshot {number}')}"
        made = {name: snapshot / image_of(number, name) for name in disks}
        for name, image in made.items():
            image.parent.mkdir(parents=True)
            raw = image.with_name("raw")
            if number:
                at, word = chance.randrange(SIZE // SECTOR) * SECTOR, chance.randbytes(SECTOR)
                held[name] = held[name][:at] + word + held[name][at + SECTOR :]
            raw.write_bytes(held[name])
            base = ["-F", "qcow2", "-B", images[-1][name]] if images else []
            qemu_img("convert", "-f", "raw", "-O", "qcow2", *base, raw, image)
            raw.unlink()
            url = f"/{image.relative_to(root)}"
            write(image.with_name("disk_db"), [{"top": True, "vault_url": url, "metadata": pairs(disk_format="qcow2")}])
        images.append(made)
        contents.append(held)
        describe(snapshot, number, disks)
    for number, made in enumerate(images[1:]):
        for name, image in made.items():
            qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", told_by(root, images[number][name]), image)
            data = image.read_bytes()
            image.write_bytes(data.replace(_FORMAT_OF_BASE, b"none", 1))
    return contents


def told_by(root, image):
    return f"{MOUNTED}/{image.relative_to(root)}"


def image_of(number, name):
    return f"vm_id_{VM}/vm_res_id_{id_of(f'{name} {number}')}_{name}/{id_of(f'image {name} {number}')}"


def describe(snapshot, number, disks):
    def resource(kind, name, id_, vm=VM, **more):
        return {"id": id_, "vm_id": vm, "resource_type": kind, "resource_name": name, "metadata": [], **more}

    resources = [
        resource("flavor", "m1.small", "f", metadata=pairs(vcpus=1, ram=256)),
        resource("nic", MAC, "n"),
        resource("network", "private", "net", vm=snapshot.name, resource_pit_id="net-1"),
        resource("security_group", "sg-1", "g", metadata=pairs(name="web", vm_attached=True)),
    ]
    for name in disks:
        told = pairs(volume_id="v-1", volume_name=f"web-{name}", volume_type="fast")
        resources.append(resource("disk", name, id_of(f"{name} {number}"), metadata=told))
    created = f"2026-05-0{number + 1}T02:00:00.000000"
    write(snapshot / "snapshot_db", {"status": "available", "created_at": created, "data_deleted": False})
    write(snapshot / "snapshot_vms_db", [{"vm_id": VM, "vm_name": "web", "metadata": pairs(key_name="my-key")}])
    write(snapshot / "resources_db", resources)
    nic = pairs(ip_address="10.0.0.7", mac_address=MAC, network_id="net-1", network_type="neutron")
    write(snapshot / "network" / "vm_res_id_n" / "network_db", [{"pickle": "(dp0\n.", "metadata": nic}])


def write(path, told):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def pairs(**fields):
    return [{"key": key, "value": value} for key, value in fields.items()]
