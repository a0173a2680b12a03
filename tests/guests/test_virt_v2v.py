"""How virt-v2v's words become messages and errors: programs in its place say what it says when things are missing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import nullcontext
from xml.etree import ElementTree as xml

import pytest

from longshore.blocks.exports import serve_nbdkit
from longshore.errors import ConversionError
from longshore.guests import work
from longshore.guests.appliance import Guest
from longshore.guests.confined import ensure_confinement
from longshore.guests.converter.tree import current
from longshore.guests.process import convert
from longshore.guests.report import OperatingSystem
from longshore.guests.virt_v2v import domain_xml, run_virt_v2v
from running import command_lines

# The descriptor that it is told to report to
OUT = "for a; do case $a in --machine-readable=fd:*) OUT=${a##*:};; esac; done\n"


@pytest.fixture
def virt_v2v(tmp_path, monkeypatch):
    """Puts a shell script in virt-v2v-in-place's place; $OUT is the descriptor for its JSON lines."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def install(script: str) -> None:
        program = programs / "virt-v2v-in-place"
        program.write_text("#!/bin/bash\n" + OUT + 'say() { printf "%s\\n" "$1" >&$OUT; }\n' + script)
        program.chmod(0o755)

    return install


def line(kind: str, text: str) -> str:
    return f"say '{json.dumps({'message': text, 'timestamp': '2026-01-01T00:00:00Z', 'type': kind})}'\n"


def test_disks_keep_their_order_in_the_description():
    domain = xml.fromstring(domain_xml([31001, 31002]))
    disks = domain.findall("devices/disk")
    assert [disk.find("source/host").get("port") for disk in disks] == ["31001", "31002"]
    assert {disk.find("source/host").get("name") for disk in disks} == {"localhost"}
    assert [disk.find("target").get("dev") for disk in disks] == ["sda", "sdb"]
    many = xml.fromstring(domain_xml(range(1, 61))).findall("devices/disk/target")
    assert [many[i].get("dev") for i in (25, 26, 51, 52)] == ["sdz", "sdaa", "sdaz", "sdba"]


def test_messages_and_warnings_are_passed_on(virt_v2v, tmp_path, capfd):
    virt_v2v(line("message", "Closing") + line("warning", "look\nhere") + "echo loud words >&2\n")
    heard = []
    said = run_virt_v2v([1], tmp_path, heard.append)
    assert (said.messages, said.warnings) == (("Closing",), ("look here",))
    assert heard == ["Closing", "Warning: look here"]
    assert capfd.readouterr().err == "loud words\n"


def test_its_words_say_what_happened_to_the_guest(virt_v2v, tmp_path):
    virt_v2v(
        line("message", "Setting up the source: -i libvirtxml /tmp/virt-v2v.xml")
        + line("message", "Opening the source")
        + "echo i_distro = debian; echo i_product_name = 13.7\n"
        + line("message", "Converting 13.7 (debian13) to run on KVM")
        + line("message", "Setting a random seed")
        + line("message", "SELinux relabelling")
        + "echo 'commandrvf: dpkg --purge open-vm-tools' >&2\n"
        + line("info", "The QEMU Guest Agent will be installed for this guest at first boot.")
        + line("info", "This guest has virtio drivers installed.")
    )
    messages = list(run_virt_v2v([1], tmp_path, lambda _: None).messages)
    messages.remove("Removing open-vm-tools, which served the old hypervisor")
    assert messages == [
        "Opening the guest's disks",
        "Converting Debian 13.7 to run on KVM",
        "This guest has virtio drivers installed.",
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Converting Rocky Linux 9.4 (Blue Onyx) (rocky9) to run on KVM", "Converting Rocky Linux 9.4 (Blue Onyx) to"),
        ("Converting SUSE Linux Enterprise Server 15 SP5 (sles15sp5) to run on KVM", "Server 15 SP5 to"),
        ("Converting Windows Server 2022 Standard to run on KVM", "Converting Windows Server 2022 Standard to"),
    ],
)
def test_a_product_is_called_by_its_name_alone(virt_v2v, tmp_path, said, told):
    virt_v2v(line("message", said))
    assert run_virt_v2v([1], tmp_path, print).messages[0].endswith(f"{told} run on KVM")


def test_warnings_that_mean_nothing_are_dropped(virt_v2v, tmp_path):
    nothing = r"Guestfs.Error(\"download: /tmp/builder.log: No such file or directory\") (ignored)"
    virt_v2v(
        f"""say '{{"message": "log file /tmp/builder.log: {nothing}", "type": "warning"}}'\n"""
        + r"""say '{"message": "Guestfs.Error(\"debug: \") (ignored)", "type": "warning"}'"""
        + "\n"
        + line("warning", "random seed could not be set for this type of guest")
        + line("warning", "QEMU Guest Agent MSI not found on tools ISO/directory. You may want to install it.")
        + line("warning", "could not uninstall packages open-vm-tools (ignored)")
    )
    assert run_virt_v2v([1], tmp_path, print).warnings == ("could not uninstall packages open-vm-tools (ignored)",)


@pytest.mark.parametrize(
    ("script", "said", "advice"),
    [
        (
            line("error", "libguestfs error: command: Running grub2-mkconfig will overwrite the GRUB wrapper.")
            + "exit 1",
            "can.t rewrite how a guest that boots by UEFI calls its disks",
            "/boot/grub2/device.map",
        ),
        (line("error", "No root device found in this operating system image.") + "exit 1", "No root device", ""),
        (
            line("error", "One of rhsrvany.exe or pvvxsvc.exe is missing in /usr/share/virt-tools.") + "exit 1",
            "a program it needs at its first boot is missing",
            "VIRT_TOOLS_DATA_DIR",
        ),
        (
            line("warning", "there are no virtio drivers available for this version of Windows (10.0 x86_64 Server)."),
            "its new drivers are missing",
            "VIRTIO_WIN",
        ),
        (
            line("warning", "there is no virtio block device driver for this version of Windows (10.0 x86_64)."),
            "no virtio driver for disks",
            "--landing as-is",
        ),
        (
            line("info", "This guest does not have virtio drivers installed."),
            "no virtio driver for disks, so it wouldn't boot",
            "--landing as-is",
        ),
        (
            line("error", "unable to mount the disk image for writing. Windows Hibernation or Fast Restart is")
            + "exit 1",
            "^Windows is hibernated, or was shut down by its fast startup",
            "powercfg /h off",
        ),
        (
            "echo '    type: linux'\n"
            + line("error", "filesystem was mounted read-only, or using Windows Hibernation or Fast Restart.")
            + "exit 1",
            "^A file system of the guest can only be mounted read-only",
            "btrfs property set / ro false",
        ),
        (
            line("error", "not enough free space for conversion on filesystem /. 60 MB free < 100 MB") + "exit 1",
            "^A file system of the guest has too little room for the conversion. virt-v2v says: not enough",
            "100 MiB on / and C:",
        ),
        (
            "echo virt-v2v-in-place: could not read key from user >&2; exit 1",
            "^The guest.s disks are encrypted",
            "--guest-key FILE",
        ),
        ("kill -9 $$", "status -9 and gave no reason", ""),
    ],
)
def test_failures_are_said_plainly(virt_v2v, tmp_path, script, said, advice):
    virt_v2v(script)
    with pytest.raises(ConversionError, match=said) as caught:
        run_virt_v2v([1], tmp_path, lambda _: None)
    assert advice in caught.value.advice


@pytest.mark.parametrize(
    "script",
    [
        "echo 'gcaps_net_bus = e1000'\n",
        line("warning", "there is no virtio network driver for this version of Windows (10.0 x86_64)."),
    ],
)
def test_a_guest_without_a_driver_for_its_network_is_warned_of(virt_v2v, tmp_path, script):
    virt_v2v(script)
    heard = []
    *_, warning = run_virt_v2v([1], tmp_path, heard.append).warnings
    assert "no virtio driver for its network adapter" in warning
    assert heard[-1] == f"Warning: {warning}"
    virt_v2v("echo 'gcaps_net_bus = virtio-net'\n")
    assert run_virt_v2v([1], tmp_path, print).warnings == ()


def test_of_several_roots_the_one_that_boots_is_named(virt_v2v, tmp_path, monkeypatch, capsys):
    virt_v2v(
        "case \"$*\" in *'--root single'*)\n"
        + line("error", "multi-boot operating systems are not supported by virt-v2v. Use the --root option.")
        + "exit 1;; esac\n"
        + 'say "{\\"message\\": \\"$*\\", \\"type\\": \\"message\\"}"\n'
    )
    system = OperatingSystem("/dev/sda2", *[""] * 7)
    monkeypatch.setattr(work, "opened", lambda *_, **__: nullcontext(Guest(None, system)))
    monkeypatch.setattr(work.tempfile, "gettempdir", lambda: str(tmp_path))
    (said,) = work._run_converter([1]).messages
    assert "--root /dev/sda2 " in said
    assert "The operating system that boots is on /dev/sda2" in capsys.readouterr().out


def test_addresses_are_handed_on(virt_v2v, tmp_path):
    said = r'say "{\"message\": \"$a\", \"type\": \"message\"}"'
    virt_v2v(f'for a; do [ "$last" = --mac ] && {said}; last=$a; done')
    said = run_virt_v2v([1], tmp_path, lambda _: None, addresses=["00:50:56:00:00:01:ip:192.0.2.7,192.0.2.1,24"])
    assert said.messages == ("00:50:56:00:00:01:ip:192.0.2.7,192.0.2.1,24",)


def test_keys_are_handed_on_in_files_of_their_own(virt_v2v, tmp_path, monkeypatch):
    said = r'say "{\"message\": \"$(stat -c %a ${a#*:file:}) $(cat ${a#*:file:}) $*\", \"type\": \"message\"}"'
    virt_v2v(f'for a; do [ "$last" = --key ] && {said}; last=$a; done')
    monkeypatch.setattr(work.tempfile, "gettempdir", lambda: str(tmp_path))
    said = work._run_converter([1], keys=["another's", "open sesame"]).messages
    assert said[0].startswith("600 another's ")
    assert said[1].startswith("600 open sesame ")
    for line in said:
        assert line.count("--key all:file:") == 2
    assert "".join(said).count("sesame") == 1


def test_a_missing_converter_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGSHORE_CONVERTER", str(tmp_path))
    with (
        serve_nbdkit("memory", {"size": "1M"}) as export,
        pytest.raises(ConversionError, match="This machine has no converter") as caught,
    ):
        asyncio.run(convert([export.uri], tmp_path / "report", print))
    assert "longshore converter build" in caught.value.advice
    with pytest.raises(ConversionError, match="has no converter"):
        ensure_confinement()  # which is asked before a downtime


@pytest.fixture
def stuck(tmp_path_factory, monkeypatch):
    """A converter whose virt-v2v has a child that says that it is there, and never ends: a word of its command line."""
    mark = f"stuck-{uuid.uuid4()}"
    real, made = current().root, tmp_path_factory.mktemp("converter") / "current"
    made.mkdir()
    for name in ("usr", "etc", "converter", "bin", "sbin", "lib", "lib64"):
        for way in ("--link", "--reflink=auto"):  # links take a second; elsewhere than on one file system it copies
            if subprocess.run(["cp", "-a", way, real / name, made], check=False, capture_output=True).returncode == 0:
                break
    made.chmod(0o755)
    made.parent.chmod(0o755)
    program = made / "usr/bin/virt-v2v-in-place"
    program.unlink()
    said = json.dumps({"message": "Converting", "type": "message"}).replace('"', '\\"')
    program.write_text(f"#!/bin/bash\n{OUT}bash -c \"printf '%s\\\\n' '{said}' >&$OUT; sleep 613; : {mark}\" & wait\n")
    program.chmod(0o755)
    monkeypatch.setenv("LONGSHORE_CONVERTER", str(made.parent))
    return mark


def running(mark: str) -> list[int]:
    """The processes of which one word is that."""
    return [pid for pid, words in command_lines().items() if mark.encode() in words]


def gone(mark: str, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running(mark)


def test_cancelling_ends_all_of_it_at_once(stuck, tmp_path):

    async def cancelled_while_converting(uri: str) -> None:
        converting = asyncio.Event()
        task = asyncio.create_task(convert([uri], tmp_path / "report", lambda _: converting.set()))
        await asyncio.wait_for(converting.wait(), 60)
        assert running(stuck)
        task.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 15
        assert not running(stuck)

    with serve_nbdkit("memory", {"size": "1M"}, read_only=False) as export:
        asyncio.run(cancelled_while_converting(export.uri))


CONVERTER = """
import asyncio, sys
from pathlib import Path
from longshore.guests import work
from longshore.guests.process import convert
from longshore.guests.appliance import Guest
from longshore.guests.report import OperatingSystem
asyncio.run(convert([sys.argv[1]], Path(sys.argv[2]), lambda text: print(text, flush=True)))
"""


def test_nothing_survives_the_death_of_who_asked(stuck, tmp_path):
    with serve_nbdkit("memory", {"size": "1M"}, read_only=False) as export:
        asker = subprocess.Popen(
            [sys.executable, "-c", CONVERTER, export.uri, tmp_path / "report"], stdout=subprocess.PIPE, text=True
        )
        assert asker.stdout is not None
        assert asker.stdout.readline() == "Converting\n"
        assert running(stuck)
        asker.send_signal(signal.SIGKILL)
        asker.wait()
        assert gone(stuck)
