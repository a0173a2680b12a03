"""A source on the simulated vCenter."""

import pytest

from longshore.providers.vsphere import VsphereSettings, VsphereSource, fetch_fingerprint


@pytest.fixture(scope="session")
def settings(paper):
    return VsphereSettings(paper.host, paper.user, paper.port, fetch_fingerprint(paper.host, paper.port))


@pytest.fixture
def source(paper, settings):
    found = VsphereSource(settings, paper.password)
    yield found
    found.close()
