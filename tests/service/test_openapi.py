"""The OpenAPI document is one, and whatever is sent as it says, or not quite, is never answered by a fault of ours."""

import json
import re

import jsonschema_rs
import pytest
import schemathesis
from cloud_stand_in import Cloud
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from tokens import access

from longshore.engine import embedded
from longshore.service import create_app
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

VSPHERE = {"host": "h", "username": "u"}
OPENSTACK = {"auth": {"auth_url": "https://cloud:5000/v3"}}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """With a provider on either side, so that what names them gets further."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("longshore.flows.clouds", "longshore.service.providers"):
            patch.setattr(f"{module}.connect", Cloud)
        patch.setattr(embedded, "ensure_running", lambda _state: None)
        patch.setattr("longshore.providers.vsphere.certificate.fetch_fingerprint", lambda _host, _port: "AB:CD")
        store = Store(StateDirectory(tmp_path_factory.mktemp("api") / "state"))
        store.providers.add("0", "vsphere", VSPHERE, {"password": "x"})
        yield create_app(store, access=access())
        store.close()


@pytest.fixture(scope="module")
def document(app):
    return json.loads(json.dumps(app.openapi()))


@pytest.fixture(scope="module")
def api(app):
    return schemathesis.openapi.from_asgi("/v1/openapi.json", app, headers={"X-Auth-Token": "ann"})


def test_it_is_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
    for ref in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        node = document
        for part in ref.split("/"):
            node = node[part]
    operations = [route for methods in document["paths"].values() for route in methods.values()]
    assert len({route["operationId"] for route in operations}) == len(operations)
    for path, methods in document["paths"].items():
        for route in methods.values():
            declared = {p["name"] for p in route.get("parameters", ()) if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path)), path
            assert route["description"], path


def test_what_is_sent_strictly_has_no_unknown_fields(document):
    """Of every body that is taken; what files have is checked by their own readers."""
    of_files = [("put", "/v1/plans/{name}"), ("put", "/v1/replica-file")]
    of_files += [("patch", "/v1/plans/{name}"), ("patch", "/v1/plans/{name}/machines/{machine}")]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            if "requestBody" not in route or (method, path) in of_files:
                continue
            taken = route["requestBody"]["content"]["application/json"]["schema"]
            refs = [one["$ref"] for one in taken.get("anyOf", [taken]) if one != {"type": "null"}]
            for ref in refs:
                schema = document["components"]["schemas"][ref.rpartition("/")[2]]
                assert schema.get("additionalProperties") is False, (method, path)


def test_nothing_that_is_sent_is_our_fault(api):
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    asked = 0
    for operation in (result.ok() for result in api.get_all_operations()):
        if operation.path.endswith("/stream"):
            continue

        @settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal asked
            asked += 1
            case.call_and_validate(checks=checks)

        ask()
    assert asked > 150
