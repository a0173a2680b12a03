"""Keystone behind what Apache's modules do for it: an identity provider says who the browser's user is."""

import base64
import os
import secrets

from keystone.server.wsgi import initialize_public_application

PROVIDER = "https://provider.lab"
_keystone = initialize_public_application()
_kim = base64.b64encode(f"kim:{os.environ['LAB_PASSWORD']}".encode()).decode()


def application(environ, start_response):
    """Where Keystone's federation begins, a browser is asked who its user is (HTTP Basic)."""
    if "/websso" in environ["PATH_INFO"]:
        said = environ.get("HTTP_AUTHORIZATION", "")
        if not secrets.compare_digest(said, f"Basic {_kim}"):
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="provider.lab"')])
            return [b"Who are you?\n"]
        environ = {**environ, "LAB_IDENTITY_PROVIDER": PROVIDER, "REMOTE_USER": "kim"}
    return _keystone(environ, start_response)
