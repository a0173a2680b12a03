"""A server makes its callers' proxies of its operator's image; without a server the user's own is taken."""

import hashlib
import json
from dataclasses import replace

import pytest
from asking import asking
from cloud_stand_in import Cloud
from test_tenants import VSPHERE, Api
from tokens import GROUNDS, access

from longshore.engine import embedded
from longshore.service import create_app
from longshore.store import StateDirectory, Store

WHERE = {"host": "esx1", "datastore": "ds1", "network": "VM Network", "address": "192.0.2.10/24"}
WANTED = {"name": "longshore-proxy", **WHERE}
PROXIES = "/v1/providers/vc/proxies"


def built(directory):
    """Return an image as one is built."""
    directory.mkdir(parents=True)
    (image := directory / "relay.qcow2").write_bytes(b"image")
    record = {"recipe": "r", "packages": {}, "sha256": hashlib.sha256(b"image").hexdigest()}
    (directory / "relay.qcow2.json").write_text(json.dumps(record))
    return image


@pytest.fixture(autouse=True)
def clouds(monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)


@pytest.fixture
def api(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    api.did("ann", "POST", "/v1/providers", VSPHERE)
    yield api
    store.close()


def serve(api, image):
    grounds = replace(GROUNDS, relay_image=None if image is None else str(image))
    api.app = create_app(api.store, access=replace(access(), grounds=grounds))


def test_a_servers_callers_have_proxies_made_of_its_operators_image(api, tmp_path):
    image = built(tmp_path / "images")
    serve(api, image)
    begun = api.did("ann", "POST", PROXIES, WANTED)
    assert (begun["type"], begun["request"]["image"]) == ("proxy", str(image))
    refused = api("ann", "POST", PROXIES, {**WANTED, "image": "/etc/passwd"})
    assert (refused.status_code, "doesn't read or write files" in refused.json()["message"]) == (403, True)
    assert api("ann-reader", "POST", PROXIES, WANTED).status_code == 403


def test_a_server_without_one_says_who_can_help(api, tmp_path):
    serve(api, None)
    refused = api("ann", "POST", PROXIES, WANTED)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("This server has no image that proxies could be made of.")
    assert "relay_image in the server's configuration" in refused.json()["advice"]
    serve(api, tmp_path / "gone.qcow2")
    assert api("ann", "POST", PROXIES, WANTED).status_code == 404
    assert api.did("ann", "GET", "/v1/jobs") == []


def test_without_a_server_it_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(StateDirectory(tmp_path / "state"))
    store.providers.add("vc", "vsphere", VSPHERE["settings"], {"password": "right"})
    with asking(store, monkeypatch) as ask:
        refused = ask("POST", PROXIES, WANTED)
        assert (refused.status_code, "There is no relay image" in refused.json()["message"]) == (404, True)
        usual = built(tmp_path / "cache" / "longshore")
        assert ask("POST", PROXIES, WANTED).json()["request"]["image"] == str(usual)
        named = built(tmp_path / "named")
        body = {**WANTED, "name": "second", "image": str(named)}
        assert ask("POST", PROXIES, body).json()["request"]["image"] == str(named)
    store.close()
