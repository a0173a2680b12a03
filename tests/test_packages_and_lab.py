"""Debian's packages of Longshore on a bare Debian, from nothing to a machine in files that runs in the lab's cloud."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from booted import OUR_NETWORK, Booted
from packaged import ROOT, as_root, made, root, typed

sys.path.append(str(Path(__file__).parent / "providers"))
from files_made import exported_guest, pack

pytestmark = [*as_root(), pytest.mark.soak]
LAB = Path(os.environ.get("LONGSHORE_LAB", "/var/lib/longshore-lab"))
READY = "LONGSHORE-WRITER ready"
# Inside the lab: says what the guest has told on its console, and removes its server
LOOK = """
import sys
sys.path[:0] = ["tests/lab", "tests"]
import openstack
from moves import remove_server, seen_on
cloud = openstack.connect(cloud="lab")
try:
    seen = seen_on(cloud, sys.argv[1])
    print(seen.verified.bad, len(seen.disks))
finally:
    remove_server(cloud, sys.argv[1])
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return made(tmp_path_factory.mktemp("packages"), "none")


@pytest.mark.parametrize("debian", ["bare", "bare-trixie"])
def test_a_bare_debian_moves_its_first_machine_into_the_lab(packages, debian, tmp_path):
    holder = (LAB / "run/holder.pid").read_text().split()[0]  # of lab/holder.sh
    name = f"first-{uuid.uuid4().hex[:6]}"
    with Booted(root(debian), tmp_path) as machine:
        for package in packages.values():
            shutil.copy(package, machine.root / "mnt")
        image = machine.root / "srv/tiny.ova"
        pack(image, exported_guest(LAB / "cache/guests/tiny", tmp_path, name, "00:50:56:3f:77:02", 256))
        # What an operator has: the cloud's entry, and a user of its Ceph
        shutil.copy(LAB / "etc/clouds.yaml", machine.root / "root")
        shutil.copytree(LAB / "etc/ceph", machine.root / "etc/ceph")
        shutil.copy("/etc/resolv.conf", machine.root / "etc")
        (machine.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        # Recommended packages come along, as on any Debian and otherwise than where mmdebstrap made the root
        machine.on(
            'echo \'APT::Get::Assume-Yes "true"; APT::Install-Recommends "true";\' >/etc/apt/apt.conf.d/zz-as-usual'
        )

        def there(command, network):
            said = machine.on(f"cd /mnt && {command} && echo done", network)
            assert said.endswith("done"), said
            return said.removesuffix("done")

        begun = time.monotonic()
        (_, (install,)) = typed("Debian packages")
        for command in ("apt-get -qq update", install):
            there(command, OUR_NETWORK)  # from this machine's mirrors
        installed = time.monotonic()
        in_lab = f"/proc/{holder}/ns/net"
        for command in (
            "longshore provider add files exports --url file:///srv",
            "OS_CLIENT_CONFIG_FILE=/root/clouds.yaml longshore provider add openstack cloud --os-cloud lab",
            f"longshore migrate {name} --from exports --to cloud --network 'VM Network=private' --landing unchanged "
            f"--power on --boot-mark '{READY}' --wait --plain",
        ):
            print(there(command, in_lab))
        ended = time.monotonic()
        (migration,) = json.loads(there("longshore migration list -f json", in_lab))
        shown = json.loads(there(f"longshore migration show {migration['ID']} -f json", in_lab))
    look = [ROOT / "lab/lab", "run", ROOT / ".venv/bin/python", "-c", LOOK, shown["server_id"]]
    environment = os.environ | {"OS_CLIENT_CONFIG_FILE": str(LAB / "etc/clouds.yaml")}
    seen = subprocess.run(look, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    print(f"{debian}: packages installed in {installed - begun:.0f} s, moved in {ended - installed:.0f} s more")
    assert seen.split() == ["0", "2"]
