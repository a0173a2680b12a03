"""Addresses written into files of a guest, what becomes of these files, and the way back."""

from dataclasses import asdict

import pytest
from tree import guest_in

from longshore.errors import ConversionError
from longshore.guests.addressing.writing import BEFORE, put_back, unwritable_in, write_addresses
from longshore.guests.work import new_addresses
from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses, Renumbering, Route

MAC = "fa:16:3e:00:00:01"
SCRIPTS = "/etc/sysconfig/network-scripts"
TREE = {
    f"{SCRIPTS}/ifcfg-ens192": "DEVICE=ens192\nBOOTPROTO=none\nIPADDR=192.0.2.10\nPREFIX=24\n",
    f"{SCRIPTS}/route-ens192": "172.16.0.0/12 via 192.0.2.254\n",
    "/etc/hosts": "127.0.0.1 localhost\n192.0.2.10 web\n",
    "/etc/cloud/cloud.cfg": "users: [default]\n",
    "/etc/other": "192.0.2.10\n",
}
WANTED = Addressing(ipv4="198.51.100.7/24", gateway="198.51.100.1")
NEW = NewAddresses((AdapterInGuest(MAC, "00:50:56:00:00:01", ("ens192",), ("192.0.2.10",), WANTED),))


def texts(guest):
    paths = (f"/{path}" for path in guest.files.find("/"))
    return {path: guest.text(path) for path in paths if guest.files.is_file(path)}


def test_nothing_but_what_is_named_is_changed_and_all_of_it_comes_back(tmp_path):
    guest = guest_in(tmp_path, TREE)
    before = texts(guest)
    done = write_addresses(guest, NEW, keep=True)
    assert done.warnings == ()
    assert "198.51.100.7/24" in done.changes[0]
    changed = {path for path, text in texts(guest).items() if before.get(path) != text and not path.startswith(BEFORE)}
    off = "/etc/cloud/cloud.cfg.d/99-longshore-addresses.cfg"
    assert changed == {f"{SCRIPTS}/ifcfg-ens192", "/etc/hosts", off}
    assert not guest.files.is_file(f"{SCRIPTS}/route-ens192")
    assert "network: {config: disabled}" in guest.text(off)
    (said,) = put_back(guest)
    assert "/etc/hosts" in said
    assert texts(guest) == before
    assert put_back(guest) == []


def test_given_twice_it_goes_back_to_what_was_there_first(tmp_path):
    guest = guest_in(tmp_path, TREE)
    before = texts(guest)
    write_addresses(guest, NEW, keep=True)
    again = AdapterInGuest(MAC, "00:50:56:00:00:01", ("ens192",), ("198.51.100.7",), "dhcp")
    write_addresses(guest, NewAddresses((again,)), keep=True)
    assert "BOOTPROTO=dhcp" in guest.text(f"{SCRIPTS}/ifcfg-ens192")
    put_back(guest)
    assert texts(guest) == before


def test_nothing_is_kept_of_who_stays(tmp_path):
    guest = guest_in(tmp_path, TREE)
    write_addresses(guest, NEW, keep=False)
    assert not guest.files.is_dir(BEFORE)


@pytest.mark.parametrize(
    "index", ["[]", "{", '{"/etc/hosts": "../../etc/shadow"}', '{"/root/x": "0"}', '{"/etc/../x": "0"}']
)
def test_what_was_kept_is_a_strangers_text_and_not_believed(tmp_path, index):
    guest = guest_in(tmp_path, {**TREE, f"{BEFORE}/index.json": index, f"{BEFORE}/0": "x"})
    before = texts(guest)
    with pytest.raises(ConversionError, match="isn't as it was written"):
        put_back(guest)
    assert texts(guest) == before


def test_a_label_is_given_to_new_files_alone(tmp_path):
    guest = guest_in(tmp_path, {**TREE, "/etc/selinux/config": "SELINUX=enforcing\n"})
    guest.files.attributes["/etc/cloud"] = b"system_u:object_r:etc_t:s0\0"
    write_addresses(guest, NEW, keep=False)
    new = {path for path in guest.files.attributes if path != "/etc/cloud"}
    assert new == {"/etc/cloud/cloud.cfg.d/99-longshore-addresses.cfg"}


def test_what_cannot_be_written_is_a_warning_and_changes_nothing(tmp_path):
    guest = guest_in(tmp_path, {"/etc/conf.d/net": 'config_ens192="192.0.2.10/24"\n', "/etc/cloud/cloud.cfg": ""})
    before = texts(guest)
    assert "none of the files" in unwritable_in(guest, NEW.adapters)["00:50:56:00:00:01"]
    done = write_addresses(guest, NEW, keep=True)
    assert done.changes == ()
    assert f"couldn't be written for {MAC}: none of the files" in done.warnings[0]
    assert texts(guest) == before


def test_a_request_comes_through_as_it_was():
    routes = Addressing(ipv4=("198.51.100.7/24",), routes=(Route("10.0.0.0/8", "198.51.100.2"),))
    adapters = (
        *NEW.adapters,
        AdapterInGuest(MAC, wanted=routes),
        AdapterInGuest(MAC, wanted="dhcp"),
        AdapterInGuest(MAC),
    )
    new = NewAddresses(adapters, Renumbering({"192.0.2.0/24": "198.51.100.0/24"}, {"198.51.100.0/24": "198.51.100.1"}))
    assert new_addresses({"new_addresses": asdict(new)}) == new
