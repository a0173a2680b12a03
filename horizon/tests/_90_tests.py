# Horizon's settings for the tests: a Keystone that they start, and no style sheets made of others
import os as _os

OPENSTACK_KEYSTONE_URL = _os.environ.get("LONGSHORE_TEST_KEYSTONE", "http://127.0.0.1:9/v3")
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "of the tests"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
COMPRESS_ENABLED = False
COMPRESS_PRECOMPILERS = ()
