"""A server whose clouds are stand-ins, and where Ann has added two of them."""

from contextlib import contextmanager

from test_tenants import OPENSTACK, VSPHERE, Api

from longshore.engine import embedded
from longshore.store import StateDirectory, Store


@contextmanager
def anns_api(tmp_path, monkeypatch, cloud):
    """Yield the API for Ann. `cloud`: the class that stands in for whatever is connected to. Nothing that is asked for
    is run."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    for provider in (VSPHERE, OPENSTACK):
        api.did("ann", "POST", "/v1/providers", provider)
    yield api
    store.close()
