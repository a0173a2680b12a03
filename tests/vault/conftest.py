import os

import pytest


@pytest.fixture(autouse=True)
def nothing_is_waited_for(monkeypatch):
    """Processes die in these tests, the machine's power doesn't go: what fsync would make durable is there anyway."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)
