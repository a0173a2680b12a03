#!/usr/bin/python3
"""Make the lab's passwords, once a life: $LONGSHORE_LAB/etc/passwords.json (0600), {account: password}."""

import json
import os
import secrets
from pathlib import Path

ACCOUNTS = ("admin", "demo", "rabbit", "keystone", "glance", "placement", "nova", "neutron", "cinder")

path = Path(os.environ["LONGSHORE_LAB"]) / "etc" / "passwords.json"
if not path.exists():
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({account: secrets.token_urlsafe(18) for account in ACCOUNTS}, file, indent=1)
