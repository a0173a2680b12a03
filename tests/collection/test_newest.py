"""Ansible's own tests of the collection by the newest ansible-core, in which deprecations have become errors."""

import subprocess
from pathlib import Path

import pytest

from packaged import as_root

pytestmark = [*as_root(3600), pytest.mark.soak]


def test_it_passes_by_the_newest_ansible_core():
    subprocess.run([Path(__file__).with_name("ansible_tests"), "--newest"], check=True)
