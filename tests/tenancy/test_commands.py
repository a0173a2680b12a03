"""`longshore tenant validate` as scripts use it, and a service that isn't the user's own."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from resource_files import network

from longshore.service import create_app
from longshore.store import StateDirectory, Store

LONGSHORE = Path(sys.executable).parent / "longshore"


def run(tmp_path, *words):
    command = [LONGSHORE, "--state", tmp_path / "state", "tenant", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_validate_answers_scripts(tmp_path, files):
    files.write("networks.yml", network("front"), network("front", mtu="large"))
    done = run(tmp_path, "validate", files.path, "-f", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == [
        {
            "File": "networks.yml",
            "Line": 9,
            "Level": "error",
            "What": 'params.mtu must be a whole number, not "large".',
        }
    ]
    files.write("networks.yml", network("front"))
    done = run(tmp_path, "validate", files.path, "-f", "json")
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (0, "[]", "1 resource of 1 kind: no errors.")
    assert not (tmp_path / "state").exists()


def test_a_missing_directory_is_one_sentence(tmp_path):
    done = run(tmp_path, "validate", tmp_path / "nowhere")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"longshore: There is no directory {tmp_path / 'nowhere'}. `longshore tenant export` makes one."
    )


@pytest.mark.parametrize("what", ["exports", "diffs", "imports"])
def test_a_service_for_others_touches_no_files(tmp_path, what):
    store = Store(StateDirectory(tmp_path / "state"))
    body = {"provider": "cloud", "directory": "/etc"}

    async def ask():
        transport = httpx.ASGITransport(create_app(store))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post(f"/v1/tenancy/{what}", json=body)

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (403, "access-denied")
    assert "doesn't read or write files" in answer.json()["message"]
    store.close()


def test_workers_of_a_shared_database_arent_asked_for_files_that_they_dont_have(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    app = create_app(store, local_files=True)
    store.state = replace(store.state, shared_database="postgresql://somewhere")

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.post("/v1/tenancy/exports", json={"provider": "cloud", "directory": "/etc"})

    answer = asyncio.run(ask())
    assert (answer.status_code, "without database_url" in answer.json()["message"]) == (403, True)
    store.close()
