"""A snapshot's disk, read as a file of its ESXi host over SSH and served over NBD by nbdkit: without VMware's library.

nbdkit's plugin reads a file as it is. It can't tell where the file has holes, so all of it is read; and it knows
nothing of snapshots, so it is looked at before and after whether the file is still the one that a snapshot left alone.
"""

import os
import pwd
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from pyVmomi import vim

from longshore.blocks.exports import Export, serve_nbdkit
from longshore.errors import (
    DISK_HELD,
    AccessDenied,
    Conflict,
    ExportError,
    FingerprintMismatch,
    InvalidInput,
    LongshoreError,
    NotFound,
    Unreachable,
)
from longshore.model.machine import Snapshot
from longshore.providers.reaching import open_socket
from longshore.providers.vsphere import flat_files, host_keys
from longshore.providers.vsphere.certificate import CONNECT_TIMEOUT, reaching
from longshore.providers.vsphere.meanings import Meaning, find_meaning, with_last_words
from longshore.providers.vsphere.places import NAMES_PAGE, inventory_name
from longshore.providers.vsphere.properties import sweep
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.settings import VsphereSettings

# An RSA key, as in VMware's own instructions: ESXi 8 may refuse Ed25519
_MAKE_KEY = "ssh-keygen -t rsa -b 4096 -N '' -f FILE"
LOGINS_AT_ONCE = 8
_NOWHERE = "/vmfs/volumes/longshore-has-only-logged-in"  # no such file: it is opened to see how far one gets
# libssh reads what it trusts from the system's own file, too, unless it is told of another
_CONFIGURATION = "Host *\n  GlobalKnownHostsFile /dev/null\n"


@contextmanager
def serve(session: VsphereSession, key: str, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
    """Serve the disk as the snapshot holds it, read-only; it is open and answers.

    Raises InvalidInput, NotFound, AccessDenied, FingerprintMismatch, Conflict, Unreachable, ExportError; NotFound, too,
    when the snapshot has gone meanwhile: what was read isn't of one moment then. A CopyError raised inside is raised
    with what was said about the reads.
    """
    file = flat_files.find(session, snapshot, disk_key)
    disk = snapshot.disk(disk_key)
    what = f"The disk {disk.location} of {snapshot.machine_ref}"
    with _open(session.settings, key, file, what) as (export, size):
        if size != disk.size:
            raise ExportError(
                f"{what} has {size} bytes in {file.path}, but {disk.size} in the snapshot {snapshot.ref}."
            )
        with with_last_words(export, _READING, "SSH"):
            yield export
        if flat_files.find(session, snapshot, disk_key).path != file.path:
            raise NotFound(f"{what} was moved elsewhere while it was read.", advice="Start again.")


def try_login(settings: VsphereSettings, key: str, host: str) -> None:
    """Log in to a host and out again.

    Raises AccessDenied, FingerprintMismatch, Unreachable, InvalidInput, ExportError.
    """
    with suppress(NotFound), _open(settings, key, flat_files.FlatFile(host, _NOWHERE), "A file that isn't there"):
        pass


def try_everywhere(session: VsphereSession, key: str) -> dict[str, str]:
    """Return which of the connected hosts let us in (`ssh`), and what the others say (`ssh_refused`).

    Raises what the first one says when none of them does.
    """
    usable_key(key)
    with session.doing("list its hosts"):
        found = list(sweep(session, {vim.HostSystem: ("name", "runtime.connectionState")}, page=NAMES_PAGE))
    connected = [properties for _, properties in found if properties["runtime.connectionState"] == "connected"]
    hosts = sorted({flat_files.host_of(session, inventory_name(properties["name"] or "")) for properties in connected})
    with ThreadPoolExecutor(LOGINS_AT_ONCE) as threads:
        refusals = dict(zip(hosts, threads.map(lambda host: _refusal(session, key, host), hosts), strict=True))
    refused = {host: error for host, error in refusals.items() if error is not None}
    if refused and len(refused) == len(hosts):
        raise refused[hosts[0]]
    told = {"ssh": ", ".join(host for host in hosts if host not in refused)}
    return told | ({"ssh_refused": " ".join(map(str, refused.values()))} if refused else {})


def try_host_of(session: VsphereSession, key: str, machine_ref: str) -> None:
    """Log in to the host of a machine. Raises what the host says when it doesn't let us in."""
    with session.doing(f"tell on which host {machine_ref} is"):
        host = flat_files.host_of_machine(session, machine_ref)
    try_login(session.settings, key, host)


def _refusal(session: VsphereSession, key: str, host: str) -> LongshoreError | None:
    try:
        try_login(session.settings, key, host)
    except LongshoreError as error:
        return error
    return None


def usable_key(text: str) -> str:
    """Return a private key as libssh takes it. Raises InvalidInput for what is none, or has a passphrase."""
    if not text.strip():
        raise InvalidInput(
            "To read disks over SSH, a key to log in to the ESXi hosts with is needed.",
            advice=f"Make one ({_MAKE_KEY}), add FILE.pub to /etc/ssh/keys-root/authorized_keys of each host, and give "
            "it with --ssh-key-file FILE.",
        )
    raw = text.strip().encode() + b"\n"
    load = load_ssh_private_key if b"BEGIN OPENSSH" in raw else load_pem_private_key
    try:
        load(raw, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        if "password" in str(error).lower() or "passphrase" in str(error).lower():
            raise InvalidInput(
                "The SSH key has a passphrase, which nobody is there to type.",
                advice=f"Make one without, for this alone: {_MAKE_KEY}.",
            ) from None
        raise InvalidInput(
            "That isn't the private half of an SSH key.", advice="Give the file without .pub that ssh-keygen has made."
        ) from None
    return raw.decode()


@contextmanager
def _open(settings: VsphereSettings, key: str, file: flat_files.FlatFile, what: str) -> Iterator[tuple[Export, int]]:
    trusted = host_keys.keys_of(settings.trusted_hosts, file.host, settings.ssh_port)
    if not trusted:
        raise InvalidInput(
            f"No SSH host key of {file.host} is known.", advice=host_keys.HOW, code=host_keys.none_given().code
        )
    _refuse_own_keys(settings)
    address = _address(file.host, settings)
    parameters = {
        "host": address,
        "port": str(settings.ssh_port),
        "user": settings.ssh_user,
        "path": file.path,
        "timeout": f"{CONNECT_TIMEOUT:.0f}",
        # One connection has one read under way, so several are wanted; nothing is written that another might not see
        "multi-conn-mode": "unsafe",
    }
    files = {
        "identity": usable_key(key),
        "known-hosts": host_keys.known_hosts(trusted, address, settings.ssh_port),
        "config": _CONFIGURATION,
    }
    with ExitStack() as stack:
        try:
            # No agent's keys are tried, only the one that was given
            no_agent = {"SSH_AUTH_SOCK": ""}
            export = stack.enter_context(
                serve_nbdkit("ssh", parameters, filters=("multi-conn",), files=files, environment=no_agent)
            )
            size = export.probe().size
        except ExportError as error:
            raise _explain(error, settings, file, what) from error
        yield export, size


def _refuse_own_keys(settings: VsphereSettings) -> None:
    """libssh offers a host the keys in the home directory, too, when it refuses the one that was given: in somebody
    else's name that would be with more rights than theirs. Raises AccessDenied."""
    if settings.reach is None:
        return
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if any(path.suffix != ".pub" for path in (home / ".ssh").glob("id_*")):
        raise AccessDenied(
            "This server doesn't read disks over SSH for its callers: its user has SSH keys of its own.",
            advice="Its operator moves them elsewhere, away from the names that begin with id_.",
            code="server-has-ssh-keys",
        )


def _address(host: str, settings: VsphereSettings) -> str:
    """Return the address that answers, within what may be reached: libssh is given this very address."""
    with (
        reaching(host, settings.ssh_port),
        open_socket(host, settings.ssh_port, CONNECT_TIMEOUT, settings.reach) as connection,
    ):
        return str(connection.getpeername()[0])


_MEANINGS = (
    Meaning(
        r"cannot open plugin",
        InvalidInput,
        "nbdkit's ssh plugin isn't installed.",
        "Install nbdkit-ssh-plugin; in Debian it comes with nbdkit.",
    ),
    Meaning(
        r"host key for server (changed|was not found)",
        FingerprintMismatch,
        "{host} shows another SSH host key than the one that is pinned.",
        "If its key was replaced on purpose, pin the new one (--ssh-host-key); if not, someone may be in between.",
    ),
    Meaning(
        r"authentication methods failed",
        AccessDenied,
        "{host} refuses the SSH key of {user}.",
        "Add its public half to /etc/ssh/keys-{user}/authorized_keys on that host. If it is there already: ESXi 8 may "
        "refuse Ed25519 keys; an RSA key works.",
    ),
    Meaning(
        r"sftp session",
        AccessDenied,
        "{host} lets {user} in, but serves it no files over SSH ({said}).",
        "Give it a user that may use SFTP; on an ESXi host that is root.",
    ),
    Meaning(
        r"no such file",
        NotFound,
        "{what} isn't there: {host} has no {path}.",
        "See whether the host sees that datastore, and whether the disk was moved.",
    ),
    Meaning(
        r"cannot open file.*permission denied",
        AccessDenied,
        "{what} can't be read: {user} may not open {path} on {host}.",
        "Give the provider a user that may; on an ESXi host that is root.",
    ),
    Meaning(
        r"cannot open file",
        Conflict,
        "{what} can't be read: {host} doesn't let {path} be opened, as if the machine had it for itself ({said}).",
        "Some hosts do that while the machine runs: power it off first, or read by VDDK.",
        DISK_HELD,
    ),
    Meaning(
        r"failed to connect",
        Unreachable,
        "{what} can't be opened: no SSH connection to {host} comes about ({said}).",
        "See what its SSH server says of it.",
    ),
)
_SAID = re.compile(r"error: ([^;]+)")
_READING = re.compile(r"error: (read failed[^;]*)")


def _explain(error: ExportError, settings: VsphereSettings, file: flat_files.FlatFile, what: str) -> LongshoreError:
    said = _SAID.findall(error.message)
    text = (said[0] if said else error.message).strip().rstrip(".")
    filled = {"what": what, "host": file.host, "path": file.path, "user": settings.ssh_user, "said": text}
    return find_meaning(_MEANINGS, error.message, **filled) or ExportError(f"{what} can't be opened over SSH: {text}.")
