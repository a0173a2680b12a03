"""A simulated vCenter of machines that only its inventory knows, with real SOAP, REST and TLS."""

import sys
import tempfile
from pathlib import Path

import pytest

from longshore.providers.vsphere import VsphereSettings, VsphereSource, fetch_fingerprint

sys.path.insert(0, str(Path(__file__).parents[2] / "lab"))


@pytest.fixture(scope="session")
def paper():
    from vcenter.paper import paper_vcenter

    with tempfile.TemporaryDirectory() as directory, paper_vcenter(Path(directory)) as served:
        yield served


@pytest.fixture(scope="session")
def settings(paper):
    return VsphereSettings(paper.host, paper.user, paper.port, fetch_fingerprint(paper.host, paper.port))


@pytest.fixture
def source(paper, settings):
    found = VsphereSource(settings, paper.password)
    yield found
    found.close()
