"""The appliance: made, booted by BIOS and by UEFI, and told what it has to know by cloud-init or on its console."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from longshore.model.selection import EVERY
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource
from packaged import AS_ROOT, ROOT, make, typed
from ports import port_to_serve

pytestmark = [*AS_ROOT, pytest.mark.soak, pytest.mark.timeout(7200)]
PAGE = ROOT / "docs/howto/appliance.md"
PATIENCE = 2400  # seconds: without KVM, Python is some forty times as slow
PASSWORD = "on the console"
ANY = ssl._create_unverified_context()
# As a cloud with secure boot has them
UEFI = [
    *("-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
    *("-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.ms.fd"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    built, _ = typed("Build it", "appliance")[0]
    assert built == "make appliance"
    return make("appliance", tmp_path_factory.mktemp("appliance"))


@pytest.fixture
def keystone(tmp_path):
    command = [sys.executable, ROOT / "tests/keystone_and_files.py", tmp_path, "10.0.2.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            yield json.loads(served.stdout.readline())["keystone"]
        finally:
            served.terminate()


class Appliance:
    """One that boots: what its console says, and where its server answers."""

    def __init__(self, process, console, port):
        self._process, self._console, self._port = process, console, port
        self._begun = time.monotonic()
        self.said = ""

    def _listen(self, seconds):
        self._console.settimeout(seconds)
        try:
            heard = self._console.recv(1 << 16)
        except TimeoutError:
            return
        assert heard, self.said[-2000:]
        self.said += heard.decode(errors="replace")

    def until_said(self, pattern):
        """Wait until the console says it, after what it was waited for before."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < end, self.said[-2000:]
            self._listen(1)
        self.said = self.said[found.end() :]
        print(f"{pattern!r} after {time.monotonic() - self._begun:.0f} s")
        return found[0]

    def say(self, line):
        self._console.sendall(f"{line}\r".encode())

    def get(self, path):
        with urlopen(f"https://127.0.0.1:{self._port}{path}", context=ANY, timeout=20) as answer:
            return answer.read().decode()

    def until_answered(self, path, wanted):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self._listen(1)
            try:
                if re.search(wanted, answer := self.get(path)):
                    print(f"{path} has {wanted!r} after {time.monotonic() - self._begun:.0f} s")
                    return answer
            except (URLError, OSError):
                pass
        raise AssertionError(self.said[-2000:])


@contextmanager
def booted(disk, at, *options):
    """Boot it with a disk of its own over the appliance's, without KVM, which is not everywhere of use."""
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, at / "disk.qcow2", "12G"], check=True
    )
    port, path = port_to_serve(), at / "console"
    command = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "3072", "-smp", "2"),
        *("-display", "none", "-monitor", "none", "-no-reboot", "-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=console,path={path},server=on,wait=on", "-serial", "chardev:console"),
        *("-drive", f"file={at / 'disk.qcow2'},if=virtio", "-device", "virtio-net-pci,netdev=n"),
        *("-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:9797", *options),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process, socket.socket(socket.AF_UNIX) as console:
        try:
            while not path.exists():
                assert process.poll() is None
                time.sleep(0.1)
            console.connect(str(path))
            yield Appliance(process, console, port)
        finally:
            process.kill()


def test_it_boots_by_bios_and_takes_what_it_needs_by_cloud_init(made, keystone, tmp_path):
    (disk,) = made.glob("longshore-*-appliance.qcow2")
    (data,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    data = data.replace("https://cloud.example:5000", keystone).replace("PASSWORD", "service")
    (tmp_path / "user-data").write_text(data.replace("    [server]\n", "    [server]\n    metrics = true\n"))
    (tmp_path / "meta-data").write_text("instance-id: first\nlocal-hostname: moves\n")
    seed = tmp_path / "seed.iso"
    subprocess.run(
        [
            "genisoimage",
            "-quiet",
            "-V",
            "cidata",
            "-J",
            "-r",
            "-o",
            seed,
            *(tmp_path / f"{n}-data" for n in ("user", "meta")),
        ],
        check=True,
    )
    drive = ("-drive", f"file={seed},if=virtio,format=raw,readonly=on")
    with booted(disk, tmp_path, *drive) as appliance:
        appliance.until_said("moves login:")
        appliance.until_answered("/readyz", "")
        appliance.until_answered("/metrics", r"longshore_workers 1\b")


def test_it_boots_by_uefi_with_secure_boot_and_asks_on_its_console(made, keystone, tmp_path):
    (disk,) = made.glob("longshore-*-appliance.qcow2")
    shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.ms.fd", tmp_path / "vars.fd")
    variables = ("-drive", f"if=pflash,format=raw,unit=1,file={tmp_path / 'vars.fd'}")
    with booted(disk, tmp_path, *UEFI, *variables) as appliance:
        for question, answer in (
            ("Keystone, such as [^:]*:[^:]*:[^:]*: ", "cloud"),
            ("Keystone, such as [^:]*:[^:]*:[^:]*: ", f"{keystone}/v3"),
            ("Password of the user longshore.*: ", "service"),
            ("A password for root.*: ", PASSWORD),
        ):
            appliance.until_said(question)
            appliance.say(answer)
        appliance.until_answered("/readyz", "")
        assert PASSWORD not in appliance.said
        appliance.say("")
        appliance.until_said("longshore login: ")
        appliance.say("root")
        appliance.until_said("Password: ")
        appliance.say(PASSWORD)
        appliance.until_said("# ")
        appliance.say("systemctl is-active longshore-server longshore-worker | xargs; mokutil --sb-state")
        appliance.until_said("active active")
        appliance.until_said("SecureBoot enabled")


def test_vsphere_s_form_of_it_is_one_that_longshore_reads(made):
    (ova,) = made.glob("longshore-*-appliance.ova")
    (machine,) = FilesSource(FilesSettings(url=f"file://{ova}")).machines(EVERY)
    assert (machine.name, machine.cpus, machine.memory_mib) == ("longshore", 2, 4096)
