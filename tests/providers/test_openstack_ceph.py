"""What this machine's own Ceph client says of a configuration, told before a volume is opened."""

import base64
import ctypes.util
import struct

import pytest

from longshore.providers.openstack.ceph import storage_outlook
from ports import nobody_listens

needs_client = pytest.mark.skipif(ctypes.util.find_library("rados") is None, reason="Ceph's client isn't installed")
AES, AES256K = 1, 2


def configured(tmp_path, port, *, kind=AES, length=16):
    key = base64.b64encode(struct.pack("<HIIH", kind, 1, 1, length) + bytes(length)).decode()
    (tmp_path / "keyring").write_text(f"[client.longshore]\nkey = {key}\n")
    conf = tmp_path / "ceph.conf"
    conf.write_text(f"[global]\nmon_host = v2:127.0.0.1:{port}\nkeyring = {tmp_path}/keyring\n")
    return str(conf), key


def test_a_machine_without_the_configuration_says_so(tmp_path):
    assert "can't be read on this machine" in storage_outlook(str(tmp_path / "ceph.conf"), "longshore")


def test_who_isnt_named_cant_be_tried(tmp_path):
    conf, _ = configured(tmp_path, 1)
    assert "--ceph-user" in storage_outlook(conf, None)


@pytest.mark.long
@needs_client
def test_a_cluster_that_doesnt_answer_is_told(tmp_path):
    with nobody_listens() as port:
        conf, _ = configured(tmp_path, port)
        assert storage_outlook(conf, "longshore") == f"can't be opened from here: no monitor that {conf} names answers"


@needs_client
def test_a_key_of_a_newer_cluster_is_told_without_the_key(tmp_path):
    with nobody_listens() as port:
        conf, key = configured(tmp_path, port, kind=AES256K, length=32)
        said = storage_outlook(conf, "longshore")
    assert "--key-type aes" in said or "no monitor" in said  # a client that knows such keys gets further
    assert key not in said
