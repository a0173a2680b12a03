"""Logging in to a vCenter, being kept out of it, and staying logged in. Against a small server that speaks real TLS."""

import hashlib
import ssl
from pathlib import Path

import pytest
from pyVmomi import vim, vmodl
from vsphere_server import ADDRESS, PASSWORD, USER, Vcenter, fault, vcenter

from longshore.errors import (
    FAULT,
    AccessDenied,
    Conflict,
    FingerprintMismatch,
    InvalidInput,
    LoginRefused,
    LongshoreError,
    Occupied,
    ProviderError,
    Unreachable,
)
from longshore.model.reach import Reach
from longshore.providers import reaching
from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.faults import explained
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource
from ports import nobody_listens

POWER = (
    '<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><objects><obj type="VirtualMachine">vm-1</obj>'
    '<propSet><name>runtime.powerState</name><val xsi:type="VirtualMachinePowerState">poweredOn</val></propSet>'
    "</objects></returnval></RetrievePropertiesExResponse>"
)


@pytest.fixture
def server(tmp_path: Path):
    with vcenter(tmp_path) as running:
        running.answers["RetrievePropertiesEx"] = POWER
        running.answers["CreateContainerView"] = (
            '<CreateContainerViewResponse xmlns="urn:vim25"><returnval type="ContainerView">view-1</returnval>'
            "</CreateContainerViewResponse>"
        )
        running.answers["DestroyView"] = '<DestroyViewResponse xmlns="urn:vim25"/>'
        yield running


def source(server: Vcenter, password: str = PASSWORD, **changed: object) -> VsphereSource:
    settings = {"host": ADDRESS, "username": USER, "port": server.port} | changed
    settings.setdefault("fingerprint", fetch_fingerprint(ADDRESS, server.port))
    return VsphereSource(VsphereSettings(**settings), password)


def refusal(of: VsphereSource) -> LongshoreError:
    with pytest.raises(LongshoreError) as caught:
        of.check()
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_fingerprint_is_that_of_the_certificate(server):
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((ADDRESS, server.port)))
    assert fetch_fingerprint(ADDRESS, server.port).replace(":", "").lower() == hashlib.sha256(der).hexdigest()


def test_a_vcenter_of_a_callers_is_read_where_it_may_be_and_its_answers_are_bounded(server, monkeypatch):
    within = source(server, reach=Reach(allowed=(ADDRESS,)))
    assert within.check()["version"] == "8.0.2"
    monkeypatch.setattr(reaching, "LARGEST_ANSWER", 100)
    for reach in (Reach(allowed=(ADDRESS,)), None):
        assert refusal(source(server, reach=reach)).code == "answer-too-large"


def test_check_says_what_it_found(server):
    found = source(server).check()
    assert found["version"] == "8.0.2"
    assert found["kind"] == "vcenter"
    assert found["fingerprint"] == fetch_fingerprint(ADDRESS, server.port)


def test_wrong_password(server):
    error = refusal(source(server, password="wrong"))
    assert isinstance(error, AccessDenied)
    assert USER in error.message
    assert "incorrect user name or password" in error.message
    assert "wrong" not in str(error)


def test_another_certificate_than_the_pinned_one_gets_no_password(server, tmp_path):
    with vcenter(tmp_path, "impostor.test") as impostor:
        error = refusal(source(impostor, fingerprint=fetch_fingerprint(ADDRESS, server.port)))
        assert isinstance(error, FingerprintMismatch)
        assert impostor.calls == []


def test_certificate_swapped_after_login_is_refused(server, tmp_path):
    """The pin holds for each connection, not only for the first."""
    here = source(server)
    here.check()
    with vcenter(tmp_path, "impostor.test") as impostor:
        here._session._stub.DropConnections()
        here._session._stub.port = impostor.port
        with pytest.raises(AccessDenied, match="isn't trusted"):
            here.power_state("vm-1")
        assert impostor.calls == []


def test_without_a_pin_an_unknown_authority_is_refused(server):
    error = refusal(source(server, fingerprint=None))
    assert error.code == "certificate-refused"
    assert server.calls == []


def test_without_a_pin_a_named_authority_is_enough(server, tmp_path):
    pem = tmp_path / "ca.pem"
    pem.write_text(ssl.get_server_certificate((ADDRESS, server.port)))
    assert source(server, fingerprint=None, ca_file=str(pem)).check()["version"] == "8.0.2"


def test_authority_file_missing(server, tmp_path):
    assert isinstance(refusal(source(server, fingerprint=None, ca_file=str(tmp_path / "none.pem"))), InvalidInput)


@pytest.mark.parametrize("written", ["lower", "no colons", "spaces"])
def test_a_fingerprint_may_be_written_in_any_usual_way(server, written):
    shown = fetch_fingerprint(ADDRESS, server.port)
    same = {"lower": shown.lower(), "no colons": shown.replace(":", ""), "spaces": f" {shown} "}[written]
    assert source(server, fingerprint=same).check()["fingerprint"] == shown


@pytest.mark.parametrize("nonsense", ["", "AA:BB", "zz" * 32, "AA" * 20])
def test_what_is_no_sha256_fingerprint_is_refused(nonsense):
    with pytest.raises(InvalidInput):
        VsphereSettings("vc", "u", fingerprint=nonsense)


def test_nobody_listens():
    with nobody_listens() as port, pytest.raises(Unreachable, match="refuses connections"):
        fetch_fingerprint(ADDRESS, port)


def test_unknown_name():
    with pytest.raises(Unreachable, match="can't be resolved"):
        fetch_fingerprint("no-such-host.invalid")


def test_a_server_that_is_no_vcenter(server, monkeypatch):
    monkeypatch.setattr("vsphere_server._VERSIONS", "<html>Welcome</html>")
    assert "isn't a vCenter" in refusal(source(server)).message


def test_an_expired_session_is_renewed_unnoticed(server):
    here = source(server)
    assert here.power_state("vm-1") == "on"
    server.sessions.clear()
    assert here.power_state("vm-1") == "on"
    assert server.logins == 2


def test_a_password_changed_meanwhile_is_told(server):
    passwords = iter([PASSWORD, "changed", "changed"])
    here = source(server, password=lambda: next(passwords))
    here.power_state("vm-1")
    server.sessions.clear()
    with pytest.raises(AccessDenied, match="refused the user name or the password"):
        here.power_state("vm-1")


def test_a_connection_cut_off_under_a_question_is_asked_again(server):
    here = source(server)
    here.check()
    server.drops = 1
    assert here.power_state("vm-1") == "on"


def test_a_connection_cut_off_under_a_command_is_not_repeated(server):
    """Nobody knows whether the server took the snapshot: a second request could make a second one."""
    server.answers["RetrievePropertiesEx"] = '<RetrievePropertiesExResponse xmlns="urn:vim25"/>'
    here = source(server)
    machine = here._session.object(vim.VirtualMachine, "vm-1")
    server.drops = 1
    with pytest.raises(Unreachable), here._session.doing("take a snapshot"):
        machine.CreateSnapshot_Task(name="n", memory=False, quiesce=False)
    assert server.calls.count("(dropped)") == 1
    assert "CreateSnapshot_Task" not in server.calls


def test_a_missing_privilege_is_named(server):
    inside = '<object type="VirtualMachine">vm-1</object><privilegeId>VirtualMachine.Interact.PowerOff</privilegeId>'
    server.answers["PowerOffVM_Task"] = fault(
        "NoPermission", "Permission to perform this operation was denied.", inside
    )
    with pytest.raises(AccessDenied, match=r"power off vm-1: VirtualMachine\.Interact\.PowerOff is missing"):
        source(server).power_off("vm-1")


def test_a_check_counts_the_versions_of_the_hosts(server):
    host = (
        '<objects><obj type="HostSystem">host-{}</obj><propSet><name>summary.config.product</name>'
        '<val xsi:type="AboutInfo"><name>VMware ESXi</name><fullName>VMware ESXi</fullName><vendor>VMware</vendor>'
        "<version>{}</version><build>1</build><osType>vmnix-x86</osType><productLineId>embeddedEsx</productLineId>"
        "<apiType>HostAgent</apiType><apiVersion>8.0</apiVersion></val></propSet></objects>"
    )
    hidden = '<objects><obj type="HostSystem">host-4</obj></objects>'
    found = host.format(1, "7.0.3") + host.format(2, "8.0.2") + host.format(3, "8.0.2") + hidden
    answer = '<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval>{}</returnval></RetrievePropertiesExResponse>'
    server.answers["RetrievePropertiesEx"] = answer.format(found)
    assert source(server).check()["hosts"] == "8.0.2 (2), 7.0.3 (1)"
    server.answers["RetrievePropertiesEx"] = answer.format(hidden)
    assert "hosts" not in source(server).check(), "its user may see none"


def test_any_other_fault_keeps_its_words(server):
    server.answers["PowerOffVM_Task"] = fault("HostNotConnected", "The host is not connected.")
    with pytest.raises(LongshoreError, match="couldn't power off vm-1: The host is not connected"):
        source(server).power_off("vm-1")


def test_no_secret_in_what_might_be_printed(server):
    here = source(server)
    here.check()
    for shown in (repr(here), repr(here._session), repr(here._session.settings)):
        assert PASSWORD not in shown


def test_close_logs_out_and_may_be_called_again(server):
    here = source(server)
    here.check()
    here.close()
    here.close()
    assert server.sessions == set()
    assert here.power_state("vm-1") == "on"


def test_answers_that_are_not_xml(server):
    server.answers["RetrievePropertiesEx"] = "<unclosed>"
    with pytest.raises(ProviderError, match="isn't vSphere's API"):
        source(server).power_state("vm-1")


def test_each_fault_has_its_place_and_one_that_nobody_knows_is_taken_for_one_that_passes():
    """Names and kinds of vSphere's Web Services API reference."""

    def counted(kind):
        with pytest.raises(LongshoreError) as caught, explained("vc", "take a snapshot of web"):
            raise kind(msg="said so")
        assert "vc couldn't take a snapshot of web: said so." in str(caught.value)
        return caught.value

    for kind in (vim.fault.InvalidState, vim.fault.TaskInProgress, vim.fault.QuestionPending, vim.fault.ResourceInUse):
        assert type(counted(kind)) is Occupied
    assert (type(counted(vim.fault.FileLocked)), counted(vim.fault.FileLocked).code) == (Occupied, "file-locked")
    assert type(counted(vim.fault.InvalidPowerState)) is Conflict
    away = (vmodl.fault.HostNotConnected, vmodl.fault.HostCommunication, vim.fault.Timedout)
    for kind in (*away, vim.fault.InaccessibleDatastore):
        assert type(counted(kind)) is Unreachable
    for kind in (vmodl.fault.SystemError, vim.fault.CannotAccessFile, vmodl.fault.RequestCanceled):
        assert counted(kind).code == FAULT
    for kind in (vim.fault.GenericVmConfigFault, vim.fault.CannotAccessVmDisk):
        assert counted(kind).code == FAULT
    for kind in (vmodl.fault.NotSupported, vim.fault.NoDiskSpace, vim.fault.RestrictedVersion):
        assert counted(kind).code == ProviderError.code
    assert type(counted(vim.fault.InvalidLogin)) is LoginRefused
