"""Runs virt-v2v-in-place, the converter for every family of guests, on all disks of a machine at once.

It takes several disks, and NBD, only as a libvirt XML description, and NBD only by TCP to a host that is literally
called "localhost": no Unix sockets, no export names, no TLS (as of 2.10).
It tells its progress as JSON lines on a descriptor of ours: objects with `message`, `timestamp` and `type`, which is
message, info, warning or error. See "Machine readable output" in virt-v2v(1).
"""

import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as xml

from longshore.errors import ConversionError
from longshore.guests.appliance import BACKEND, Guest
from longshore.guests.disk_letters import disk_letters
from longshore.guests.wording import Wording
from longshore.model.strict_reading import read_json
from longshore.processes.parent import die_with_parent

CONVERTER = "virt-v2v-in-place"
_LONGEST_LINE = 1 << 20  # bytes; of a longer one only the end is looked at
# Without drivers virt-v2v goes on and leaves Windows on emulated IDE, on which Nova wouldn't boot it
_NO_KEY = "could not read key from user"  # which it says in its log alone
_NO_WINDOWS_DRIVERS = "there are no virtio drivers available"
_NO_WINDOWS_DISK_DRIVER = "there is no virtio block device driver"
_NO_WINDOWS_NETWORK_DRIVER = "there is no virtio network driver"
_NO_DRIVERS = "This guest does not have virtio drivers installed."
# What its log tells of a guest's network adapter
_NETWORK_ADAPTER = "gcaps_net_bus = "
_SEVERAL = "multi-boot operating systems are not supported"
SEVERAL_ROOTS = "several-roots"

_TYPE = "type: "  # begins the line of its log that says what kind of system it inspects
# It names Windows' reason in any case
_READ_ONLY = (
    "mounted read-only",
    "A file system of the guest can only be mounted read-only, so it can't be converted.",
    "Allow changes in the guest (`btrfs property set / ro false` for the property of a subvolume) or check the file "
    "system there, or let it land as it is (--landing as-is).",
)

# What virt-v2v says when it fails, what that means, and what to do
_FAILURES = (
    (
        "will overwrite the GRUB wrapper",
        "virt-v2v can't rewrite how a guest that boots by UEFI calls its disks.",
        "In the guest, name disks by UUID= in /etc/fstab and in GRUB_CMDLINE_LINUX (/etc/default/grub), and remove "
        "/boot/grub2/device.map. Or let it land as it is (--landing as-is).",
    ),
    (
        "rhsrvany",
        "The Windows guest can't be converted, a program it needs at its first boot is missing.",
        "It comes with the converter: run longshore check guests. Another one's directory is named by virt_tools in "
        "the configuration, or VIRT_TOOLS_DATA_DIR in the environment.",
    ),
    (
        "Hibernation or Fast Restart",
        "Windows is hibernated, or was shut down by its fast startup, so its disks can't be written to.",
        "Boot it, turn hibernation off (`powercfg /h off`) and shut it down fully (`shutdown /s /t 0`).",
    ),
    _READ_ONLY,
    (
        "not enough free space for conversion",
        "A file system of the guest has too little room for the conversion.",
        "Make room in the guest: 100 MiB on / and C:, 50 MiB on /boot, 10 MiB elsewhere. Or let it land as it is "
        "(--landing as-is).",
    ),
    (
        "not enough available inodes",
        "A file system of the guest has too few inodes left for the conversion.",
        "Remove files that aren't needed in the guest, or let it land as it is (--landing as-is).",
    ),
    (
        _NO_KEY,
        "The guest's disks are encrypted, and there is no key for them.",
        "Give the passphrase of each (--guest-key FILE), or let it land as it is (--landing as-is).",
    ),
    (
        "No root device found",
        "No operating system was found on the machine's disks.",
        "If it boots all the same, let it land as it is (--landing as-is).",
    ),
)


@dataclass(frozen=True, slots=True)
class ConverterMessages:
    """The messages of virt-v2v on what it did, and what it warned of, while it worked."""

    messages: tuple[str, ...]
    warnings: tuple[str, ...]


def run_virt_v2v(
    ports: Sequence[int],
    directory: Path,
    on_message: Callable[[str], None],
    *,
    root: str = "single",
    addresses: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> ConverterMessages:
    """Convert the guest whose disks are served over NBD on these loopback ports, the disk it boots from first.

    `root` is virt-v2v's option for disks on which it finds several roots, `addresses` are values of its --mac, `keys`
    of its --key. Writes virt-v2v.xml into `directory`; its log goes to standard error. Raises ConversionError, with the
    code SEVERAL_ROOTS where it has found several and changed nothing; else the disks are then in doubt.
    """
    description = directory / "virt-v2v.xml"
    description.write_text(domain_xml(ports))
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as said:
        process = subprocess.Popen(
            die_with_parent(
                *(CONVERTER, "-v", f"--machine-readable=fd:{writer}"),
                *(word for address in addresses for word in ("--mac", address)),
                *(word for key in keys for word in ("--key", key)),
                *("--root", root, "-i", "libvirtxml", str(description)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            env={**BACKEND, **os.environ, "LC_ALL": "C.UTF-8"},
        )
        os.close(writer)
        assert process.stdout is not None
        listener = _Listener(said.fileno(), process.stdout.fileno(), on_message)
        try:
            listener.listen()
            status = process.wait()
        finally:
            process.kill()  # nothing to do when it has ended; libguestfs ends the appliance with it
            process.wait()
            process.stdout.close()
    drivers_missing = next((warning for warning in listener.warnings if _NO_WINDOWS_DRIVERS in warning), None)
    if drivers_missing is not None:
        raise ConversionError(
            f"The Windows guest can't be converted, its new drivers are missing on this machine: {drivers_missing}",
            advice="Install virtio-win, or name its ISO or directory: virtio_win in the configuration, or "
            "VIRTIO_WIN in the environment.",
        )
    if status != 0:
        raise _failure(listener.errors, status, listener.family)
    if _NO_DRIVERS in listener.messages or any(_NO_WINDOWS_DISK_DRIVER in warning for warning in listener.warnings):
        raise ConversionError(
            "The converted guest has no virtio driver for disks, so it wouldn't boot on the target.",
            advice="Let the machine land as it is (--landing as-is), or give the guest a kernel with virtio.",
        )
    warnings = list(listener.warnings)
    if listener.without_network or any(_NO_WINDOWS_NETWORK_DRIVER in warning for warning in warnings):
        warnings.append(
            "The converted guest has no virtio driver for its network adapter, so it has no network on the target: "
            "install one there (on its console), or let the machine land as it is (--landing as-is)."
        )
        on_message(f"Warning: {warnings[-1]}")
    return ConverterMessages(tuple(listener.messages), tuple(warnings))


def root_option(guest: Guest) -> str:
    """Return the option by which virt-v2v takes the root that we have found. Raises ConversionError.

    It knows devices, but (as of 2.10) not a subvolume by its name; that can only be the first of all.
    """
    root = guest.system.root
    if root.startswith("/dev/"):
        return root
    first = guest.files.inspect_get_roots()[0]
    if first.rpartition("/dev/")[2].partition("/")[2] == root.rpartition("/dev/")[2].partition("/")[2]:
        return "first"
    raise ConversionError(
        f"virt-v2v can't be told to convert {root}, because of the snapshots beside it.",
        advice="Remove the guest's snapshots, or let it land as it is (--landing as-is).",
    )


def domain_xml(ports: Sequence[int]) -> str:
    """Describe the machine as libvirt would. Firmware is left out: virt-v2v finds it on the disks."""
    domain = xml.Element("domain", type="kvm")
    xml.SubElement(domain, "name").text = "longshore"
    xml.SubElement(domain, "memory", unit="MiB").text = "1024"
    xml.SubElement(domain, "vcpu").text = "1"
    xml.SubElement(xml.SubElement(domain, "os"), "type", arch="x86_64").text = "hvm"
    devices = xml.SubElement(domain, "devices")
    for position, port in enumerate(ports):
        disk = xml.SubElement(devices, "disk", type="network", device="disk")
        xml.SubElement(disk, "driver", name="qemu", type="raw")
        source = xml.SubElement(disk, "source", protocol="nbd")
        xml.SubElement(source, "host", name="localhost", port=str(port))
        xml.SubElement(disk, "target", dev=f"sd{disk_letters(position)}", bus="scsi")
    return xml.tostring(domain, encoding="unicode")


class _Listener:
    """Hears what virt-v2v reports and what it prints; the latter is passed on to standard error."""

    def __init__(self, reports: int, log: int, on_message: Callable[[str], None]) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.family = ""  # linux, windows …, as soon as it is known
        self.without_network = False  # no virtio driver for its adapter
        self._wording = Wording()
        self._on_message = on_message
        self._reports, self._log = reports, log
        self._unfinished = {reports: b"", log: b""}  # the beginnings of lines
        os.set_blocking(reports, False)
        os.set_blocking(log, False)

    def listen(self) -> None:
        """Read what virt-v2v says until both descriptors are closed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._reports, selectors.EVENT_READ)
            selector.register(self._log, selectors.EVENT_READ)
            while selector.get_map():
                ready = {key.fd for key, _ in selector.select()}
                reported, closed = self._lines(self._reports) if self._reports in ready else ([], False)
                if closed:
                    selector.unregister(self._reports)
                # What was printed before something was reported is looked at first: it may say what that means
                if self._log in selector.get_map():
                    printed, closed = self._lines(self._log)
                    if closed:
                        selector.unregister(self._log)
                    for line in printed:
                        if line.endswith(_NO_KEY):
                            self.errors.append(_NO_KEY)
                        if line.startswith(_TYPE) and not self.family:
                            self.family = line.removeprefix(_TYPE)
                        if line.startswith(_NETWORK_ADAPTER):
                            self.without_network = "virtio" not in line
                        self._say(self._wording.hear(line))
                for line in reported:
                    self._report(line)

    def _lines(self, descriptor: int) -> tuple[list[str], bool]:
        """Return the lines that can be read without waiting, and whether these were the last ones."""
        lines: list[str] = []
        while True:
            try:
                piece = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return lines, False
            if descriptor == self._log:
                sys.stderr.buffer.write(piece)
                sys.stderr.buffer.flush()
            if not piece:
                return lines, True
            *whole, rest = (self._unfinished[descriptor] + piece).split(b"\n")
            self._unfinished[descriptor] = rest[-_LONGEST_LINE:]
            lines.extend(line.decode(errors="replace").strip() for line in whole)

    def _report(self, line: str) -> None:
        try:
            event = read_json(line)
        except ValueError:
            return  # a line cut short by its death; its exit status tells
        text = " ".join(str(event.get("message", "")).split())
        kind = event.get("type")
        if kind == "error":
            self.errors.append(text)
        elif kind == "warning":
            if self._wording.warn(text):
                self.warnings.append(text)
                self._on_message(f"Warning: {text}")
        else:
            self._say(self._wording.say(text))

    def _say(self, text: str | None) -> None:
        if text:
            self.messages.append(text)
            self._on_message(text)


def _failure(errors: Sequence[str], status: int, family: str) -> ConversionError:
    """`family` is the guest's, "" as long as virt-v2v hasn't found out."""
    said = errors[-1] if errors else f"it ended with status {status} and gave no reason"
    if _SEVERAL in said:
        return ConversionError(f"virt-v2v couldn't convert the guest: {said}", code=SEVERAL_ROOTS)
    if family not in ("", "windows") and _READ_ONLY[0] in said:
        _, sentence, advice = _READ_ONLY
        return ConversionError(f"{sentence} virt-v2v says: {said}", advice=advice)
    for mark, sentence, advice in _FAILURES:
        if mark in said:
            return ConversionError(f"{sentence} virt-v2v says: {said}", advice=advice)
    return ConversionError(f"virt-v2v couldn't convert the guest: {said}")
