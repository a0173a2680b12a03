"""User data, first-boot scripts and guests' keys as callers see them: that they are there, and how long texts are."""

from dataclasses import replace
from typing import get_args, get_origin

import pytest
from anns_api import anns_api
from cloud_stand_in import MACHINE, Cloud
from test_tenants import MIGRATION, PLAN

from longshore.api.shown_machine import ShownMachine
from longshore.model.machine import Machine, ServerSettings
from longshore.service import migrations, plans, providers

TEXT = "#cloud-config\npassword: correct horse\n"


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Cloud) as api:
        yield api


def test_nobody_is_shown_them(api, monkeypatch):
    asked = {**MIGRATION["request"], "user_data": TEXT, "first_boot": [TEXT], "guest_keys": [TEXT]}
    shown = [api("ann", "POST", "/v1/migrations", MIGRATION | {"request": asked})]
    id_ = shown[0].json()["id"]
    assert shown[0].json()["request"]["user_data"].startswith(f"({len(TEXT)} characters, kept encrypted: ")
    assert shown[0].json()["request"]["guest_keys"][0].startswith("(a key, kept encrypted: ")
    shown.append(api("ann", "PUT", "/v1/plans/shop", PLAN | {"defaults": {"user_data": TEXT}}))
    has = replace(MACHINE, server_settings=ServerSettings(user_data=TEXT))
    monkeypatch.setattr("cloud_stand_in.MACHINE", has)
    for path in (
        f"migrations/{id_}",
        "migrations",
        "plans/shop",
        "providers/vc/machines",
        "providers/vc/machines/web",
        "plans/shop/machines",
    ):
        shown.append(api("ann", "GET", f"/v1/{path}"))
    shown.append(api("ann", "POST", "/v1/providers/vc/machines", {"refs": ["vm-1"]}))
    assert [answer.status_code for answer in shown] == [202, 201, *[200] * 7]
    assert not [answer.url for answer in shown if "correct horse" in answer.text]
    assert "characters, not shown" in shown[-1].text


def test_no_route_answers_with_a_machine_as_it_is():
    """Each goes through the type that leaves user data out, also in routes that come later."""
    routers = (providers.router, plans.router, migrations.router)
    routes = {route.path: route.response_model for router in routers for route in router.routes}
    assert ShownMachine in get_args(routes["/v1/providers/{provider}/machines"])
    for path, model in routes.items():
        inside = get_args(model) if get_origin(model) is list else ()
        assert Machine not in {model, *inside}, path


def test_a_plan_is_checked_and_started_with_the_texts_and_not_their_marks(api):
    networks = {"networks": {"VM Network": "private"}}
    plan = PLAN | {"mappings": networks, "defaults": {"user_data": "base64:not that"}}
    refused = api("ann", "PUT", "/v1/plans/shop", plan)
    assert (refused.status_code, "user_data" in refused.text) == (400, True)
    assert api.did("ann", "GET", "/v1/plans") == []
    api.did("ann", "PUT", "/v1/plans/shop", plan | {"defaults": {"user_data": TEXT}})
    assert "user-data-invalid" not in {c["code"] for c in api.did("ann", "POST", "/v1/plans/shop/check", {})}
    [started] = api.did("ann", "POST", "/v1/plans/shop/start", {})
    assert api.store.migrations.text(started["id"], started["request"]["user_data"]) == TEXT
