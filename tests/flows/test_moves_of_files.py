"""A machine in an OVA moves into the small cloud; what is wrong with it is found before anything is made."""

import re
import sys
from pathlib import Path

import pytest
from small_clouds import MARK, MIB

from longshore.model.status import Status

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import make_ova, manifest
from trilio_share import MAC, VM, id_of, make_share

pytestmark = pytest.mark.long


def small(files):
    """As small as the small cloud's only flavor."""
    text = files["web01.ovf"].replace(b"Quantity>2<", b"Quantity>1<").replace(b"Quantity>2048<", b"Quantity>256<")
    files["web01.ovf"] = text
    files["web01.mf"] = manifest({name: data for name, data in files.items() if not name.endswith(".mf")})


def begin_from(begin, tmp_path, **request):
    contents = make_ova(tmp_path / "web01.ova", change=small)
    return begin(machine=("web01", "web01.ova"), files=tmp_path, **request), contents


@pytest.mark.parametrize("kind", ["cold", "dry-run"])
def test_an_ova_is_moved_whole(begin, tmp_path, kind):
    run, contents = begin_from(begin, tmp_path, type=kind, keep=True)
    (run.world.root / "one-moment").touch()  # the small cloud boots what it is given: this test looks at it itself
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    state = run.world.read()
    (server,) = state["servers"].values()
    root, data = (run.world.volume_file(volume).read_bytes() for volume in server["volume_ids"])
    converted = contents[0][:MIB] + MARK + contents[0][MIB + len(MARK) :]
    assert (root == converted, data == contents[1]) == (True, True)
    if kind == "cold":  # a trial beside the machine itself has MACs of its own
        assert [port["mac"] for port in state["ports"].values()] == ["00:50:56:ab:cd:ef"]
    assert state["power"] == "on"  # no other machine was touched


@pytest.mark.parametrize(
    ("differs", "request_", "code"),
    [(False, {"type": "warm"}, "warm-of-what-never-runs"), (True, {}, "file-manifest-differs")],
)
def test_what_cannot_be_moved_is_refused_before_anything_is_made(begin, tmp_path, differs, request_, code):
    run, _ = begin_from(begin, tmp_path, **request_)
    if differs:
        data = (tmp_path / "web01.ova").read_bytes()
        other = re.sub(rb"(vmdk\)= )([0-9a-f])", lambda digit: digit[1] + (b"0" if digit[2] != b"0" else b"1"), data)
        assert other != data
        (tmp_path / "web01.ova").write_bytes(other)
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, code), record.error
    assert not any(call.startswith("create_") for call in run.world.calls())


@pytest.mark.parametrize(("type_", "refused"), [("cold", None), ("warm", "warm-of-what-never-runs")])
def test_a_server_goes_straight_from_trilio_s_share_into_a_cloud(begin, tmp_path, type_, refused):
    held = make_share(tmp_path / "share")
    newest = f"workload_{id_of('workload')}/snapshot_{id_of('snapshot 2')}/snapshot_vms_db#{VM}"
    request = {"type": type_, "networks": {"private": "private"}, "security_groups": ()}
    run = begin(machine=("web", newest), files=tmp_path / "share", **request)
    (run.world.root / "one-moment").touch()
    record = run.to_the_end(lives=1)
    if refused:
        assert (record.status, record.error_code) == (Status.FAILED, refused), record.error
        return
    assert record.status is Status.DONE, record.error
    state = run.world.read()
    (server,) = state["servers"].values()
    contents = [run.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]
    assert contents == [held[-1]["vda"], held[-1]["vdb"]]  # as it was: it has run on KVM
    assert [port["mac"] for port in state["ports"].values()] == [MAC]
