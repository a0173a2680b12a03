"""The appliance in QEMU, as its page says: by BIOS it is asked on its console, by UEFI it is told by cloud-init.

Without KVM, so that it is the same everywhere: some minutes until a server answers. It reaches nothing but a small
Keystone, and is reached on loopback alone.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from urllib.request import urlopen

import pytest

from booted import until
from in_process import longshore
from packaged import ROOT, as_root, make, typed
from ports import port_to_serve

pytestmark = [*as_root(5400), pytest.mark.soak]
PAGE = ROOT / "docs/howto/appliance.md"
ADDRESS, KEYSTONE = "10.0.2.15", "10.0.2.100"  # in QEMU's network
OVMF = "/usr/share/OVMF/OVMF_{}_4M.ms.fd"  # with Microsoft's keys, which shim is signed by
BOOTS = 3000  # seconds, without KVM on a machine that does much else
ANN = {
    "OS_USERNAME": "ann",
    "OS_PASSWORD": "ann's secret",
    "OS_PROJECT_NAME": "red",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
}
UNITS = "longshore-database longshore-server longshore-worker"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the directory with the appliance, made as its page says."""
    assert typed("Build it", "appliance")[0][0] == "make appliance"
    return make("appliance", tmp_path_factory.mktemp("made"))


@pytest.fixture
def keystone(tmp_path):
    """Yield the port of a small Keystone."""
    (tmp_path / "nothing").mkdir()
    command = [sys.executable, ROOT / "tests/keystone_and_files.py", tmp_path / "nothing", KEYSTONE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            yield int(json.loads(served.stdout.readline())["keystone"].rpartition(":")[2])
        finally:
            served.terminate()


class Machine:
    """A machine with the appliance's disk, of which ports of loopback lead to its server and to its SSH."""

    def __init__(self, at):
        self.at, self.server, self.ssh = at, port_to_serve(), port_to_serve()
        self._told, self._heard = "", 0
        self.started = time.monotonic()

    def connect(self, console):
        """Read all that the console says from now on: a machine waits for whoever doesn't."""
        self._console = console
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with suppress(OSError):
            while said := self._console.recv(4096):
                self._told += said.decode(errors="replace")

    def until_said(self, words):
        """Wait for words on the console behind those that were waited for before, and return what came before them."""
        end = time.monotonic() + BOOTS
        while (at := self._told.find(words, self._heard)) < 0:
            assert time.monotonic() < end, f"{words!r} wasn't said, but: {self._told[-2000:]}"
            time.sleep(0.2)
        before, self._heard = self._told[self._heard : at], at + len(words)
        return before

    def type_in(self, line):
        self._console.sendall(f"{line}\r".encode())

    def log_in(self, password):
        """Log in as root, at a prompt that has just come: each waits for a minute, and then for whoever is next."""
        self._heard = len(self._told)
        self.type_in("")
        self.until_said("login:")
        self.type_in("root")
        self.until_said("Password:")
        self.type_in(password)

    def until_ready(self):
        """Wait until its server answers, and return the certificate that it shows."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

        def ready():
            with suppress(OSError):
                return urlopen(f"https://127.0.0.1:{self.server}/readyz", context=trusting, timeout=60).status == 200

        until(ready, BOOTS)
        print(f"ready {time.monotonic() - self.started:.0f} s after its start")
        return ssl.get_server_certificate(("127.0.0.1", self.server))

    def client(self, name, keystone, certificate, *words):
        """Return what a user's command says that reaches the appliance by this name."""
        (self.at / "hosts").write_text(f"127.0.0.1 localhost {name}\n")
        (self.at / "longshore.pem").write_text(certificate)
        asked = {
            "LONGSHORE_URL": f"https://{name}:{self.server}",
            "OS_AUTH_URL": f"http://127.0.0.1:{keystone}/v3",
            "OS_CACERT": str(self.at / "longshore.pem"),
        }
        known = 'mount --bind "$0" /etc/hosts && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", known, self.at / "hosts", ROOT / ".venv/bin/longshore", *words]
        done = subprocess.run(command, env=os.environ | ANN | asked, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def booted(built, at, keystone, *options):
    """Start it, and end it in the end."""
    (image,) = built.glob("longshore-*.qcow2")
    disk = at / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk, "20G"], check=True)
    with socket.create_server(str(at / "serial"), family=socket.AF_UNIX) as listening:
        machine = Machine(at)
        network = (
            f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{machine.server}-{ADDRESS}:9797,"
            f"hostfwd=tcp:127.0.0.1:{machine.ssh}-{ADDRESS}:22,"
            f"guestfwd=tcp:{KEYSTONE}:{keystone}-cmd:busybox nc 127.0.0.1 {keystone}"
        )
        command = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"),
            *("-display", "none", "-monitor", "none", "-no-reboot", "-device", "virtio-rng-pci"),
            *(
                "-chardev",
                f"socket,id=console,path={at / 'serial'},logfile={at / 'console'}",
                "-serial",
                "chardev:console",
            ),
            *("-drive", f"file={disk},if=virtio,cache=unsafe"),
            *("-netdev", network, "-device", "virtio-net-pci,netdev=net", *options),
        ]
        with (at / "qemu").open("w") as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            listening.settimeout(BOOTS)
            with listening.accept()[0] as console:
                machine.connect(console)
                yield machine
        finally:
            process.kill()
            process.wait()


def test_a_console_asks_where_nothing_was_told(built, keystone, tmp_path):
    with booted(built, tmp_path, keystone) as machine:
        machine.until_said("Address of this machine")
        print(f"asks {time.monotonic() - machine.started:.0f} s after its start, by BIOS")
        machine.type_in(f"{ADDRESS}/24")
        for question, answer in (
            ("Its gateway:", "10.0.2.2"),
            ("Its resolver", "10.0.2.3"),
            ("Keystone, as", "cloud.example"),
            ("That can't be right.", f"http://{KEYSTONE}:{keystone}/v3"),
            ("Password of the user longshore", "service"),
            ("A password for root", "short"),
            ("That can't be right.", "long enough"),
        ):
            machine.until_said(question)
            machine.type_in(answer)
        shown = machine.until_said("longshore login:")
        assert re.findall(r"https://\S+", shown) == [f"https://{ADDRESS}:9797"]
        assert "long enough" not in shown
        certificate = machine.until_ready()
        assert machine.client("longshore", keystone, certificate, "provider", "list") == ""

        machine.log_in("long enough")
        machine.until_said("longshore:~#")
        machine.type_in(
            f"systemctl is-active {UNITS} | xargs; systemctl list-units --failed --plain --no-legend; echo e'n'd"
        )
        said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", machine.until_said("end\r\n"))  # what it tells a terminal
        active = said.partition("\n")[2].split()
        assert active == ["active"] * 3


def test_cloud_init_tells_it_where_secure_boot_is_on(built, keystone, tmp_path):
    (data,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    for shown, put in (
        ("ssh-ed25519 AAAA… operator", (tmp_path / "key.pub").read_text().strip()),
        ("https://cloud.example:5000", f"http://{KEYSTONE}:{keystone}"),
        ("SECRET", "service"),
    ):
        assert data.count(shown) == 1
        data = data.replace(shown, put)
    (tmp_path / "user-data").write_text(data)
    (tmp_path / "meta-data").write_text("instance-id: one\nlocal-hostname: mover\n")
    seed = [tmp_path / "user-data", tmp_path / "meta-data"]
    subprocess.run(
        ["genisoimage", "-quiet", "-V", "cidata", "-J", "-r", "-o", tmp_path / "seed.iso", *seed], check=True
    )
    shutil.copy(OVMF.format("VARS"), tmp_path / "nvram")
    options = (
        *("-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF.format('CODE')}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={tmp_path / 'nvram'}"),
        *("-drive", f"file={tmp_path / 'seed.iso'},if=virtio,format=raw,readonly=on"),
    )
    with booted(built, tmp_path, keystone, *options) as machine:
        machine.until_ready()

        def on(command):
            known = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
            there = ["ssh", *known, "-i", tmp_path / "key", "-p", str(machine.ssh), "debian@127.0.0.1", command]
            return subprocess.run(there, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

        certificate = on("sudo cat /etc/longshore/certificate.pem")
        assert machine.client("mover", keystone, certificate, "provider", "list") == ""
        assert on(f"systemctl is-active {UNITS} | xargs") == "active active active"
        assert on("systemctl list-units --failed --plain --no-legend") == ""
        assert on("od -An -t u1 -j 4 /sys/firmware/efi/efivars/SecureBoot-*") == "1"
        assert int(on("df --output=size -BG / | tail -n 1").removesuffix("G")) >= 18
        assert on(
            "sudo cat /etc/longshore/answers 2>&1; sudo stat -c '%U %G %a' /etc/longshore/keystone.password"
        ).endswith("No such file or directory\nroot longshore 640")


def test_its_ova_is_a_machine_that_vsphere_has_drivers_for(built, tmp_path):
    (ova,) = built.glob("longshore-*.ova")
    added = longshore(tmp_path, "provider", "add", "files", "ova", "--url", f"file://{ova}")
    assert added.returncode == 0, added.stderr
    shown = json.loads(longshore(tmp_path, "machine", "show", "ova", "longshore", "-f", "json").stdout)
    print(shown)
    assert (shown["cpus"], shown["memory_mib"]) == (2, 4096)
