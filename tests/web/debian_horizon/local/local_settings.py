"""Horizon's settings for the tests, in the place of those of this machine: a Keystone that they start, and the style
sheets that Debian's package has made."""

import os
from pathlib import Path

import longshore_dashboard

OPENSTACK_KEYSTONE_URL = os.environ["LONGSHORE_TEST_KEYSTONE"]
ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = "of the tests"
STATIC_ROOT = "/var/lib/openstack-dashboard/static"
COMPRESS_OFFLINE = True
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
POLICY_FILES = {"migration": "longshore_policy.yaml"}
DEFAULT_POLICY_FILES = {"migration": str(Path(longshore_dashboard.__file__).parent / "policy" / "migration.yaml")}
