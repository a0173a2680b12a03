"""Where a server keeps what it acts by, with the lab's Keystone and a Barbican: a tenant gives it a token and nothing
else, and it goes on in the tenant's project when that token is long revoked."""

import json
import re
import sqlite3
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keystoneauth1.session
import openstack
import pytest
import requests
from buckets import BUCKET, gateway
from keystoneauth1.identity import v3
from people import AUTH_URL, Person, free_port, ready, without_cloud

from conftest import LONGSHORE, PROJECT, USER, Cli, end_engine, refused, wait_for

KEY_MANAGER = PROJECT / "lab" / "key_manager"


@dataclass
class Served:
    url: str
    state: Path
    config: Path
    barbican: openstack.connection.Connection  # as the service user

    def ask(self, token, method, path, body=None):
        headers = {"X-Auth-Token": token}
        return requests.request(method, f"{self.url}/v1{path}", json=body, headers=headers, timeout=120)

    def did(self, *how):
        answer = self.ask(*how)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def kept(self):
        """Names of the service user's secrets in Barbican."""
        return sorted(secret.name for secret in self.barbican.key_manager.secrets())

    def opened(self):
        """What is in them."""
        ask = self.barbican.session.get
        octets = {"Accept": "application/octet-stream"}
        secrets = self.barbican.key_manager.secrets()
        return [json.loads(ask(f"{secret.secret_ref}/payload", headers=octets).content) for secret in secrets]

    def ledger(self):
        with sqlite3.connect(self.state / "longshore.db") as database:
            return database.execute("SELECT kind, ref FROM provider_ledger").fetchall()


@pytest.fixture(scope="module")
def bucket(the_lab):
    with gateway(the_lab) as there:
        yield there


@pytest.fixture(scope="module")
def served(tmp_path_factory, lab, admin_cloud, bucket):
    """A server beside a Barbican. Its user has no more than the roles that the documents ask for."""
    subprocess.run([KEY_MANAGER / "up"], check=True, stdin=subprocess.DEVNULL)
    root = tmp_path_factory.mktemp("secrets")
    name, password = f"longshore-{uuid.uuid4().hex[:8]}", f"Service-{uuid.uuid4().hex}"
    identity = admin_cloud.identity
    user = identity.create_user(name=name, password=password, domain_id="default")
    project, creator = identity.find_project("service"), identity.create_role(name="creator")
    for role in (identity.find_role("service"), creator):
        identity.assign_project_role_to_user(project, user, role)
    port = free_port()
    (root / "password").write_text(password)
    config = root / "longshore.toml"
    config.write_text(
        f'state = "{root / "state"}"\n[server]\nport = {port}\nvddk_libdir = "{lab.vddk}"\n'
        f'reach_allowed = ["127.0.0.0/8"]\nvault_endpoints = ["{bucket.endpoint}"]\n'
        f'[server.keystone]\nauth_url = "{AUTH_URL}"\nusername = "{name}"\npassword_file = "{root / "password"}"\n'
        "cache_seconds = 1\n"
    )
    logs = root / "log"
    with logs.open("wb") as log:
        process = subprocess.Popen(
            [LONGSHORE, "--config", config, "server"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=without_cloud(),
        )
    own = {"username": name, "password": password, "project_name": "service"}
    barbican = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name="RegionOne",
        auth={"auth_url": AUTH_URL, "user_domain_id": "default", "project_domain_id": "default", **own},
    )
    try:
        wait_for(lambda: ready(process, f"http://127.0.0.1:{port}", logs), 90, "the server to be ready")
        yield Served(f"http://127.0.0.1:{port}", root / "state", config, barbican)
    finally:
        process.terminate()
        process.wait(30)
        end_engine(Cli(root / "state"))
        barbican.close()
        identity.delete_user(user)
        identity.delete_role(creator)
        subprocess.run([KEY_MANAGER / "down"], check=True)
    assert password not in logs.read_text()


@pytest.fixture
def member(admin_cloud):
    """Somebody else in the tenant's project."""
    name, password = f"eve-{uuid.uuid4().hex[:8]}", f"Eve-{uuid.uuid4().hex}"
    identity = admin_cloud.identity
    user = identity.create_user(name=name, password=password, domain_id="default")
    identity.assign_project_role_to_user(identity.find_project("demo"), user, identity.find_role("member"))
    yield token_of(username=name, password=password, user_domain_id="default")
    identity.delete_user(user)


def token_of(*, project_name="demo", **login):
    scope = {} if "application_credential" in str(login) else {"project_name": project_name}
    plugin = v3.ApplicationCredential if not scope else v3.Password
    domain = {"project_domain_id": "default"} if scope else {}
    return keystoneauth1.session.Session(plugin(AUTH_URL, **login, **scope, **domain)).get_token()


def tenants(lab):
    return token_of(username="demo", password=lab.tenant_password, user_domain_id="default")


def credentials(cloud):
    """Those that the tenant has in Keystone, by name."""
    return {c.name: c for c in cloud.identity.application_credentials(cloud.current_user_id)}


@contextmanager
def without_barbican():
    """Connections to it are refused, as when its machine is up and it isn't."""
    rule = ["OUTPUT", "-p", "tcp", "--dport", "9311", "-j", "REJECT", "--reject-with", "tcp-reset"]
    subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-D", *rule], check=True)


HERE = {"name": "here", "kind": "openstack", "settings": {}, "secrets": {}}


@pytest.mark.lab
def test_a_tenant_gives_a_token_and_the_work_outlives_it(served, lab, cloud):
    token = tenants(lab)
    added = served.did(token, "POST", "/providers", HERE)["provider"]
    settings = added["settings"]
    credential = credentials(cloud)[f"longshore-{added['id']}"]
    assert settings["auth"] == {"auth_url": AUTH_URL, "application_credential_id": credential.id}
    assert credential.unrestricted is False
    assert "admin" not in {role["name"] for role in credential.roles}
    vcenter = {"host": "vcenter.lab", "username": USER, "fingerprint": lab.fingerprint()}
    secrets = {"password": lab.vcenter_password}
    served.did(token, "POST", "/providers", {"name": "vc", "kind": "vsphere", "settings": vcenter, "secrets": secrets})

    # Both secrets are in Barbican, and in clear nowhere else
    assert len(served.kept()) == 2
    values = [value for one in served.opened() for value in one.values()]
    assert lab.vcenter_password in values
    assert {kind for kind, _ in served.ledger()} == {"secret", "application-credential"}
    files = [path.read_bytes() for path in served.state.rglob("*") if path.is_file()]
    assert not [value for value in values for content in files if value.encode() in content]

    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert requests.delete(f"{AUTH_URL}/auth/tokens", headers=headers, timeout=30).ok
    wait_for(lambda: served.ask(token, "GET", "/providers").status_code == 401, 10, "the token to be refused")

    # Another process of the server's, which has its secrets from Barbican, works in the project
    token = tenants(lab)
    request = {"networks": {"VM Network": "private"}}
    asked = {"machine": "tiny01", "source": "vc", "target": "here", "request": request}
    id_ = served.did(token, "POST", "/migrations", asked)["id"]
    made = lambda: [e["ref"] for e in served.did(token, "GET", f"/migrations/{id_}/ledger") if e["ref"]]  # noqa: E731
    wait_for(made, 120, "a volume in the tenant's project")
    assert cloud.block_storage.get_volume(made()[0]).project_id == cloud.current_project_id
    served.did(token, "POST", f"/migrations/{id_}/cancel")
    ended = lambda: served.did(token, "GET", f"/migrations/{id_}")["status"] == "cancelled"  # noqa: E731
    wait_for(ended, 180, "the migration to be taken back")
    assert served.did(token, "GET", "/providers/here/machines") is not None

    rotated = subprocess.run(
        [LONGSHORE, "--config", served.config, "secrets", "rotate"], capture_output=True, text=True, env=without_cloud()
    )
    assert "2 more are in Barbican" in rotated.stderr, rotated

    served.did(token, "DELETE", f"/migrations/{id_}")
    for name in ("here", "vc"):
        served.did(token, "DELETE", f"/providers/{name}")
    assert (served.kept(), served.ledger()) == ([], [])
    assert credential.name not in credentials(cloud)


@pytest.mark.lab
def test_while_barbican_is_away_nothing_is_half_done(served, lab, cloud):
    token, before = tenants(lab), set(credentials(cloud))
    served.did(token, "POST", "/providers", HERE | {"name": "away"})
    served.did(token, "POST", "/providers/away/check")
    with without_barbican():
        refused = served.ask(token, "POST", "/providers", HERE | {"name": "another"})
        assert (refused.status_code, refused.json()["code"]) == (502, "unreachable"), refused.text
        assert refused.json()["message"].startswith("Barbican")
        assert [p["name"] for p in served.did(token, "GET", "/providers")] == ["away"]
        # What was opened a while ago is known: work goes on
        served.did(token, "POST", "/providers/away/check")
        assert served.ask(token, "DELETE", "/providers/away").status_code == 502
    assert len(set(credentials(cloud)) - before) <= 1
    served.did(token, "DELETE", "/providers/away")
    assert set(credentials(cloud)) == before
    assert served.kept() == []


@pytest.mark.lab
def test_a_credential_is_its_users_and_makes_no_other(served, lab, cloud, member, admin_cloud):
    before = served.ledger()  # with the line that Barbican's outage has left: a later provider's adding strikes it out
    ann = Person({"OS_CLOUD": "lab", "LONGSHORE_URL": served.url})
    shown = ann.json("provider", "add", "openstack", "anns", program=LONGSHORE)
    assert shown["provider"] == "anns"
    provider = served.did(member, "GET", "/providers/anns")
    assert "application_credential_id" in provider["settings"]["auth"]  # and not ann's password
    made = credentials(cloud)[f"longshore-{provider['id']}"]

    restricted = token_of(application_credential_id=made.id, **served.opened()[0])
    refused = served.ask(restricted, "POST", "/providers", HERE | {"name": "another"})
    assert (refused.status_code, refused.json()["code"]) == (403, "token-makes-no-credential")
    assert "--os-cloud" in refused.json()["message"]

    # Another member may use it, and not delete what is ann's; once an administrator has, the provider can go
    assert served.did(member, "POST", "/providers/anns/check")
    refused = served.ask(member, "DELETE", "/providers/anns")
    assert (refused.status_code, refused.json()["code"]) == (403, "credential-of-another")
    assert re.search(r"Let that user remove the provider", refused.json()["message"])
    admin_cloud.identity.delete_application_credential(cloud.current_user_id, made.id)
    served.did(member, "DELETE", "/providers/anns")
    assert (served.kept(), served.ledger()) == ([], before)


@pytest.fixture
def volume(cloud):
    """One that no server has, with something in it."""
    made = cloud.block_storage.create_volume(size=1, name=f"archive-{uuid.uuid4().hex[:8]}")
    cloud.block_storage.wait_for_status(made, interval=1, wait=60)
    image = f"rbd:volumes/volume-{made.id}:id=cinder"
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 0x5a 256M 3M", image], check=True, capture_output=True)
    yield made
    cloud.block_storage.delete_volume(made.id)
    wait_for(lambda: cloud.block_storage.find_volume(made.id) is None, 60, "the volume to be gone")


@pytest.fixture
def reader(admin_cloud):
    """Somebody in the tenant's project who may look at what is there, not at secrets: the environment they work in."""
    name, password = f"ron-{uuid.uuid4().hex[:8]}", f"Ron-{uuid.uuid4().hex}"
    identity = admin_cloud.identity
    user = identity.create_user(name=name, password=password, domain_id="default")
    identity.assign_project_role_to_user(identity.find_project("demo"), user, identity.find_role("reader"))
    domains = {"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"}
    yield {"OS_AUTH_URL": AUTH_URL, "OS_USERNAME": name, "OS_PASSWORD": password, "OS_PROJECT_NAME": "demo", **domains}
    identity.delete_user(user)


@pytest.fixture
def creator(served, lab, admin_cloud, cloud):
    """The tenant, who may make secrets by now."""
    identity = admin_cloud.identity
    words = identity.find_project("demo"), cloud.current_user_id, identity.find_role("creator")
    identity.assign_project_role_to_user(*words)
    with openstack.connect(load_yaml_config=False, load_envvars=False, **lab.cloud) as connection:
        yield connection
        # Of a test that failed: with a role that is gone Keystone would list none of its user's any more
        for credential in connection.identity.application_credentials(connection.current_user_id):
            if credential.name.startswith("longshore-"):
                connection.identity.delete_application_credential(connection.current_user_id, credential.id)
    identity.unassign_project_role_from_user(*words)


def vault_secrets(tenant):
    """Of the tenant's project in Barbican, by name."""
    named = {one.name: one.secret_ref.rpartition("/")[2] for one in tenant.key_manager.secrets()}
    return {name: ref for name, ref in named.items() if name.startswith("longshore-vault-key-")}


@pytest.mark.lab
def test_a_tenants_vault_opens_by_a_secret_of_its_project_for_whoever_may_read_that(
    served, bucket, lab, creator, volume, reader, tmp_path
):
    before = served.ledger()  # an outage of Barbican's may have left a line: a later provider's adding strikes it out
    token = tenants(lab)
    key = bucket.secret_file.read_text().strip()
    where = {"url": bucket.url, "endpoint": bucket.endpoint, "access_key": bucket.access_key}
    served.did(token, "POST", "/providers", HERE)
    made = {"name": "away", **where, "secret_key": key, "barbican": "here"}
    served.did(token, "POST", "/vaults", made)
    [(name, ref)] = vault_secrets(creator).items()
    assert name not in served.kept()  # it is the tenant's, not the server's

    # The server's worker, a process of its own, backs up into it
    backup = {"machine": f"volume:{volume.id}", "source": "here", "vault": "away"}
    id_ = served.did(token, "POST", "/backups", backup)["id"]
    ended = lambda: served.did(token, "GET", f"/migrations/{id_}")["status"] in ("done", "failed")  # noqa: E731
    wait_for(ended, 300, "the backup to end")
    done = served.did(token, "GET", f"/migrations/{id_}")
    assert done["status"] == "done", done
    point = done["result"]["point"]

    # Another installation that may read the secret opens it; one that may not, or is asked while Barbican is away, is
    # told so
    words = ("away", "--url", bucket.url, *bucket.words, "--barbican", "cloud")
    add = ("provider", "add", "vault", *words)
    clouds = {"OS_CLIENT_CONFIG_FILE": str(lab.clouds_file)}
    ours, theirs = Cli(tmp_path / "ours"), Cli(tmp_path / "theirs")
    for cli, cloud_of in ((ours, {**clouds, "OS_CLOUD": "lab"}), (theirs, reader)):
        added = cli("provider", "add", "openstack", "cloud", **cloud_of)
        assert added.returncode == 0, added.stderr
    with without_barbican():
        refused(ours(*add), "Barbican, or Keystone before it, didn't answer")
    added = ours(*add)
    assert added.returncode == 0, added.stderr
    assert [one["Point"] for one in ours.json("backup", "list", "--vault", "away")] == [point]
    refused(theirs(*add), "The user of provider cloud may not open a secret in Barbican")

    # A stranger has the secret shown, and reads a copy of the bucket
    for name in bucket.keys:
        file = tmp_path / "copy" / name.removeprefix(f"{bucket.prefix}/")
        file.parent.mkdir(parents=True, exist_ok=True)
        bucket.client.download_file(BUCKET, name, str(file))
    show = ("--os-cloud", "lab", "secret", "get", "--payload", ref, "-f", "value")
    shown = Person({}).did(*show, OS_CLIENT_CONFIG_FILE=str(lab.clouds_file))
    (tmp_path / "secret").write_text(shown.strip().splitlines()[-1] + "\n")
    disk = next(iter(served.did(token, "GET", "/vaults/away/points")))["disks"][0]
    script = [sys.executable, "-I", tmp_path / "copy" / "restore.py", point, disk, tmp_path / "disk"]
    told = subprocess.run(script, input="", capture_output=True, text=True, start_new_session=True)
    assert (told.returncode, ref in told.stderr, AUTH_URL in told.stderr) == (1, True, True), told.stderr
    restored = subprocess.run([*script, "--secret-file", tmp_path / "secret"], capture_output=True, text=True)
    assert restored.returncode == 0, restored.stderr
    with (tmp_path / "disk").open("rb") as file:
        file.seek(256 << 20)
        assert file.read((3 << 20) + 1) == b"\x5a" * (3 << 20) + b"\0"

    # With a recovery key in its place the secret isn't needed any more, and goes with its key
    recovery = served.did(token, "POST", "/vaults/away/keys", {"name": "recovery"})["recovery_key"]
    by_it = {"settings": {"barbican": ""}, "secrets": {"pass_phrase": recovery}}
    served.did(token, "PATCH", "/providers/away", by_it)
    (first,) = [one for one in served.did(token, "GET", "/vaults/away/keys") if one["kept"]]
    served.did(token, "DELETE", f"/vaults/away/keys/{first['id']}")
    assert vault_secrets(creator) == {}
    served.did(token, "POST", f"/migrations/{id_}/cleanup")
    served.did(token, "DELETE", f"/migrations/{id_}")
    for provider in ("away", "here"):
        served.did(token, "DELETE", f"/providers/{provider}")
    assert set(served.ledger()) <= set(before)
