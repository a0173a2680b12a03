"""Entries of clouds.yaml that are more than a password and an address, followed as openstacksdk follows them."""

import json
import os
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from longshore.errors import InvalidInput
from longshore.providers.grounds import Grounds
from longshore.providers.openstack.connection import settings_from_cloud
from longshore.providers.openstack.target import OpenstackTarget
from longshore.service.remote import provider_settings

LATER = "2099-01-01T00:00:00.0Z"
VERSIONS = {
    "compute": {"id": "v2.1", "status": "CURRENT", "version": "2.93", "min_version": "2.1"},
    "volumev3": {"id": "v3.0", "status": "CURRENT", "version": "3.70", "min_version": "3.0"},
    "network": {"id": "v2.0", "status": "CURRENT"},
}
RULES = [{"id": "r", "service": "compute", "method": "GET", "path": "/v2.1/servers"}]


class Cloud:
    """A Keystone that lets everybody in, and the versions of services in two regions."""

    def __init__(self):
        self.asked, self.credential = [], None
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                cloud.asked.append((self.path, body))
                status, answer, more = cloud.answer(self.path)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**more, "Content-Type": "application/json", "Content-Length": len(data)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path):
        if path.startswith("/v3/auth/tokens"):
            return 201, {"token": self.token()}, {"X-Subject-Token": "tok"}
        if "application_credentials" in path:
            return 200, {"application_credential": {"expires_at": "2026-12-24T00:00:00Z", "access_rules": RULES}}, {}
        if path.rstrip("/") in ("", "/v3"):
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": self.links("/v3/")}}, {}
        kind = path.rstrip("/").rpartition("/")[2]
        if kind in VERSIONS:
            return 200, {"versions": [{**VERSIONS[kind], "links": self.links(path)}]}, {}
        return 404, {}, {}

    def links(self, path):
        return [{"rel": "self", "href": f"{self.url}{path}"}]

    def token(self):
        def endpoint(region, kind):
            url = f"{self.url}/v3" if kind == "identity" else f"{self.url}/{region}/{kind}"
            return {"interface": "public", "url": url, "region": region, "region_id": region, "id": region + kind}

        catalog = [
            {"type": kind, "name": kind, "id": kind, "endpoints": [endpoint(r, kind) for r in ("north", "south")]}
            for kind in (*VERSIONS, "identity")
        ]
        domain = {"id": "default", "name": "Default"}
        token = {
            "methods": ["password"],
            "issued_at": "2026-01-01T00:00:00.0Z",
            "expires_at": LATER,
            "catalog": catalog,
        }
        token |= {"user": {"id": "u", "name": "ann", "domain": domain}, "roles": [{"id": "m", "name": "member"}]}
        token |= {"project": {"id": "p", "name": "shop", "domain": domain}, "is_domain": False}
        return token | ({"application_credential": self.credential} if self.credential else {})

    def services_asked(self):
        return sorted({path for path, _ in self.asked if not path.startswith("/v3")})


@pytest.fixture
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.server.shutdown()
    cloud.server.server_close()


@pytest.fixture
def entry(cloud, tmp_path, monkeypatch):
    """Settings and secrets of an entry, by what it has beside Ann's name and password."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    auth = {"auth_url": f"{cloud.url}/v3", "username": "ann", "password": "hunter2", "project_name": "shop", **domains}

    def of(more_auth=(), *, by=auth, **more):
        said = {"clouds": {"shop": {"auth": {**by, **dict(more_auth)}, **more}}}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump(said))
        return settings_from_cloud("shop")

    return of


def checked(settings, secrets):
    target = OpenstackTarget(settings, secrets)
    try:
        return target.check()
    finally:
        target.close()


def test_several_regions_and_none_named_is_refused_with_those_that_there_are(entry, cloud):
    """gardener-extension-provider-openstack#801: one service from one region, the next from another."""
    with pytest.raises(
        InvalidInput, match=r"several regions \(north, south\), and none is named.*Name one: region_name"
    ):
        checked(*entry())
    assert cloud.services_asked() == []
    found = checked(*entry(region_name="south"))
    assert (found["region"], "/etc/ceph/ceph.conf" in found["storage"]) == ("south", True)
    assert cloud.services_asked() == ["/south/compute", "/south/network/v2.0", "/south/volumev3"]


def test_addresses_of_single_services_are_followed(entry, cloud):
    """openstack-exporter#608: clouds behind a proxy or address translation."""
    overrides = {
        f"{service}_endpoint_override": f"{cloud.url}/by-the-proxy/{kind}"
        for service, kind in (("compute", "compute"), ("network", "network"), ("block_storage", "volumev3"))
    }
    settings, secrets = entry(region_name="north", **overrides)
    assert settings.services == overrides
    checked(settings, secrets)
    assert cloud.services_asked() == [f"/by-the-proxy/{kind}" for kind in ("compute", "network", "volumev3")]
    with pytest.raises(InvalidInput, match="compute_endpoint_override holds a secret"):
        entry(compute_endpoint_override="https://ann:hunter2@proxy.example/")


def test_several_factors_are_brought_together_and_what_is_good_once_is_said(entry, cloud):
    """python-otcextensions#336."""
    more = {"auth_type": "v3multifactor", "auth_methods": ["v3password", "v3totp"], "region_name": "north"}
    settings, secrets = entry({"passcode": "123456"}, **more)
    assert (settings.auth_methods, secrets) == (("v3password", "v3totp"), {"password": "hunter2", "passcode": "123456"})
    assert "hunter2" not in repr(asdict(settings))
    assert "123456" not in repr(asdict(settings))
    assert "good once" in checked(settings, secrets)["login"]
    (asked,) = [json.loads(body) for path, body in cloud.asked if path == "/v3/auth/tokens"]
    assert asked["auth"]["identity"]["methods"] == ["password", "totp"]


def test_a_clients_certificate_is_shown_to_the_clouds_servers(entry, tmp_path):
    for name in ("own.pem", "own.key"):
        (tmp_path / name).touch()
    settings, secrets = entry(region_name="north", cert=str(tmp_path / "own.pem"), key=str(tmp_path / "own.key"))
    target = OpenstackTarget(settings, secrets)
    assert target._connection.session.cert == (str(tmp_path / "own.pem"), str(tmp_path / "own.key"))
    target.close()


@pytest.mark.parametrize("name", ["cacert", "cert", "key"])
def test_a_file_that_is_not_there_is_named(entry, tmp_path, name):
    pem = tmp_path / "there.pem"
    pem.touch()
    files = {"cacert": str(pem), "cert": str(pem), "key": str(pem)} | {name: str(tmp_path / "gone.pem")}
    with pytest.raises(InvalidInput, match=rf"There is no file .*gone\.pem on this machine, .*\({name}\)"):
        checked(*entry(**files))


@pytest.mark.parametrize("more", [{"profile": "https://127.0.0.1:1"}, {"region_name": None}, {"auth": None}])
def test_an_entry_that_openstacksdk_cannot_read_is_one_sentence(entry, more):
    """A profile that can't be had where it is kept, and names without a value."""
    with pytest.raises(InvalidInput, match=r"Entry shop of clouds\.yaml doesn't describe a cloud: "):
        entry(**more)


def test_the_end_of_a_token_is_said_beforehand(entry, cloud):
    auth = {"auth_url": f"{cloud.url}/v3", "token": "abc", "project_name": "shop", "project_domain_name": "Default"}
    found = checked(*entry(by=auth, auth_type="v3token", region_name="north"))
    assert found["login ends"].startswith("2099-01-01")


def test_the_end_and_the_rules_of_an_application_credential_are_said_beforehand(entry, cloud):
    cloud.credential = {"id": "c", "name": "longshore", "restricted": True}
    auth = {"application_credential_id": "c", "application_credential_secret": "hunter2", "auth_url": f"{cloud.url}/v3"}
    found = checked(*entry(by=auth, auth_type="v3applicationcredential", region_name="north"))
    assert found["login ends"].startswith("2026-12-24T00:00:00Z: the application credential is good until then")
    assert "1 access rule(s)" in found["login may only"]
    assert "compute" in found["login may only"]


def test_a_server_takes_an_entry_that_says_nothing_of_its_own(entry):
    """As the command sends it: with all settings, most of which nobody has given."""
    settings, _ = entry(region_name="north", identity_api_version=3)
    sent = json.loads(json.dumps(asdict(settings)))
    taken = provider_settings("openstack", {**sent, "transport": "relay"}, Grounds())
    assert taken["auth"]["auth_url"] == sent["auth"]["auth_url"]
    assert not {"services", "auth_methods", "cert", "key"} & taken.keys()
    with pytest.raises(InvalidInput, match="services"):
        provider_settings("openstack", {**sent, "services": {"compute_endpoint_override": "http://x"}}, Grounds())
