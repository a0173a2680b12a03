"""The REST API of one person, asked as commands ask it, while no engine is at work."""

from contextlib import contextmanager

from fastapi.testclient import TestClient

from longshore.service.app import create_app


@contextmanager
def asking(store, monkeypatch):
    monkeypatch.setattr("longshore.engine.embedded.ensure_running", lambda _state: None)
    with TestClient(create_app(store, local_files=True), raise_server_exceptions=False) as client:
        yield lambda method, path, body=None: client.request(method, path, json=body)
