"""A Longshore server with something of everything in project red, and the Keystone that it asks: for Horizon's tests,
which run in an environment of their own, without Longshore. Says where both are, as one line of JSON, and serves until
its standard input ends."""

import json
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import structlog
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "flows"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "service"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "web"))

from cloud_stand_in import Cloud
from many import Many, settings_for
from small_fleet import Fleet
from small_keystone import small_keystone

from conftest import connect
from filled import encrypted_vault, fill, limit
from longshore.engine import embedded
from longshore.store import StateDirectory, Store


def main():
    # Nobody reads on after the first line: a full pipe would hold the server
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    patch = pytest.MonkeyPatch()
    patch.setattr(embedded, "ensure_running", lambda _state: None)
    patch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    patch.setattr("longshore.flows.clouds.connect", connect)
    patch.setattr("longshore.service.providers.connect", Cloud)
    with tempfile.TemporaryDirectory() as directory, small_keystone() as keystone:
        fleet = Fleet.create(Path(directory) / "fleet")
        store = Store(
            StateDirectory(Path(directory) / "state", keystone=settings_for(keystone).keystone, secrets="database")
        )
        many = Many(store, keystone)
        for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
            many.of("red").providers.add(name, kind, {"root": str(fleet.root)}, {"password": "x"})
        many.of("blue").providers.add("vc-of-blue", "vsphere", {"root": str(fleet.root)}, {"password": "x"})
        ids = fill(many.of("red"))
        ids |= {"limit": limit(store), "key": encrypted_vault(many.of("red"))}
        settings = uvicorn.Config(many.app, host="127.0.0.1", port=0, log_config=None, access_log=False)
        server, listening = uvicorn.Server(settings), settings.bind_socket()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        keystone.users["wanda"] = ("wanda's secret", {"without": "member"})
        keystone.users["abel"] = ("abel's secret", {"away": "member"})
        keystone.migration = {"red": url, "blue": url, "ops": url, "away": "http://127.0.0.1:9"}
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        print(json.dumps({"keystone": keystone.url, "url": url, "ids": ids}), flush=True)
        sys.stdin.read()
        server.should_exit = True
        thread.join()
        store.close()


if __name__ == "__main__":
    main()
