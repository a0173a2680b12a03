"""The demo: what a user types, what Longshore answers, and at the end the proof from the moved machine's own console.

It may be run again at once: the server of an earlier run is removed first, and the machine starts from its image.
"""

import json
import os
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openstack
from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "lab" / "vcenter"), str(PROJECT / "lab" / "guests")]

import console as writer  # noqa: E402
from sidedoor_client import SideDoor  # noqa: E402

LAB = Path(os.environ["LONGSHORE_LAB"])
STATE = LAB / "data" / "demo"
MACHINE = "web01"
USER = "administrator@vsphere.local"
READY = "LONGSHORE-WRITER ready"
BOOT_WITHIN = 300  # seconds, under emulation


def say(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m", flush=True)


def longshore(*words: str | Path) -> None:
    """Show the command as one would type it, and run it."""
    print(f"\033[36m$ longshore {shlex.join(str(w) for w in words)}\033[0m", flush=True)
    subprocess.run([PROJECT / ".venv/bin/longshore", "--state", STATE, *words], check=True)


def answer(*words: str) -> Any:
    done = subprocess.run(
        [PROJECT / ".venv/bin/longshore", "--state", STATE, *words, "-f", "json"], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def clear_away(cloud: Any) -> None:
    """What an earlier run of the demo has moved."""
    for server in cloud.compute.servers(name=f"^{MACHINE}$"):
        volumes = [v.id for v in cloud.compute.volume_attachments(server)]
        ports = [p.id for p in cloud.network.ports(device_id=server.id)]
        cloud.delete_server(server.id, wait=True)
        for port in ports:
            cloud.network.delete_port(port, ignore_missing=True)
        for volume in volumes:
            cloud.delete_volume(volume, wait=True)
    shutil.rmtree(STATE, ignore_errors=True)


def power_on() -> None:
    context = ssl.create_default_context(cafile=LAB / "etc/vcenter.crt")
    password = (LAB / "etc/vcenter.password").read_text().strip()
    vcenter = SmartConnect(host="vcenter.lab", user=USER, pwd=password, sslContext=context)
    try:
        machine = vcenter.content.searchIndex.FindByInventoryPath(f"DC0/vm/web/{MACHINE}")
        WaitForTask(machine.PowerOnVM_Task(), si=vcenter)
    finally:
        Disconnect(vcenter)


def wait_until_it_writes(sidedoor: SideDoor) -> None:
    end = time.monotonic() + BOOT_WITHIN
    while time.monotonic() < end:
        if writer.read(sidedoor.console(MACHINE)).last_acknowledged > 10:
            return
        time.sleep(1)
    raise SystemExit(f"{MACHINE} didn't come up within {BOOT_WITHIN} s")


def main() -> None:
    sidedoor = SideDoor()
    cloud = openstack.connect(cloud="lab")
    clear_away(cloud)

    say(f"{MACHINE} is a Debian machine on the lab's vCenter. It is powered on and begins to write to both its disks.")
    sidedoor.reset_machine(MACHINE)
    power_on()
    wait_until_it_writes(sidedoor)
    print(tail(sidedoor.console(MACHINE), 4))

    say("Longshore is told about the vCenter and the OpenStack.")
    certificate = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", LAB / "etc/vcenter.crt"]
    fingerprint = (
        subprocess.run(certificate, check=True, capture_output=True, text=True).stdout.partition("=")[2].strip()
    )
    vcenter = ["--host", "vcenter.lab", "--username", USER, "--password-file", LAB / "etc/vcenter.password"]
    longshore(
        "provider", "add", "vsphere", "vc", *vcenter, "--fingerprint", fingerprint, "--vddk-libdir", LAB / "run/disklib"
    )
    longshore("provider", "add", "openstack", "cloud", "--os-cloud", "lab")
    longshore("machine", "list", "vc")

    say("One command moves it.")
    networks = ["--network", "VM Network=private"]
    longshore("migrate", MACHINE, "--from", "vc", "--to", "cloud", *networks, "--boot-mark", READY, "--wait")

    (listed,) = answer("migration", "list")
    migration = answer("migration", "show", listed["ID"])
    shown = cloud.compute.get_server_console_output(migration["server_id"])["output"]
    say("The console of the server, in OpenStack:")
    print(arrival(shown))
    prove(writer.read(sidedoor.console(MACHINE)), writer.read(shown).boots[-1], migration)

    say("All of this can be looked at in a browser, and tiny01 moved there. Outside the lab, this prints the link:")
    print("\033[36m$ make demo-web\033[0m")
    print(f"(tiny01 boots in OpenStack unchanged, and prints {READY} on its console when it is up.)")


def arrival(text: str) -> str:
    """What the moved machine said as it came up: what it found, and the first records it wrote."""
    lines = [line for line in text.splitlines() if "LONGSHORE-WRITER" in line]
    first = next(n for n, line in enumerate(lines) if READY in line)
    return "\n".join(lines[: first + 4])


def tail(text: str, count: int) -> str:
    return "\n".join([line for line in text.splitlines() if "LONGSHORE-WRITER" in line][-count:])


def prove(said: writer.Console, target: writer.Boot, migration: dict[str, Any]) -> None:
    say("What that proves:")
    result = migration["result"]
    source = said.boots[-1]
    if target.verified is None or len(target.nics) != 1:
        raise SystemExit("The demo failed: the moved machine didn't say what it found.")
    (nic,) = target.nics.values()
    (before,) = source.nics.values()
    facts = [
        (
            target.verified.bad == 0 and target.verified.last >= said.last_acknowledged > 0,
            f"the last record acknowledged before the shutdown was {said.last_acknowledged}; "
            f"the target holds all up to {target.verified.last}, {target.verified.bad} bad",
        ),
        ({"/", "/data"} <= set(target.mounts), "both disks are mounted"),
        (
            (nic.mac, nic.name) == (before.mac, before.name),
            f"{nic.name} kept its name, its MAC {nic.mac} and its address {' '.join(nic.addresses)}",
        ),
        (
            nic.driver == "virtio_net" and all(d.driver == "virtio_blk" for d in target.disks),
            f"the drivers are {nic.driver} and virtio_blk; before they were "
            f"{before.driver} and {source.disks[0].driver}",
        ),
        (
            all(disk["root_digest"] for disk in migration["disks"]) and result["bytes_verified"] > 0,
            f"{result['bytes_read'] >> 20} MiB copied at {result['rate'] >> 20} MiB/s, "
            f"{result['bytes_verified'] >> 20} MiB of the target verified against their BLAKE3 digests",
        ),
    ]
    for good, text in facts:
        print(f"  {'yes' if good else 'NO '}  {text}")
    print(f"  Downtime: {migration['downtime_seconds']:.0f} s, all of it under emulation.")
    if not all(good for good, _ in facts):
        raise SystemExit("The demo failed: see the lines that say NO.")


if __name__ == "__main__":
    main()
