"""What `longshore node prepare` writes for three machines."""

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from longshore.configuration import read_configuration

ADDRESSES = ("192.0.2.11", "192.0.2.12", "192.0.2.13")
ASKED = ["--virtual", "192.0.2.97/24", "--interface", "eth0", "--url", "https://longshore.example"]
ASKED += ["--keystone", "https://cloud.example:5000/v3"]
# What a node reads its secrets from; everything else may be shown
SECRET = {"longshore.toml", "longshore.yml", "database.sql", "keepalived.conf", "key.pem", "longshore.pem"}


def prepare(directory, *addresses, asked=ASKED):
    command = [Path(sys.executable).with_name("longshore"), "node", "prepare", directory, *addresses, *asked]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prepared") / "nodes"
    done = prepare(directory, *ADDRESSES)
    assert done.returncode == 0, done.stderr
    return directory


def files(written, name):
    return [path for path in (written / name / "files").rglob("*") if path.is_file()]


def kept(written):
    return yaml.safe_load((written / "secrets.json").read_text())


def test_secrets_are_in_the_files_that_need_them_and_nobody_else_reads_these(written):
    assert stat.S_IMODE(written.stat().st_mode) == 0o700
    secrets = kept(written)
    assert len(set(secrets.values())) == len(secrets) == 6
    for name in ("node1", "node2", "node3"):
        for path in files(written, name):
            holds = [whose for whose, each in secrets.items() if each in path.read_text()]
            private = not path.stat().st_mode & 0o077
            assert private or not holds, path
            assert private == (path.name in SECRET | {"keystone.password"}), path
        said = (written / name / "place").read_text()
        assert not any(each in said for each in secrets.values())
        # As they are on the node: of a user that runs nothing else, who alone reads them
        for path in files(written, name):
            (mode,) = re.findall(rf"-m (\d+) files/{path.relative_to(written / name / 'files')} ", said)
            assert (mode in ("400", "600")) == (path.name in SECRET | {"keystone.password"}), path


def test_a_second_call_takes_what_was_made_up_and_makes_new_certificates(written, tmp_path):
    again = tmp_path / "nodes"
    shutil.copytree(written, again)
    (again / "node1/files/etc/longshore/keystone.password").write_text("the operator's")
    assert prepare(again, *ADDRESSES).returncode == 0
    assert kept(again) == kept(written)
    assert (again / "authority.pem").read_bytes() == (written / "authority.pem").read_bytes()
    for same in ("patroni/longshore.yml", "keepalived/keepalived.conf", "longshore/longshore.toml"):
        path = f"node1/files/etc/{same}"
        assert (again / path).read_bytes() == (written / path).read_bytes()
    assert (again / "node1/files/etc/longshore/keystone.password").read_text() == "the operator's"
    certificate = "node1/files/etc/etcd/certificate.pem"
    assert (again / certificate).read_bytes() != (written / certificate).read_bytes()
    (again / "secrets.json").write_text("[1]")
    done = prepare(again, *ADDRESSES)
    assert done.returncode == 1 and "isn't what was written there" in done.stderr


@pytest.mark.parametrize("name", ["node1", "node2", "node3"])
def test_a_certificate_is_trusted_by_each_name_that_others_ask_for(written, name):
    here = written / name / "files/etc/longshore/tls"
    for as_named in (["-verify_hostname", "longshore"], ["-verify_hostname", "longshore.example"],
                     ["-verify_ip", ADDRESSES[int(name[-1]) - 1]], ["-verify_ip", "192.0.2.97"]):  # fmt: skip
        command = ["openssl", "verify", "-CAfile", here / "ca.pem", *as_named, here / "certificate.pem"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_written_is_understood_by_what_reads_it(written, tmp_path):
    for name, address in zip(("node1", "node2", "node3"), ADDRESSES, strict=True):
        etc = written / name / "files/etc"
        settings = read_configuration(etc / "longshore/longshore.toml")
        assert settings.database_url.get_secret_value().count("host=") == 3
        assert settings.server.listen == address
        node = settings.server.node
        assert (node.name, str(node.address), str(node.virtual)) == (name, address, "192.0.2.97")
        patroni = yaml.safe_load((etc / "patroni/longshore.yml").read_text())
        assert patroni["name"] == name
        dynamic = patroni["bootstrap"]["dcs"]
        assert (dynamic["synchronous_mode"], dynamic["synchronous_mode_strict"]) == ("quorum", True)
        # A fail-over, which takes Patroni's ttl and an election, ends no worker
        assert settings.lease_ttl >= 2.5 * dynamic["ttl"]
        assert settings.lease_beat * 3 <= settings.lease_ttl


def test_the_virtual_address_is_preferred_by_one_at_the_start_and_goes_to_the_others(written):
    said = [
        (written / name / "files/etc/keepalived/keepalived.conf").read_text() for name in ("node1", "node2", "node3")
    ]
    assert len({re.search(r"priority (\d+)", text)[1] for text in said}) == 3
    for text, address in zip(said, ADDRESSES, strict=True):
        peers = set(re.search(r"unicast_peer \{([^}]*)\}", text)[1].split())
        assert peers == set(ADDRESSES) - {address}


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no HAProxy here")
def test_haproxy_takes_its_configuration(written, tmp_path):
    etc = written / "node2/files/etc"
    config = tmp_path / "haproxy.cfg"
    config.write_text((etc / "haproxy/haproxy.cfg").read_text().replace("/etc/haproxy", str(etc / "haproxy")))
    done = subprocess.run(["haproxy", "-c", "-f", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_is_one_that_a_shell_understands(written):
    assert subprocess.run(["sh", "-n", written / "node1" / "place"]).returncode == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_units_and_what_is_added_to_others(written, tmp_path):
    units = tmp_path / "system"
    shutil.copytree(written / "node1/files/etc/systemd/system", units)
    names = ["patroni.service", *(path.parent.name.removesuffix(".d") for path in units.glob("*.service.d/*.conf"))]
    assert sorted(names) == ["etcd.service", "haproxy.service", "keepalived.service", "patroni.service"]
    for name in names[1:]:
        (units / name).write_text("[Service]\nExecStart=/bin/true\n")
    patroni = units / "patroni.service"
    patroni.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", patroni.read_text(), flags=re.M))

    def complaints():
        done = subprocess.run(
            ["systemd-analyze", "verify", *(units / name for name in names)], capture_output=True, text=True
        )
        return [line for line in done.stderr.splitlines() if str(tmp_path) in line]

    assert complaints() == []
    (units / "haproxy.service.d" / "longshore.conf").write_text("[Service]\nCPUHeavy=1000\n")
    assert complaints() != [], "it looks at what is added, too"


@pytest.mark.parametrize(
    ("addresses", "asked", "sentence"),
    [
        ((*ADDRESSES[:2], ADDRESSES[0]), ASKED, "four different addresses"),
        ((*ADDRESSES[:2], "192.0.2.97"), ASKED, "four different addresses"),
        (ADDRESSES, [*ASKED, "--url", "http://longshore.example"], "https://NAME"),
        (ADDRESSES, [*ASKED, "--interface", 'eth0"\n}'], "can't stand in a configuration file"),
        ((*ADDRESSES[:2], "192.0.2.300"), ASKED, "is no IPv4 address"),
        (ADDRESSES, [*ASKED, "--virtual", "192.0.2.97"], "lacks its network's prefix"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(tmp_path, addresses, asked, sentence):
    done = prepare(tmp_path / "nodes", *addresses, asked=asked)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert not (tmp_path / "nodes").exists()
