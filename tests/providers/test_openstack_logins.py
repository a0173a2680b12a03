"""Entries of clouds.yaml that are more than a password and an address, followed as openstacksdk follows them."""

import json
import os
import threading
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from longshore.errors import InvalidInput, NotFound, NotInstalled, ProviderError, Unreachable
from longshore.providers.grounds import Grounds
from longshore.providers.openstack.connection import OpenstackSettings, settings_from_cloud
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
        self.instead = {}  # what is answered to a path that ends so
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                cloud.asked.append((self.path, body))
                status, answer, more = cloud.answer(self.path)
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
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
        for end, told in self.instead.items():
            if path.partition("?")[0].endswith(end):
                return *told, {}
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
    with pytest.raises(InvalidInput, match=r"has no region west\. It has: north, south"):
        checked(*entry(region_name="west"))


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


@pytest.mark.parametrize(
    ("auth_type", "secret"), [("none", {}), ("http_basic", {"password": "x"}), ("admin_token", {"token": "x"})]
)
def test_a_way_to_log_in_without_projects_is_refused(cloud, auth_type, secret):
    settings = OpenstackSettings(auth={"endpoint": cloud.url}, auth_type=auth_type)
    with pytest.raises(InvalidInput, match=rf"auth_type {auth_type} logs in to no project"):
        checked(settings, secret)


CREDENTIAL = {"application_credential_id": "c", "application_credential_secret": "hunter2"}


@pytest.mark.parametrize(
    ("more_auth", "more", "said"),
    [
        (CREDENTIAL, {"auth_type": "v3applicationcredential"}, r"of one project, and project_name names one.*Remove"),
        (CREDENTIAL, {}, r"auth_type is password.*Write auth_type: v3applicationcredential beside auth"),
        ({}, {"interface": ["internal", "public"]}, "interface takes one text"),
        ({"password": ["hunter2"]}, {}, r"auth\.password takes one text"),
        ({}, {"profile": "https://127.0.0.1:1"}, "didn't answer while trying to read its profile: Connection refused"),
        ({}, {"key": "-----BEGIN PRIVATE KEY-----\nhunter2"}, "key is the name of a file"),
    ],
)
def test_what_an_entry_mistakes_is_said_with_what_to_write(entry, more_auth, more, said):
    with pytest.raises(InvalidInput, match=said) as refused:
        entry(more_auth, **more)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("auth_type", "package"),
    [
        ("v3samlpassword", "lxml"),
        ("v3adfspassword", "lxml"),
        ("v3kerberos", "requests-kerberos"),
        ("v3oauth1", "oauthlib"),
    ],
)
def test_the_package_that_a_way_to_log_in_lacks_is_named(entry, monkeypatch, auth_type, package):
    monkeypatch.setattr("longshore.providers.openstack.connection.find_spec", lambda _name: None)
    with pytest.raises(NotInstalled, match=rf"log in by {auth_type} takes {package} for Python"):
        entry(auth_type=auth_type)
    settings, secrets = entry()
    with pytest.raises(NotInstalled, match=package):  # on a worker that has less than whoever added the provider
        checked(replace(settings, auth_type=auth_type), secrets)


@pytest.mark.parametrize("text", ["*hunter2", "!hunter2 x", "{hunter2", "@hunter2", '"hunter2'])
def test_a_file_that_is_not_yaml_is_named_with_its_line_and_nothing_of_it_is_told(entry, tmp_path, text):
    entry(region_name="north")
    (tmp_path / "clouds.yaml").write_text(f"clouds:\n  shop:\n    auth:\n      password: {text}\n")
    with pytest.raises(InvalidInput, match=r"clouds\.yaml, line [45]: this isn't YAML") as refused:
        settings_from_cloud("shop")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("text", ["clouds: {shop: }", "clouds: {shop: hunter2}", "clouds: {shop: {auth: [hunter2]}}"])
def test_an_entry_without_names_and_values_is_one_sentence(entry, tmp_path, text):
    entry(region_name="north")
    (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"Entry shop of clouds\.yaml doesn't describe a cloud: it, ") as refused:
        settings_from_cloud("shop")
    assert "hunter2" not in str(refused.value)


def test_files_of_an_entry_are_found_from_any_directory(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ca.pem", "own.pem", "own.key"):
        (tmp_path / name).touch()
    settings, _ = entry(cacert="ca.pem", cert="own.pem", key="~/own.key")
    assert (settings.cacert, settings.cert, settings.key) == tuple(
        str(tmp_path / name) for name in ("ca.pem", "own.pem", "own.key")
    )


PAGE = "<html><body>Down for maintenance</body></html>"


@pytest.mark.parametrize("told", [(503, PAGE), (200, PAGE), (500, {}), (404, {})])
def test_a_service_that_does_not_tell_its_versions_is_asked_again_later(entry, cloud, told):
    cloud.instead["/compute"] = told
    with pytest.raises(Unreachable, match=r"which versions of its API it speaks.* compute service"):
        checked(*entry(region_name="north"))


def test_a_page_in_the_place_of_a_service_is_said(entry, cloud):
    target = OpenstackTarget(*entry(region_name="north"))
    cloud.instead["/servers/detail"] = (200, PAGE)
    with pytest.raises(Unreachable, match="What answered while trying to list servers isn't the cloud"):
        target.present()
    target.close()


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (404, "404 page not found\n"),
        (404, "default backend - 404"),
        (404, "<html><hr><center>nginx/1.25</center></html>"),
        (400, "<html><h1>400 Bad Request</h1>Request Header Or Cookie Too Large<hr><center>nginx</center></html>"),
        (400, "<html><body><h1>400 Bad request</h1>Your browser sent an invalid request.</body></html>"),
    ],
)
def test_what_a_proxy_does_not_find_is_not_gone(entry, cloud, status, page):
    """Traefik says so while the service behind it is restarted: volumes are there all the same."""
    target = OpenstackTarget(*entry(region_name="north"))
    told = {"itemNotFound": {"code": status, "message": "Volume v could not be found."}}
    cloud.instead["/volumes/v"] = (status, told)
    assert not target.has_volume("v")
    cloud.instead["/volumes/v"] = (status, page)
    with pytest.raises(Unreachable, match=r"answers in the place of the cloud's service \(HTTP 40"):
        target.has_volume("v")
    target.close()


@pytest.mark.parametrize(("kind", "service"), [("compute", "compute"), ("volumev3", "block storage")])
def test_a_service_without_microversions_is_too_old(entry, cloud, kind, service):
    plain = {**VERSIONS[kind], "version": "", "min_version": ""}
    cloud.instead[f"/{kind}"] = (200, {"versions": [{**plain, "links": cloud.links(f"/north/{kind}")}]})
    with pytest.raises(ProviderError, match=rf"{service} service is too old: it speaks version [23]\.[01], and "):
        checked(*entry(region_name="north"))


def test_files_that_openstacksdk_reads_or_passes_over_are_read_and_passed_over(entry, tmp_path, monkeypatch):
    entry(region_name="north")
    clouds = yaml.safe_load((tmp_path / "clouds.yaml").read_text())
    (tmp_path / "clouds.yaml").unlink()
    (tmp_path / "clouds.yaml").mkdir()  # as Docker leaves one where a mount's file is missing
    with pytest.raises(NotFound, match="There is no cloud shop"):
        settings_from_cloud("shop")
    (tmp_path / "clouds.json").write_text(json.dumps(clouds, indent="\t"))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.json"))
    assert settings_from_cloud("shop")[0].region == "north"
    (tmp_path / "clouds.json").write_text('{"clouds":\n {"password": s3cret}}')
    with pytest.raises(InvalidInput, match=r"clouds\.json, line 2: this isn't JSON") as refused:
        settings_from_cloud("shop")
    assert "s3cret" not in str(refused.value)


def test_a_broken_file_of_secrets_is_named_too(entry, tmp_path, monkeypatch):
    """Without it the SDK would log in without the password that it has, or with another one."""
    entry(region_name="north")
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(tmp_path / "secure.yaml"))
    (tmp_path / "secure.yaml").write_text("clouds: {shop: {auth: {password: s3cret}}}")
    assert settings_from_cloud("shop")[1] == {"password": "s3cret"}
    (tmp_path / "secure.yaml").write_text("clouds:\n  shop: @s3cret")
    with pytest.raises(InvalidInput, match=r"secure\.yaml, line 2: this isn't YAML") as refused:
        settings_from_cloud("shop")
    assert "s3cret" not in str(refused.value)
