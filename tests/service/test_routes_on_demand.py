"""A command loads the routes that it asks for: they are those of the server, wherever they are asked for first."""

import asyncio
import re
import subprocess
import sys
from importlib import import_module

import pytest
from fastapi import APIRouter, FastAPI

from longshore.client.in_process import ask
from longshore.configuration import read_configuration
from longshore.service import mount
from longshore.service.routes import MODULES, add, modules_of, words_of

ROUTES = [
    (module, method, route.path)
    for module in MODULES
    for route in import_module(f"longshore.service.{module}").router.routes
    for method in route.methods
]


@pytest.mark.parametrize(("module", "method", "path"), ROUTES)
def test_each_path_loads_all_modules_that_may_know_it(module, method, path):
    asked = re.sub(r"\{[^}]*\}", "any", path)
    assert module in modules_of(asked)
    others = [
        other
        for other, its, known in ROUTES
        if its == method and (other, known) != (module, path) and _knows(known, asked) and other != module
    ]
    assert others == []  # in which order modules are loaded makes no difference


def _knows(path, asked):
    pattern = re.sub(r"\\\{[^}]*:path\\\}", ".+", re.escape(path))
    return re.fullmatch(re.sub(r"\\\{[^}]*\\\}", "[^/]+", pattern), asked)


@pytest.fixture
def service(tmp_path):
    app, close = mount(read_configuration(state=tmp_path / "state"))
    yield app
    close()


@pytest.mark.filterwarnings("error")
def test_libraries_warn_of_nothing_in_what_a_user_asks(service):
    for _, method, path in ROUTES:
        body = {} if method in ("POST", "PUT", "PATCH") else None
        status, said = asyncio.run(ask(service, method, re.sub(r"\{[^}]*\}", "any", path), body))
        assert status < 500, (method, path, said)


def test_no_module_is_loaded_for_words_that_it_has_no_route_for():
    known = {(module, word) for module, _, path in ROUTES for word in words_of(path)}
    assert {(module, word) for module, words in MODULES.items() for word in words} <= known


def test_routes_that_anybody_may_call_are_not_taken():
    open_to_all = APIRouter()
    open_to_all.add_api_route("/v1/secrets", lambda: [])
    with pytest.raises(RuntimeError, match="anybody may call /v1/secrets"):
        add(FastAPI(), open_to_all)


def test_a_command_that_looks_loads_little(tmp_path):
    run = (
        "import sys; from longshore.cli.app import main; "
        f"code = main(['--state', {str(tmp_path)!r}, 'provider', 'list']); print(*sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    unneeded = {"httpx", "rich", "click", "longshore.service.migrations", "longshore.guests", "oslo_policy", "dbos"}
    assert not unneeded & set(done.stdout.split())


def test_who_looks_for_files_loads_nothing_of_backups_and_restores():
    run = (
        "import sys; from longshore.service.routes import include, modules_of; from fastapi import FastAPI; "
        "include(FastAPI(), modules_of('/v1/vaults/offsite/files/web01')); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "longshore.service.vault_files" in loaded
    assert not {"guestfs", "longshore.service.vaults", "longshore.planning.preflight", "obstore", "boto3"} & loaded
