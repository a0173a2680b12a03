"""What a server listens on, and whom it believes."""

import asyncio
import os
import subprocess
import sys

import httpx
import pytest
from structlog.testing import capture_logs
from tokens import access

from longshore.configuration import read_configuration
from longshore.errors import InvalidInput
from longshore.service import create_app
from longshore.service.server import _listening_as
from longshore.store import StateDirectory, Store

KEYSTONE = '[server.keystone]\nauth_url = "https://cloud:5000/v3"\npassword = "p"\n'


def configured(tmp_path, text):
    (tmp_path / "c.toml").write_text(f"[server]\n{text}\n{KEYSTONE}")
    return read_configuration(tmp_path / "c.toml").server


def test_without_tls_a_server_listens_on_loopback_alone_unless_it_is_told_to(tmp_path):
    for listen in ("127.0.0.1", "::1", "localhost"):
        assert configured(tmp_path, f'listen = "{listen}"').listen == listen
    for listen in ("0.0.0.0", "::", "192.0.2.1", "cloud.example"):
        with pytest.raises(InvalidInput, match=r"in clear: set certificate and private_key"):
            configured(tmp_path, f'listen = "{listen}"')
        assert configured(tmp_path, f'listen = "{listen}"\nplain_http = true').plain_http
        assert configured(tmp_path, f'listen = "{listen}"\ncertificate = "/c.pem"').certificate


@pytest.mark.parametrize(
    ("peer", "sent", "told"),
    [
        ("192.0.2.7", "198.51.100.9", "198.51.100.9"),
        ("192.0.2.7", "203.0.113.1, 198.51.100.9", "198.51.100.9"),  # what was sent to the proxy is anybody's word
        ("198.51.100.1", "203.0.113.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.1", "127.0.0.1"),
    ],
)
def test_the_audit_names_the_address_that_a_trusted_proxy_tells_and_no_other(tmp_path, peer, sent, told):
    settings = configured(tmp_path, 'trusted_proxies = ["192.0.2.0/24"]')
    store = Store(StateDirectory(tmp_path / "state"))
    config = _listening_as(settings, create_app(store, access=access()))
    config.load()

    async def ask():
        transport = httpx.ASGITransport(config.loaded_app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get("/v1/migrations", headers={"X-Forwarded-For": sent})

    with capture_logs() as logs:
        assert asyncio.run(ask()).status_code == 401
    store.close()
    assert [log["address"] for log in logs if log["event"] == "audit"] == [told]


def test_what_is_no_address_is_no_proxy(tmp_path):
    with pytest.raises(InvalidInput, match="trusted_proxies"):
        configured(tmp_path, 'trusted_proxies = ["haproxy"]')


CHILD = """
import subprocess, sys
from pathlib import Path
from longshore.configuration import read_configuration
from longshore.service import server
server._run = lambda *_: subprocess.run(["env"], check=True)  # in place of listening: what a child finds
server.serve(read_configuration(Path(sys.argv[1])), lambda app, *_: app)
"""


@pytest.mark.long
def test_what_a_server_starts_inherits_none_of_its_secrets(tmp_path):
    (tmp_path / "c.toml").write_text(
        f'state = "{tmp_path}"\n[server]\n[server.keystone]\nauth_url = "https://cloud/v3"\n'
    )
    secrets = {
        "LONGSHORE_SERVER__KEYSTONE__PASSWORD": "ks-hunter2",
        "OS_PASSWORD": "os-hunter2",
        "os_application_credential_secret": "app-hunter2",
        "LONGSHORE_SERVER": '{"keystone": {"password": "json-hunter2"}}',
    }
    said = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path / "c.toml"],
        env={**os.environ, **secrets, "LONGSHORE_AT_ONCE": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "LONGSHORE_AT_ONCE=3" in said
    assert "hunter2" not in said
