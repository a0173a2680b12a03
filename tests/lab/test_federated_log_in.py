"""Logging in to a server's pages by Keystone's federation, in a real browser.

A second Keystone of the lab is federated. It has the first one's users, projects and keys of tokens, and an identity
provider that asks by HTTP Basic.
"""

import secrets
import subprocess
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from dashboard import PATIENCE
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from lanes import PROJECT
from looking import expect, launched
from people import AUTH_URL, stranger
from served import serving

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(600)]
FEDERATION = PROJECT / "lab" / "federation"
KEYSTONE = "http://127.0.0.1:5005"
SSO = """
[[server.web.sso]]
name = "the lab's provider"
protocol = "mapped"
"""


@pytest.fixture
def project(admin_cloud):
    """Of the group that the provider's users are in."""
    identity, mark = admin_cloud.identity, secrets.token_hex(4)
    with ExitStack() as undone:
        project = identity.create_project(name=f"kims-{mark}", domain_id="default")
        undone.callback(identity.delete_project, project)
        group = identity.create_group(name=f"kims-{mark}", domain_id="default")
        undone.callback(identity.delete_group, group)
        identity.assign_project_role_to_group(project, group, identity.find_role("member"))
        known = {"user": {"name": "{0}"}, "group": {"id": group.id}}
        rules = [{"local": [known], "remote": [{"type": "REMOTE_USER"}]}]
        mapping = identity.create_mapping(id=f"kims-{mark}", rules=rules)
        undone.callback(identity.delete_mapping, mapping)
        domain = identity.create_domain(name=f"kims-{mark}")
        undone.callback(identity.delete_domain, domain)
        undone.callback(identity.update_domain, domain, is_enabled=False)
        provider = identity.create_identity_provider(
            id=f"kims-{mark}", domain_id=domain.id, is_enabled=True, remote_ids=["https://provider.lab"]
        )
        undone.callback(identity.delete_identity_provider, provider)
        protocol = identity.create_federation_protocol(provider, id="mapped", mapping_id=mapping.id)
        undone.callback(identity.delete_federation_protocol, provider, protocol)
        yield project


@pytest.fixture
def served(tmp_path, lab, admin_cloud):
    more = f'public_url = "{KEYSTONE}/v3"\n{SSO}'
    with serving(tmp_path, lab, admin_cloud.identity, more) as served:
        yield served


@pytest.fixture
def password(served):
    """Of kim, at the provider."""
    password = secrets.token_hex(16)
    command = [FEDERATION / "up", f"{served.url}/ui/login/sso"]
    subprocess.run(command, check=True, input=f"{password}\n", text=True)
    yield password
    subprocess.run([FEDERATION / "down"], check=True)


@contextmanager
def site(page):
    """The address of somebody's that shows this page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.9", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.9:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page_of(browser, **how):
    page = browser.new_context(locale="en-GB", **how).new_page()
    page.set_default_timeout(PATIENCE)
    return page


def test_somebody_whom_an_identity_provider_knows_gets_in(served, project, password):
    with launched() as browser:
        page = page_of(browser, http_credentials={"username": "kim", "password": password})
        page.goto(f"{served.url}/ui/plans")
        page.get_by_role("link", name="Log in with the lab's provider").click()
        expect(page.get_by_role("heading", name="Continue as kim?")).to_be_visible()
        page.get_by_role("button", name="Continue", exact=True).click()
        page.wait_for_url(f"{served.url}/ui/plans")
        expect(page.get_by_role("link", name=project.name)).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_text("You have logged out.")).to_be_visible()
        page.goto(f"{served.url}/ui/plans")
        assert "/ui/login?" in page.url


def test_what_keystone_doesnt_send_logs_nobody_in(served, admin_cloud, password):
    """A page of somebody who has a token himself, and has his visitors' browsers bring it."""
    with stranger(admin_cloud.identity) as bob, launched() as browser:
        who = {"username": bob.environment["OS_USERNAME"], "password": bob.environment["OS_PASSWORD"]}
        token = Session(v3.Password(AUTH_URL, user_domain_id="default", unscoped=True, **who)).get_token()
        form = f'<form method="post" action="{served.url}/ui/login/sso"><input name="token" value="{token}"></form>'
        with site(f"{form}<script>document.forms[0].submit()</script>") as address:
            page = page_of(browser)
            page.goto(address)
            expect(page.get_by_text("doesn't come from Keystone: nobody was logged in")).to_be_visible()
            page.goto(f"{served.url}/ui/login/continue")
            assert page.url == f"{served.url}/ui/login"
            page.goto(f"{served.url}/ui/plans")
            assert "/ui/login?" in page.url
    assert token.encode() not in served.logs.read_bytes()
