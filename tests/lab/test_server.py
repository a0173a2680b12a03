"""A server in the lab, with the lab's own Keystone: what a tenant does through `openstack migration …`, from adding a
vCenter to a migration that is cancelled; that a second tenant sees nothing of it; and that no secret gets anywhere."""

import json
import time
from pathlib import Path

import openstack
import pytest
import requests
from buckets import gateway
from moves import READY, remove_server, seen_on
from people import AUTH_URL, Person, refused_as_osc, register, stranger, unregister
from served import serving

from conftest import LONGSHORE, USER, last_acknowledged, refused


@pytest.fixture(scope="module")
def served(tmp_path_factory, lab, admin_cloud):
    """Registered in the catalogue, twice."""
    with serving(tmp_path_factory.mktemp("served"), lab, admin_cloud.identity) as served:
        try:
            first, second = register(served.config), register(served.config)
            assert first.returncode == 0, first.stderr
            assert "public endpoint" in first.stderr
            assert second.stderr.strip() == "The catalogue says so already."
            yield served
        finally:
            unregister(admin_cloud.identity)


@pytest.fixture(scope="module")
def ann():
    """The lab's plain member."""
    return Person({"OS_CLOUD": "lab"})


@pytest.fixture(scope="module")
def bob(admin_cloud):
    with stranger(admin_cloud.identity) as bob:
        yield bob


@pytest.mark.lab
def test_a_tenant_migrates_through_the_server_and_another_sees_nothing_of_it(served, ann, bob, lab):
    ann.did(
        *("migration", "provider", "add", "vsphere", "vc", "--host", "vcenter.lab", "--username", USER),
        *("--password-file", lab.vcenter_password_file, "--fingerprint", lab.fingerprint()),
    )
    ann.did("migration", "provider", "add", "openstack", "cloud")
    assert "tiny01" in {m["Name"] for m in ann.json("migration", "machine", "list", "vc")}
    ann.did("migration", "plan", "create", "few", "--from", "vc", "--to", "cloud", "tiny01")
    assert "tiny01" in ann.did("migration", "plan", "show", "few", "-f", "json")

    created = ann(
        "migration",
        "create",
        "tiny01",
        "--from",
        "vc",
        "--to",
        "cloud",
        "--network",
        "VM Network=private",
        "-f",
        "json",
    )
    assert created.returncode == 0, created.stderr
    assert "openstack migration wait" in created.stderr
    id_ = json.loads(created.stdout)["id"]
    by_engine = {str(pid): command for pid, command in command_lines()}
    ann.did("migration", "cancel", id_, "--wait", "--plain")
    assert ann.json("migration", "show", id_)["status"] == "cancelled"
    assert ann.json("migration", "events", id_)
    assert {entry["State"] for entry in ann.json("migration", "ledger", id_)} <= {"removed"}
    # The same through longshore itself, by address and by the catalogue
    for url in (served.url, "catalog"):
        listed = ann.json("migration", "list", program=LONGSHORE, LONGSHORE_URL=url)
        assert [m["ID"] for m in listed] == [id_]

    for what in ("provider", "plan"):
        assert bob.json("migration", what, "list") == []
    assert bob.json("migration", "list") == []
    refused_as_osc(bob("migration", "show", id_), "There is no migration")
    refused_as_osc(bob("migration", "provider", "show", "vc"), "There is no provider")
    refused_as_osc(bob("migration", "list", "--all-projects"), "roles")
    refused(
        bob("migration", "list", program=LONGSHORE, LONGSHORE_URL=served.url, OS_PASSWORD="wrong"),
        "Keystone refuses your credentials",
    )
    admin = Person({"OS_CLOUD": "lab-admin"})
    assert id_ in {m["ID"] for m in admin.json("migration", "list", "--all-projects")}

    for words in (
        ("delete", id_),
        ("plan", "delete", "few"),
        ("provider", "delete", "vc"),
        ("provider", "delete", "cloud"),
    ):
        ann.did("migration", *words)

    secrets = [served.password, lab.vcenter_password, lab.tenant_password, bob.environment["OS_PASSWORD"]]
    places = {str(path): path.read_bytes() for path in served.state.rglob("*") if path.is_file()}
    places |= {"log": served.logs.read_bytes(), "answers": "".join(ann.read + bob.read + admin.read).encode()}
    places |= {f"process {pid}": command for pid, command in by_engine.items()}
    assert places["log"]
    found = [
        (n, place) for n, secret in enumerate(secrets) for place, text in places.items() if secret.encode() in text
    ]
    assert found == []


@pytest.mark.lab
@pytest.mark.soak  # every day a machine is restored in tests/lab/test_backups_of_machines.py
def test_a_tenant_restores_from_a_bucket_what_is_gone(
    served, ann, bob, lab, the_lab, tiny, sidedoor, cloud, tidy, tmp_path, tell
):
    """Backed up while it writes, through the server and into a vault of the project's own."""
    (tmp_path / "phrase").write_text("words of a tenant\n")
    ann.did(
        *("migration", "provider", "add", "vsphere", "vc", "--host", "vcenter.lab", "--username", USER),
        *("--password-file", lab.vcenter_password_file, "--fingerprint", lab.fingerprint()),
    )
    ann.did("migration", "provider", "add", "openstack", "cloud")
    with gateway(the_lab) as there:
        words = ("--pass-phrase-file", str(tmp_path / "phrase"))
        elsewhere = ann("migration", "vault", "create", "mine", tmp_path, *words)
        assert (elsewhere.returncode, "directory" in elsewhere.stderr) == (1, True), elsewhere.stderr
        ann.did("migration", "vault", "create", "mine", there.url, *there.words, *words)
        wait = ("--wait", "--plain")
        began = time.monotonic()
        acknowledged = last_acknowledged(sidedoor.console(tiny.name))
        ann.did("migration", "backup", "create", tiny.name, "--source", "vc", "--vault", "mine", *wait)
        tell(f"backed up through the server in {time.monotonic() - began:.1f} s")
        sidedoor.cut_power(tiny.name)
        to = ("--target", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--landing", "unchanged")
        began = time.monotonic()
        restored = ann.json("migration", "restore", "create", tiny.name, "--vault", "mine", *to, *wait)
        tell(f"restored through the server in {time.monotonic() - began:.1f} s")
        assert restored["status"] == "done"
        seen = seen_on(cloud, restored["server_id"])
        assert (seen.verified.bad, seen.verified.last >= acknowledged > 0) == (0, True)
        assert {nic.mac for nic in seen.nics.values()} == {tiny.mac}
        assert bob.json("migration", "vault", "list") == []
        secret = there.secret_file.read_text().strip()
        remove_server(cloud, restored["server_id"])
        for id_ in [one["ID"] for one in ann.json("migration", "job", "list")]:
            ann.did("migration", "delete", id_)
        for name in ("vc", "cloud", "mine"):
            ann.did("migration", "provider", "delete", name)
        assert there.keys, "what is in the bucket stays"
    places = {str(path): path.read_bytes() for path in served.state.rglob("*") if path.is_file()}
    places |= {"log": served.logs.read_bytes(), "answers": "".join(ann.read + bob.read).encode()}
    told = [place for place, text in places.items() for one in (secret, "words of a tenant") if one.encode() in text]
    assert told == []


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.parent.name, path.read_bytes()
        except OSError:
            continue


@pytest.mark.lab
def test_a_token_that_is_revoked_opens_nothing_any_more(served):
    connection = openstack.connect(cloud="lab")
    token = connection.session.get_token()
    ask = lambda: requests.get(f"{served.url}/v1/migrations", headers={"X-Auth-Token": token}, timeout=30).status_code  # noqa: E731
    assert ask() == 200
    connection.session.delete(f"{AUTH_URL}/auth/tokens", headers={"X-Subject-Token": token})
    time.sleep(3)  # the cache keeps what it was told for two seconds
    assert ask() == 401
    assert requests.get(f"{served.url}/v1/migrations", timeout=30).status_code == 401
    assert token.encode() not in served.logs.read_bytes()
    connection.close()
