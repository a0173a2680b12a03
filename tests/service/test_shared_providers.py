"""Those whom a provider is shared with use it, and never learn where it is or as whom."""

import pytest
from cloud_stand_in import MACHINE, Cloud
from test_tenants import MIGRATION, OPENSTACK, PLAN, VSPHERE, Api

from longshore.engine import embedded
from longshore.engine.outages import Outages
from longshore.errors import AccessDenied, NotFound, Unreachable
from longshore.flows.clouds import Clouds
from longshore.model.selection import EVERY
from longshore.store import StateDirectory, Store

HOST, USER = "vcenter.corp.example", "svc-move@vsphere.local"
LENT = VSPHERE | {"name": "lent", "settings": {"host": HOST, "port": 444, "username": USER}}
HERS = OPENSTACK | {
    "name": "hers",
    "settings": {"auth": {"auth_url": "https://cloud:5000/v3", "username": "svc-land", "project_name": "p"}},
}


class Telling(Cloud):
    """Its errors have all that they could tell, as those of the real clouds have."""

    def check(self):
        return {}

    def machine(self, name):
        if name == MACHINE.name:
            return MACHINE
        raise NotFound(f"{HOST}:444 has no machine {name!r} that {USER} may see.", advice=f"Ask {USER}.")

    def machines(self, wanted):
        if wanted.tag:
            raise NotFound(f'{HOST} has no tag "{wanted.tag}".')
        yield MACHINE
        raise AccessDenied(f"{HOST.upper()} refused the user name or the password of {USER}.")

    def inventory(self):
        raise Unreachable(f"{HOST}:444 refuses connections.")

    def networks(self):
        raise Unreachable("https://nova.corp.example:8774 didn't answer to svc-land; is https://cloud:5000/v3 up?")


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


@pytest.fixture
def api(store, monkeypatch):
    monkeypatch.setattr("longshore.flows.clouds.connect", Telling)
    monkeypatch.setattr("longshore.service.providers.connect", Telling)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    api = Api(store)
    for provider in (LENT, HERS):
        api.did("admin", "POST", "/v1/providers", provider)
        api.did("admin", "PUT", f"/v1/providers/{provider['name']}/shares/project-b")
    return api


PLANNED = PLAN | {"source": "lent", "target": "hers", "machines": [{"machine": "web"}, {"machine": "nope"}]}
ASKED = [
    ("GET", "/v1/providers/lent/machines/nope", None),
    ("GET", "/v1/providers/lent/machines?tag=x", None),
    ("GET", "/v1/providers/lent/machines", None),
    ("GET", "/v1/providers/lent/references", None),
    ("GET", "/v1/providers/lent/inventory", None),
    ("POST", "/v1/plans", {"name": "new", "source": "lent", "target": "hers", "machines": ["nope"]}),
    ("GET", "/v1/plans/shop/machines", None),
    ("POST", "/v1/plans/shop/check", {}),
    ("POST", "/v1/plans/shop/start", {}),
    ("POST", "/v1/migrations", MIGRATION | {"source": "lent", "target": "hers"}),
    ("POST", "/v1/migrations", MIGRATION | {"source": "lent", "target": "hers", "machine": "nope"}),
]


def test_no_error_tells_them(api):
    api.did("bob", "PUT", "/v1/plans/shop", PLANNED)
    for method, path, body in ASKED:
        told = api("bob", method, path, body).text
        assert any(word in told for word in ("lent", "hers")), told
        for secret in ("corp", "svc-", "cloud:5000", "444", "vsphere.local"):
            assert secret not in told.lower(), told


def test_whose_it_is_sees_what_is_wrong(api):
    told = api("admin", "GET", "/v1/providers/lent/machines/nope").json()
    said = f"{HOST}:444 has no machine 'nope' that {USER} may see. Ask {USER}."
    assert (told["code"], told["message"]) == ("not-found", said)
    told = api("bob", "GET", "/v1/providers/lent/machines/nope").json()
    said = "lent has no machine 'nope' that its user may see. Ask its user."
    assert (told["code"], told["message"]) == ("not-found", said)


def test_a_migration_of_theirs_tells_them_no_more(api, store):
    """An engine sees everything, and writes down what it is told."""
    said = []
    outages = Outages(lambda text, _level: said.append(text), lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with Clouds(store, outages, project_id="project-b").target("hers") as target, pytest.raises(KeyboardInterrupt):
        target.networks()
    with pytest.raises(AccessDenied) as caught, Clouds(store, project_id="project-b").source("lent") as source:
        list(source.machines(EVERY))
    told = [*said, str(caught.value)]
    assert len(told) == 2
    assert not any(secret in text.lower() for text in told for secret in ("corp", "svc-", "cloud:5000"))
    with pytest.raises(AccessDenied, match=USER), Clouds(store, project_id="project-admin").source("lent") as source:
        list(source.machines(EVERY))


def test_those_whom_it_is_shared_with_are_told_on_which_sides_it_can_stand(api):
    listed = api.did("bob", "GET", "/v1/providers")
    assert {one["name"]: one["sides"] for one in listed} == {"lent": ["source"], "hers": ["source", "target"]}
