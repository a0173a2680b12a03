"""longshore-dashboard as a Debian package: what is in it, where Debian's Horizon looks for it."""

import shutil
import subprocess
from pathlib import Path

import pytest

HORIZON = Path(__file__).parents[1] / "horizon"
PYTHON, SETTINGS = "usr/lib/python3/dist-packages", "etc/openstack-dashboard"
pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")


def built(into):
    subprocess.run([HORIZON / "deb", into], check=True, capture_output=True)
    (package,) = into.iterdir()
    return package


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return built(tmp_path_factory.mktemp("package"))


def said(*words):
    return subprocess.run(["dpkg-deb", *words], check=True, capture_output=True, text=True).stdout


def test_each_file_is_once_where_horizon_reads_it(package):
    listed = [line.split(maxsplit=5) for line in said("-c", package).splitlines()]
    files = {name.removeprefix("./"): mode for mode, _owner, _size, _day, _time, name in listed if mode[0] == "-"}
    ours = [path for path in (HORIZON / "longshore_dashboard").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    places = {
        "enabled": f"{PYTHON}/openstack_dashboard/local/enabled",
        "local_settings.d": f"{SETTINGS}/local_settings.d",
    }
    wanted = {
        f"{places[path.parent.name]}/{path.name}"
        if path.parent.name in places
        else f"{PYTHON}/{path.relative_to(HORIZON)}"
        for path in ours
    }
    more = {f"{SETTINGS}/policy/longshore_policy.yaml", "usr/share/doc/longshore-dashboard/copyright"}
    assert set(files) == wanted | more
    assert set(files.values()) == {"-rw-r--r--"}
    assert {owner for _mode, owner, *_rest in listed} == {"root/root"}


def test_what_operators_edit_is_kept_when_it_is_upgraded(package, tmp_path):
    said("-e", package, tmp_path)
    assert (tmp_path / "conffiles").read_text().splitlines() == [
        f"/{SETTINGS}/local_settings.d/_50_longshore.py",
        f"/{SETTINGS}/policy/longshore_policy.yaml",
    ]


def test_it_says_what_it_needs_and_the_wheels_version(package):
    fields = dict(line.split(": ", 1) for line in said("-f", package).splitlines() if not line.startswith(" "))
    version = next(line for line in (HORIZON / "pyproject.toml").read_text().splitlines() if line.startswith("version"))
    assert f'version = "{fields["Version"]}"' == version
    assert package.name == f"longshore-dashboard_{fields['Version']}_all.deb"
    assert "openstack-dashboard (>= 3:23.0.0)" in fields["Depends"]


def test_the_same_sources_give_the_same_bytes(package, tmp_path):
    assert built(tmp_path).read_bytes() == package.read_bytes()
