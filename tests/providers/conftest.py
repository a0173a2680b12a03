"""A source on the simulated vCenter."""

from contextlib import closing
from dataclasses import replace

import pytest

from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource


@pytest.fixture(scope="session")
def settings(paper):
    return VsphereSettings(paper.host, paper.user, paper.port, fetch_fingerprint(paper.host, paper.port))


@pytest.fixture
def source(paper, settings):
    found = VsphereSource(settings, paper.password)
    yield found
    found.close()


@pytest.fixture
def source_over_ssh(paper, settings):
    """Return a function that makes the source read disks over SSH from this host."""

    def told(host):
        key = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
        keys = (f"{host} ssh-ed25519 {key}",)
        return closing(VsphereSource(replace(settings, transport="ssh", ssh_host_keys=keys), paper.password, "a key"))

    return told


@pytest.fixture
def ssh_source(source_over_ssh):
    with source_over_ssh("esx1.lab") as source:
        yield source
