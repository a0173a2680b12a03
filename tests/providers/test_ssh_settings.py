"""What a provider that reads disks over SSH has to be told, and which machines' disks it then says it can't read."""

import base64
import hashlib
import hmac
import struct

import pytest
from pyVmomi import vim

from longshore.errors import InvalidInput
from longshore.model.machine import OverSsh, Unreadable
from longshore.providers.vsphere import flat_files, host_keys
from longshore.providers.vsphere.places import Places
from longshore.providers.vsphere.settings import VsphereSettings


def key(kind="ssh-ed25519", fill=b"k"):
    body = struct.pack(">I", len(kind)) + kind.encode() + struct.pack(">I", 32) + fill * 32
    return f"{kind} {base64.b64encode(body).decode()}"


def hidden(name):
    """As ssh-keyscan -H writes it."""
    salt = bytes(range(20))
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("names", "host", "port", "trusted"),
    [
        ("esx1.lab", "esx1.lab", 22, True),
        ("esx1.lab", "ESX1.lab", 22, True),
        ("esx1.lab,192.0.2.1", "192.0.2.1", 22, True),
        ("esx1.lab", "esx1", 22, False),
        ("esx1.lab", "esx11.lab", 22, False),
        ("*", "esx1.lab", 22, False),
        ("[esx1.lab]:2222", "esx1.lab", 2222, True),
        ("[esx1.lab]:2222", "esx1.lab", 22, False),
        ("esx1.lab", "esx1.lab", 2222, True),
        (hidden("esx1.lab"), "esx1.lab", 22, True),
        (hidden("esx1.lab"), "esx2.lab", 22, False),
        ("|1|rubbish", "esx1.lab", 22, False),
    ],
)
def test_a_key_holds_for_the_hosts_that_it_is_given_with(names, host, port, trusted):
    keys = host_keys.parsed(("# a comment", "", f"{names} {key()} root@esx1", f"esx9.lab {key(fill=b'9')}"))
    found = host_keys.keys_of(keys, host, port)
    assert [f"{one.kind} {one.key}" for one in found] == ([key()] if trusted else [])


def test_only_the_address_that_answered_is_told_to_be_known():
    keys = host_keys.parsed((f"esx1.lab {key()}",))
    assert host_keys.known_hosts(keys, "192.0.2.1", 22) == f"192.0.2.1 {key()}\n"
    assert host_keys.known_hosts(keys, "2001:db8::1", 2222) == f"[2001:db8::1]:2222 {key()}\n"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ssh_host_keys": ()}, "keys of the ESXi hosts have to be known beforehand.*ssh-keyscan HOST.*--ssh-host-key"),
        ({"ssh_host_keys": ("# nothing",)}, "have to be known beforehand"),
        ({"ssh_host_keys": (key(),)}, "without the host that it is of.*HOST TYPE KEY"),
        ({"ssh_host_keys": (f"@cert-authority *.lab {key()}",)}, "@cert-authority lines .* aren't understood"),
        ({"ssh_host_keys": ("esx1.lab ssh-ed25519 AAAA",)}, "isn't the SSH key of a host"),
        ({"ssh_host_keys": ("esx1.lab ssh-dss AAAA",)}, "isn't the SSH key of a host"),
        ({"ssh_host_keys": ("-----BEGIN OPENSSH PRIVATE KEY-----",)}, "isn't the SSH key of a host"),
        ({"ssh_port": 0}, "There is no port 0"),
        ({"ssh_user": "root -o"}, "isn't the name of a user"),
        ({"ssh_user": ""}, "isn't the name of a user"),
    ],
)
def test_what_it_is_not_told_well_is_refused(settings, words):
    with pytest.raises(InvalidInput, match=words):
        VsphereSettings("vc", "u", **{"transport": "ssh", "ssh_host_keys": (f"esx1.lab {key()}",), **settings})


Backing = vim.vm.device.VirtualDisk
STORE = vim.Datastore("datastore-1")


def flat(name="[ds] web/web.vmdk", **more):
    return Backing.FlatVer2BackingInfo(fileName=name, datastore=STORE, diskMode="persistent", **more)


ENCRYPTED = vim.encryption.CryptoKeyId(keyId="key-1")


@pytest.mark.parametrize(
    ("backing", "kind", "reason"),
    [
        (flat(), "VMFS", None),
        (flat(), "NFS41", None),
        (flat(), "", None),
        (flat(), "vsan", Unreadable.NO_FILES),
        (flat(), "VVOL", Unreadable.NO_FILES),
        (flat("[ds] web/web-000001.vmdk", parent=flat()), "VMFS", Unreadable.LAYERS),
        (flat("[ds] clone/clone.vmdk", parent=flat()), "VMFS", Unreadable.LAYERS),
        (flat(split=True), "NFS", Unreadable.FORMAT),
        (flat("[ds] rbd:pool/image"), "VMFS", Unreadable.FORMAT),
        (flat(keyId=ENCRYPTED), "VMFS", Unreadable.ENCRYPTED),
        (Backing.SeSparseBackingInfo(fileName="[ds] web/web.vmdk", datastore=STORE), "VMFS", Unreadable.FORMAT),
        (
            Backing.RawDiskMappingVer1BackingInfo(fileName="[ds] web/web.vmdk", datastore=STORE),
            "VMFS",
            Unreadable.RAW_DEVICE,
        ),
    ],
)
def test_disks_that_are_one_flat_file(backing, kind, reason):
    places = Places(storage_kinds={"datastore-1": kind})
    devices = {"config.hardware.device": [Backing(key=2000, backing=backing), vim.vm.device.VirtualVideoCard(key=500)]}
    told = flat_files.over_ssh(devices, "esx1.lab", places, host_keys.parsed((f"esx1.lab {key()}",)), 22)
    assert told == OverSsh("esx1.lab", pinned=True, unreadable={"2000": reason} if reason else {})
    assert flat_files.over_ssh(devices, "esx2.lab", places, (), 22).pinned is False


@pytest.mark.parametrize(
    ("location", "url", "path"),
    [
        ("[ds] a/a.vmdk", "ds:///vmfs/volumes/5f3c-01/", "/vmfs/volumes/5f3c-01/a/a-flat.vmdk"),
        ("[my ds] a b/a b_1.vmdk", "ds:///vmfs/volumes/5f3c-01/", "/vmfs/volumes/5f3c-01/a b/a b_1-flat.vmdk"),
        ("[my ds] a/a.vmdk", None, "/vmfs/volumes/my ds/a/a-flat.vmdk"),
        ("[ds] a/a.vmdk", "netfs://server/share", "/vmfs/volumes/ds/a/a-flat.vmdk"),
    ],
)
def test_where_its_bytes_are(location, url, path):
    assert flat_files._path(location, url) == path
