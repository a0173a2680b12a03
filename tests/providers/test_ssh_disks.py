"""Disks read as files over SSH: from a real server, by nbdkit, and only from the one whose key is pinned."""

import os
import subprocess
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbd
import pytest
from ssh_server import ADDRESS, ssh_server

from longshore.errors import (
    AccessDenied,
    Conflict,
    CopyError,
    ExportError,
    FingerprintMismatch,
    InvalidInput,
    NotFound,
    Unreachable,
)
from longshore.model.machine import Snapshot, SnapshotDisk
from longshore.model.reach import Reach
from longshore.providers.vsphere import flat_files, ssh_disks
from longshore.providers.vsphere.flat_files import FlatFile
from longshore.providers.vsphere.settings import VsphereSettings
from ports import nobody_listens

SIZE = 1 << 20
SNAPSHOT = Snapshot("snapshot-2", "vm-1", "s", (SnapshotDisk("2000", "[ds] a/a.vmdk", SIZE, None),))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ssh_server(tmp_path_factory.mktemp("ssh")) as served:
        yield served


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "a-flat.vmdk"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def settings(server):
    return VsphereSettings(
        "vc.test", "u", transport="ssh", ssh_host_keys=server.known(), ssh_user=server.user, ssh_port=server.port
    )


@pytest.fixture
def find(monkeypatch, disk):
    """What the vCenter says of where the disk is, one answer after another; the last one from then on."""
    answers = [FlatFile(ADDRESS, str(disk))]

    def answer(*_):
        told = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setattr(flat_files, "find", answer)
    return answers


def serve(settings, server, key=None):
    return ssh_disks.serve(SimpleNamespace(settings=settings), key or server.key, SNAPSHOT, "2000")


def read(export):
    handle = nbd.NBD()
    handle.connect_uri(export.uri)
    try:
        return bytes(handle.pread(SIZE, 0))
    finally:
        handle.shutdown()


def test_the_disk_is_served_and_the_key_is_nowhere_to_be_seen(server, settings, find, disk):
    with serve(settings, server) as export:
        assert read(export) == disk.read_bytes()
        endpoint = export.probe()
        assert (endpoint.size, endpoint.read_only, endpoint.multi_conn) == (SIZE, True, True)
        secret = server.key.splitlines()[2]
        for of in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{export.pid}/{of}").read_bytes()
        private = Path(export.uri.split("socket=")[1]).parent
        assert {path.name for path in private.iterdir()} == {"socket", "pid"}


@pytest.mark.parametrize("size", [512, 2 * SIZE])
def test_a_file_of_another_size_is_not_the_snapshots(server, settings, find, disk, size):
    os.truncate(disk, size)
    with pytest.raises(ExportError, match=f"has {size} bytes in {disk}"), serve(settings, server):
        pass


@contextmanager
def other_key(server, settings):
    yield replace(settings, ssh_host_keys=(f"{ADDRESS} {server.other_host_key}",))


@contextmanager
def key_of_another_host(server, settings):
    yield replace(settings, ssh_host_keys=server.known("esx7.lab"))


@contextmanager
def a_closed_port(server, settings):
    with nobody_listens() as port:
        yield replace(settings, ssh_port=port)


@contextmanager
def out_of_reach(server, settings):
    yield replace(settings, reach=Reach())


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (other_key, FingerprintMismatch, f"{ADDRESS} shows another SSH host key than the one that is pinned"),
        (key_of_another_host, InvalidInput, f"No SSH host key of {ADDRESS} is known"),
        (a_closed_port, Unreachable, "refuses connections"),
        (out_of_reach, AccessDenied, "to which this server doesn't connect for its callers"),
    ],
)
def test_a_host_that_is_not_the_one_that_was_meant(server, settings, find, change, error, words):
    with change(server, settings) as changed:
        with pytest.raises(error, match=words) as caught, serve(changed, server):
            pass
        assert type(caught.value) is error
        assert caught.value.advice
        with pytest.raises(error):
            ssh_disks.try_login(changed, server.key, ADDRESS)


@pytest.fixture
def strange_key(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "mine"], check=True)
    return (tmp_path / "mine").read_text()


def test_a_key_that_nobody_lets_in(server, settings, find, strange_key):
    refused = pytest.raises(AccessDenied, match=f"{ADDRESS} refuses the SSH key of {server.user}")
    with refused, serve(settings, server, strange_key):
        pass


def test_nobody_reads_with_the_servers_own_keys(server, settings, find, strange_key, tmp_path, monkeypatch):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519.pub").write_text("of somebody else")
    monkeypatch.setattr(ssh_disks.pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir=tmp_path))
    of_a_caller = replace(settings, reach=Reach(allowed=(f"{ADDRESS}/32",)))
    with serve(of_a_caller, server) as export:
        assert export.probe()
    (tmp_path / ".ssh/id_ed25519").write_text(server.key)
    with pytest.raises(AccessDenied, match="its user has SSH keys of its own"), serve(of_a_caller, server, strange_key):
        pass


def test_a_file_that_is_not_there(server, settings, find, disk):
    disk.unlink()
    with pytest.raises(NotFound, match=f"{ADDRESS} has no {disk}"), serve(settings, server):
        pass


def test_a_host_lets_us_in(server, settings):
    ssh_disks.try_login(settings, server.key, ADDRESS)


@pytest.fixture
def hosts(monkeypatch):
    """What the vCenter's inventory has: names of hosts, and whether it has a connection to them."""
    found = {}

    def sweep(_session, _kinds, *, page):
        return [(None, {"name": name, "runtime.connectionState": state}) for name, state in found.items()]

    monkeypatch.setattr(ssh_disks, "sweep", sweep)
    return found


def vcenter(settings, kind="VirtualCenter"):
    content = SimpleNamespace(about=SimpleNamespace(apiType=kind))
    return SimpleNamespace(settings=settings, content=content, doing=lambda _what: nullcontext())


def test_each_connected_host_is_asked_and_those_that_let_nobody_in_say_why(server, settings, hosts):
    hosts |= {ADDRESS: "connected", "esx2.lab": "connected", "esx3.lab": "disconnected"}
    told = ssh_disks.try_everywhere(vcenter(settings), server.key)
    assert told["ssh"] == ADDRESS
    assert told["ssh_refused"].startswith("No SSH host key of esx2.lab is known. Get them with")
    hosts.pop(ADDRESS)
    with pytest.raises(InvalidInput, match=r"No SSH host key of esx2\.lab is known"):
        ssh_disks.try_everywhere(vcenter(settings), server.key)


def test_a_single_esxi_host_is_where_the_provider_says(server, settings, hosts):
    hosts["localhost.localdomain"] = "connected"
    told = ssh_disks.try_everywhere(vcenter(replace(settings, host=ADDRESS), "HostAgent"), server.key)
    assert told == {"ssh": ADDRESS}


def test_a_snapshot_that_goes_while_its_disk_is_read(server, settings, find):
    """The file goes on being read all the same, and the machine writes to it again."""
    find.append(NotFound("The snapshot s of vm-1 is gone."))
    with pytest.raises(NotFound, match="is gone"), serve(settings, server) as export:
        assert read(export)


def test_a_disk_that_is_moved_while_it_is_read(server, settings, find):
    find.append(FlatFile(ADDRESS, "/vmfs/volumes/other/a/a-flat.vmdk"))
    with pytest.raises(NotFound, match="was moved elsewhere"), serve(settings, server):
        pass


def test_a_copy_that_fails_is_told_as_it_failed(server, settings, find):
    find.append(NotFound("The snapshot is gone."))
    with pytest.raises(CopyError, match="It broke off"), serve(settings, server):
        raise CopyError("It broke off.")


OPEN = "nbdkit (plugin ssh) runs, but refuses to open its disk: nbdkit: ssh[1]: error: {}"


@pytest.mark.parametrize(
    ("printed", "error", "words"),
    [
        (
            OPEN.format("cannot open file for reading: SFTP server: Permission denied"),
            AccessDenied,
            "root may not open",
        ),
        (OPEN.format("cannot open file for reading: SFTP server: Failure"), Conflict, "doesn't let /vmfs/f be opened"),
        (OPEN.format("failed to initialize sftp session: Socket error"), AccessDenied, "serves it no files over SSH"),
        (
            OPEN.format("failed to connect to remote host: 192.0.2.1: kex error"),
            Unreachable,
            "no SSH connection to esx",
        ),
        (OPEN.format("something new"), ExportError, "can't be opened over SSH: something new"),
        (
            "nbdkit (plugin ssh) couldn't be started (exit status 1): nbdkit: error: cannot open plugin 'ssh': "
            "/usr/lib/nbdkit/plugins/nbdkit-ssh-plugin.so: cannot open shared object file",
            InvalidInput,
            "nbdkit's ssh plugin isn't installed",
        ),
    ],
)
def test_plain_words(printed, error, words):
    settings = VsphereSettings("vc.test", "u")
    explained = ssh_disks._explain(ExportError(printed), settings, FlatFile("esx", "/vmfs/f"), "The disk")
    assert type(explained) is error
    assert words in explained.message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-t", "ed25519", "-N", ""], None),
        (["-t", "ecdsa", "-N", ""], None),
        (["-t", "rsa", "-b", "1024", "-m", "PEM", "-N", ""], None),
        (["-t", "rsa", "-b", "2048", "-N", ""], None),
        (["-t", "ed25519", "-a", "1", "-N", "secret"], "has a passphrase"),
        (["-t", "ecdsa", "-m", "PEM", "-N", "secret"], "has a passphrase"),
    ],
)
def test_keys_that_can_be_used(tmp_path, arguments, words):
    with ExitStack() as stack:
        if words:
            stack.enter_context(pytest.raises(InvalidInput, match=words))
        subprocess.run(["ssh-keygen", "-q", *arguments, "-f", tmp_path / "key"], check=True)
        text = (tmp_path / "key").read_text()
        assert ssh_disks.usable_key(f"{text}\n\n") == text
    with pytest.raises(InvalidInput, match="isn't the private half"):
        ssh_disks.usable_key((tmp_path / "key.pub").read_text())
    with pytest.raises(InvalidInput, match="a key to log in to the ESXi hosts with is needed") as caught:
        ssh_disks.usable_key("\n")
    assert "ssh-keygen -t rsa" in (caught.value.advice or ""), "ESXi 8 takes this kind"


def test_a_key_that_is_refused_may_be_of_the_wrong_kind():
    printed = OPEN.format("all possible authentication methods failed")
    explained = ssh_disks._explain(ExportError(printed), VsphereSettings("vc.test", "u"), FlatFile("esx", "/f"), "A")
    assert type(explained) is AccessDenied
    assert "ESXi 8 may refuse Ed25519 keys; an RSA key works" in (explained.advice or "")
