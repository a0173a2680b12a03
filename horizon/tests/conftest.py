import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def longshore():
    """Yield where a server of Longshore's is, its Keystone, and what is in project red."""
    command = [ROOT / ".venv/bin/python", Path(__file__).with_name("served.py")]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(server.stdout.readline())
    finally:
        server.stdin.close()
        assert server.wait(30) == 0


@pytest.fixture(scope="session")
def horizon_(longshore):
    """Set up as its WSGI file does, with what was copied into it."""
    os.environ["LONGSHORE_TEST_KEYSTONE"] = f"{longshore['keystone']}/v3"
    os.environ["DJANGO_SETTINGS_MODULE"] = "openstack_dashboard.settings"
    import django

    sys.path.insert(0, str(Path(__import__("openstack_dashboard").__file__).parent))  # its settings import `local`
    django.setup()
    from django.test.utils import setup_test_environment

    setup_test_environment()


class Seen(HTMLParser):
    """The content of an answer: text, forms as they stand, links, elements."""

    def __init__(self, answer):
        super().__init__()
        self.status, self.source = answer.status_code, answer.content.decode()
        self.forms, self.links, self.elements, self.text = [], [], [], ""
        self._form = self._select = None
        self.feed(self.source)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.elements.append((tag, of))
        if tag == "a" and of.get("href"):
            self.links.append(of["href"])
        elif tag == "form":
            self._form = {"action": of.get("action"), "method": of.get("method", "get"), "fields": {}}
            self.forms.append(self._form)
        elif self._form is not None and tag == "select":
            self._select = of["name"]
        elif self._form is not None and tag == "option" and self._select:
            if "selected" in of or self._select not in self._form["fields"]:
                self._form["fields"][self._select] = [of["value"]]
        elif self._form is not None and tag == "input" and of.get("name") and _is_sent(of):
            self._form["fields"].setdefault(of["name"], []).append(of.get("value") or "")

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data):
        self.text += data

    def form(self, action):
        (found, *_more) = [form for form in self.forms if form["action"] == action]
        return found


def _is_sent(of):
    return of.get("type") not in ("checkbox", "radio") or "checked" in of


class Person:
    """A person at a browser that keeps cookies and checks nothing; Django looks for its mark of forms."""

    def __init__(self):
        from django.test import Client

        self.client = Client(enforce_csrf_checks=True)

    def get(self, path, **more):
        return Seen(self.client.get(path, follow=True, **more))

    def submit(self, seen, action, **fields):
        """Send a form with what stands in it. Returns the raw answer."""
        return self.client.post(action, {**seen.form(action)["fields"], **fields})

    def logged_in(self, user, project=None):
        page = self.get("/auth/login/")
        form = next(form for form in page.forms if "csrfmiddlewaretoken" in form["fields"])
        said = {**form["fields"], "username": user, "password": f"{user}'s secret"}
        answer = self.client.post("/auth/login/", said)
        assert answer.status_code == 302, answer.content.decode()
        if project:
            self.client.get(f"/auth/switch/id-{project}/")
        return self

    @property
    def token(self):
        return self.client.session["token"].id


@pytest.fixture
def person(horizon_):
    return Person()
