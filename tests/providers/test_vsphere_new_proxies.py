"""Proxies that are made by vSphere's own import, and deleted: what stands in vCenter then, and what is left of those
that came to nothing."""

import base64
import hashlib
import json
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from files_made import make_image
from pyVmomi import vim
from test_vsphere_proxy import KEY, Written, content_of
from vsphere_proxy import CONTENT, GOODS, PROXY, ROOT, vcenter_at

from in_process import longshore
from longshore.errors import AccessDenied, Cancelled, Conflict, FingerprintMismatch, InvalidInput, ProviderError
from longshore.model.proxy import NewProxy
from longshore.model.target import Owner
from longshore.providers.vsphere import leases, new_proxies, proxy_machine
from longshore.providers.vsphere.certificate import ServerCertificate
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.proxy_pool import ProxyPool
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.source import VsphereSource

pytestmark = pytest.mark.long  # each has a proxy that starts

WANTED = NewProxy(PROXY, "esx2.lab", "datastore1", "VM Network", "192.0.2.10/24", "192.0.2.1")
OWNER = Owner("job", "proxy")
WORDS = ("--host", "esx2.lab", "--datastore", "datastore1", "--network", "VM Network", "--address", "192.0.2.10/24")


@pytest.fixture(scope="module")
def vcenter():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        place.door.boot_proxies()
        yield place


@pytest.fixture
def place(vcenter, monkeypatch):
    monkeypatch.setattr(proxy_machine, "PAUSE", 0.05)
    yield vcenter
    vcenter.door.clear_trouble()
    vcenter.door.enable_drs(False)
    vcenter.door.lease_for(300)
    for name in vcenter.door.machines():
        if name in (PROXY, GOODS):
            vcenter.door.stop_proxy(name)
            vcenter.door.remove_machines(name)


@pytest.fixture
def image(tmp_path):
    """Return an image as one is built."""
    file = tmp_path / "relay.qcow2"
    make_image(file, "qcow2")
    record = {"recipe": "0123456789abcdef", "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "packages": {}}
    (tmp_path / "relay.qcow2.json").write_text(json.dumps(record))
    return file


class Told(list):
    def __call__(self, percent, doing):
        self.append((percent, doing))


def names(place):
    return [name for name in place.door.machines() if name == PROXY]


def make(place, image, owner=OWNER, **changes):
    told = Told()
    with place.source() as source:
        ref = source.create_proxy(replace(WANTED, **changes), image, owner, told)
    return ref, told


def test_it_has_all_that_a_running_machine_can_not_be_given(place, image):
    ref, told = make(place, image)
    with place.source() as source:
        session = source._session
        machine = session.object(vim.VirtualMachine, ref)
        now = read(session, machine, ["config.hardware.device", "config.extraConfig", "config.changeTrackingEnabled"])
        described = source.by_reference(ref)
    devices = now["config.hardware.device"]
    controllers = [one for one in devices if isinstance(one, vim.vm.device.ParaVirtualSCSIController)]
    assert [one.busNumber for one in controllers] == [0, 1, 2, 3]
    (disk,) = [one for one in devices if isinstance(one, vim.vm.device.VirtualDisk)]
    assert (disk.controllerKey, disk.unitNumber) == (controllers[0].key, 0)
    settings = {one.key: one.value for one in now["config.extraConfig"]}
    certificates = (".client", ".server")
    for name in (f"guestinfo.longshore{one}" for one in certificates):
        assert base64.b64decode(settings[name]).startswith(b"-----BEGIN CERTIFICATE")
    by_itself = (*certificates, ".endpoint", ".writes")
    assert {name: settings[name] for name in settings if not name.endswith(by_itself)} == {
        "disk.EnableUUID": "TRUE",
        "guestinfo.longshore.address": "192.0.2.10/24",
        "guestinfo.longshore.gateway": "192.0.2.1",
        "longshore.owner": OWNER.tag,
    }, "nothing secret is in it"
    assert not now["config.changeTrackingEnabled"]
    assert (described.host, described.firmware.value, described.cpus) == ("esx2.lab", "bios", 2)
    assert "Never delete it while it has any" in described.annotation
    percents = [percent for percent, _ in told]
    assert (percents, percents[-1]) == (sorted(percents), 100)
    assert place.door.machine(PROXY)["power"] == "poweredOn"
    assert place.door.fingerprint()["open_leases"] == []


def test_disks_are_read_through_it(place, image):
    make(place, image)
    goods = place.add_machine()
    settings, ledger = place.settings(transport="proxy", proxies=(PROXY,)), Written()
    session = VsphereSession(settings, lambda: place.served.password)
    pool = ProxyPool(session, KEY, ledger)
    source = VsphereSource(settings, place.served.password, proxy_key=KEY.secret, held=pool)
    snapshot = source.snapshot(goods, "mine", Owner("job", "read"), quiesce=False)
    with source.open_disk(snapshot, ROOT) as export:
        assert content_of(export) == CONTENT
        with place.source() as other, pytest.raises(Conflict, match="has disks that aren't its own"):
            other.delete_proxy(PROXY, OWNER)
        assert place.door.machine(PROXY)["power"] == "poweredOn", "what reads isn't disturbed"
    source.remove_snapshot(goods, snapshot.ref)
    with pytest.raises(Conflict, match="are read through the proxy"):
        source.delete_proxy(PROXY, OWNER)
    source.close()
    session.close()
    assert place.digests() == dict.fromkeys(place.digests(), hashlib.sha256(CONTENT).hexdigest())
    with place.source() as other:
        assert other.delete_proxy(PROXY, OWNER)
        assert not other.delete_proxy(PROXY, OWNER)
    assert names(place) == []


def test_one_of_somebody_else_is_never_deleted(place, image):
    make(place, image, Owner("another", "proxy"))
    with place.source() as source:
        assert not source.delete_proxy(PROXY, OWNER)
    assert names(place) == [PROXY]
    with pytest.raises(Conflict, match="There is something called proxy already"):
        make(place, image)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "a/b"}, "can't be the name of a proxy"),
        ({"name": ""}, "can't be the name of a proxy"),
        ({"address": "192.0.2.10"}, "isn't an address with the prefix"),
        ({"gateway": "198.51.100.1"}, "isn't an address in the network"),
        ({"host": "esx9.lab"}, r"has no host called esx9.lab. There are: esx1.lab, esx2.lab"),
        ({"datastore": "nowhere"}, r"esx2.lab has no datastore for writing called nowhere. There are: datastore1"),
        ({"network": "nowhere"}, r"esx2.lab has no network called nowhere. There are:"),
    ],
)
def test_what_can_not_be_meant_is_refused_beforehand(place, image, changes, said):
    with place.source() as source, pytest.raises(InvalidInput, match=said):
        source.check_new_proxy(replace(WANTED, **changes))
    with pytest.raises(InvalidInput, match=said):
        make(place, image, **changes)
    assert names(place) == []


def test_a_right_that_is_missing_is_named(place, image):
    said = {"method": "ImportVApp", "fault": "vim.fault.NoPermission", "properties": {"privilegeId": "VApp.Import"}}
    place.door.plan_fault(**said)
    with pytest.raises(AccessDenied, match=r"VApp\.Import is missing"):
        make(place, image)
    assert names(place) == []


def test_one_that_is_given_up_while_it_is_uploaded_is_gone(place, image):
    def told(_percent, doing):
        if doing.startswith("Uploading"):
            raise Cancelled("enough")

    with place.source() as source, pytest.raises(Cancelled):
        source.create_proxy(WANTED, image, OWNER, told)
    assert names(place) == []
    assert place.door.fingerprint()["open_leases"] == []


def test_what_a_dead_process_was_uploading_is_waited_for_and_made_anew(place, image, monkeypatch):
    place.door.lease_for(1.0)
    monkeypatch.setattr(leases, "_RENEWED_EVERY", 0.2)
    with place.source() as source, monkeypatch.context() as dying:
        dying.setattr(new_proxies, "upload", lambda *_: (_ for _ in ()).throw(SystemExit))
        dying.setattr(vim.HttpNfcLease, "HttpNfcLeaseAbort", lambda _lease: None)
        with pytest.raises(SystemExit):
            source.create_proxy(WANTED, image, OWNER, Told())
    assert names(place) == [PROXY], "vSphere doesn't know yet that nobody goes on with it"
    make(place, image)
    assert place.door.machine(PROXY)["power"] == "poweredOn"


def test_a_lease_is_renewed_as_long_as_it_takes(place, image, monkeypatch):
    place.door.lease_for(1.0)
    monkeypatch.setattr(leases, "_RENEWED_EVERY", 0.1)
    real, waited = new_proxies.upload, threading.Event()

    def slowly(*told):
        waited.wait(3.0)
        real(*told)

    monkeypatch.setattr(new_proxies, "upload", slowly)
    make(place, image)
    assert place.door.machine(PROXY)["power"] == "poweredOn"


def test_a_host_with_another_certificate_than_vcenter_says_is_sent_nothing(place, image, monkeypatch):
    other = vim.HttpNfcLease.DeviceUrl(sslThumbprint="00:11", disk=True)
    other.url = f"https://{place.served.host}:{place.served.port}/nfc/x/2000"
    with place.source() as source:
        session = source._session
        with pytest.raises(FingerprintMismatch, match="shows another certificate than"):
            leases.upload(session, other, image, lambda _count: None)
        other.sslThumbprint = session.certificate.sha1
        with pytest.raises(ProviderError, match="HTTP 404"):
            leases.upload(session, other, image, lambda _count: None)
        other.sslThumbprint, other.sslCertificate = "", ServerCertificate(session.certificate.der).pem
        with pytest.raises(ProviderError, match="HTTP 404"):
            leases.upload(session, other, image, lambda _count: None)


def test_drs_leaves_it_where_it_is(place, image):
    place.door.enable_drs()
    ref, _ = make(place, image)
    with place.source() as source:
        assert overrides(source) == [(ref, "manual")]


def test_where_drs_may_not_be_told_that_is_said(place, image):
    place.door.enable_drs()
    said = {"properties": {"privilegeId": "Host.Inventory.EditCluster"}, "in_task": True}
    place.door.plan_fault(method="ReconfigureComputeResource_Task", fault="vim.fault.NoPermission", **said)
    _, told = make(place, image)
    assert any("DRS may move it: Longshore's user lacks Host.Inventory.EditCluster" in doing for _, doing in told)
    assert place.door.machine(PROXY)["power"] == "poweredOn"


def overrides(source):
    session = source._session
    view = session.content.viewManager.CreateContainerView(
        session.content.rootFolder, [vim.ClusterComputeResource], True
    )
    found = [read(session, cluster, ["configurationEx"])["configurationEx"] for cluster in view.view]
    return [(one.key._moId, one.behavior) for settings in found for one in settings.drsVmConfig or []]


@pytest.fixture
def state(place, tmp_path):
    (tmp_path / "password").write_text(place.served.password)
    words = ("--host", place.served.host, "--port", place.served.port, "--username", place.served.user)
    pinned = ("--fingerprint", place.settings().fingerprint, "--password-file", tmp_path / "password")
    added = longshore(tmp_path / "state", "provider", "add", "vsphere", "vc", *words, *pinned)
    assert added.returncode == 0, added.stderr
    return tmp_path / "state"


def test_the_commands(place, image, state):
    made = longshore(state, "proxy", "create", "vc", PROXY, *WORDS, "--image", image, "--plain", "-f", "json")
    assert made.returncode == 0, made.stderr
    assert "Uploading its disk." in made.stderr
    assert json.loads(made.stdout)["next"] == f"longshore provider set vc --transport proxy --proxy {PROXY}"
    again = longshore(state, "proxy", "create", "vc", PROXY, *WORDS, "--image", image)
    assert (again.returncode, "There is something called proxy already" in again.stderr) == (1, True), again.stderr
    taken = longshore(state, "provider", "set", "vc", "--transport", "proxy", "--proxy", PROXY)
    assert taken.returncode == 0, taken.stderr
    refused = longshore(state, "proxy", "delete", "vc", PROXY)
    assert (refused.returncode, "are read through the proxy" in refused.stderr) == (1, True), refused.stderr
    assert longshore(state, "provider", "set", "vc", "--transport", "vddk").returncode == 0
    deleted = longshore(state, "proxy", "delete", "vc", PROXY)
    assert deleted.returncode == 0, deleted.stderr
    assert names(place) == []
    gone = longshore(state, "proxy", "delete", "vc", PROXY)
    assert (gone.returncode, "has made no proxy called proxy" in gone.stderr) == (1, True), gone.stderr


def test_one_that_fails_leaves_nothing(place, image, state):
    place.door.plan_fault(method="PowerOnVM_Task", fault="vim.fault.InsufficientResourcesFault", in_task=True)
    failed = longshore(state, "proxy", "create", "vc", PROXY, *WORDS, "--image", image, "--plain")
    assert (failed.returncode, "couldn't power on" in failed.stderr) == (1, True), failed.stderr
    assert names(place) == []
