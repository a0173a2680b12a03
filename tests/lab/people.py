"""People who use a server in the lab, each with credentials of their own, and the user by whom it asks about tokens."""

import json
import os
import socket
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from conftest import LONGSHORE

OPENSTACK = LONGSHORE.with_name("openstack")
AUTH_URL = "http://127.0.0.1:5000/v3"


@dataclass
class Person:
    """Somebody at a terminal, with credentials of their own. What they read is kept, to be searched for secrets."""

    environment: dict
    read: list = field(default_factory=list)

    def __call__(self, *words, program=OPENSTACK, timeout=300, **environment):
        done = subprocess.run(
            [program, *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**without_cloud(), **self.environment, **environment},
        )
        self.read += [done.stdout, done.stderr]
        return done

    def start(self, *words, shown):
        """Start a command in the background; what it says goes into the file `shown`."""
        with shown.open("wb") as file:
            return subprocess.Popen(
                [OPENSTACK, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**without_cloud(), **self.environment},
            )

    def did(self, *words, **more):
        done = self(*words, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words, **more):
        return json.loads(self.did(*words, "-f", "json", **more))


def without_cloud():
    return {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "LONGSHORE_"))} | {
        name: os.environ[name] for name in ("OS_CLIENT_CONFIG_FILE", "LONGSHORE_LAB") if name in os.environ
    }


@contextmanager
def service_user(identity):
    """Yield its name and password."""
    name, password = f"longshore-{uuid.uuid4().hex[:8]}", f"Service-{uuid.uuid4().hex}"
    user = identity.create_user(name=name, password=password, domain_id="default")
    project = identity.find_project("service")
    for role in ("service", "admin"):
        identity.assign_project_role_to_user(project, user, identity.find_role(role))
    try:
        yield name, password
    finally:
        identity.delete_user(user)


@contextmanager
def member(identity, name, project, role="member"):
    """Yield somebody of their own with that role in a project."""
    password = f"{name.title()}-{uuid.uuid4().hex}"
    user = identity.create_user(name=f"{name}-{uuid.uuid4().hex[:8]}", password=password, domain_id="default")
    identity.assign_project_role_to_user(project, user, identity.find_role(role))
    try:
        yield Person(
            {
                "OS_AUTH_URL": AUTH_URL,
                "OS_USERNAME": user.name,
                "OS_PASSWORD": password,
                "OS_PROJECT_NAME": project.name,
                "OS_USER_DOMAIN_NAME": "Default",
                "OS_PROJECT_DOMAIN_NAME": "Default",
                "OS_REGION_NAME": "RegionOne",
            }
        )
    finally:
        identity.delete_user(user)


@contextmanager
def stranger(identity):
    """Yield a member of a project of their own."""
    project = identity.create_project(name=f"bobs-{uuid.uuid4().hex[:8]}", domain_id="default")
    try:
        with member(identity, "bob", project) as bob:
            yield bob
    finally:
        identity.delete_project(project)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ready(process, url, log: Path):
    """Tell whether the server answers; fails when it has ended."""
    assert process.poll() is None, log.read_text()
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False


def register(config):
    """Register the server in the catalogue, as its administrator would; `unregister` takes it away."""
    words = [LONGSHORE, "--config", config, "server", "register", "--os-cloud", "lab-admin"]
    return subprocess.run(words, capture_output=True, text=True)


def unregister(identity):
    for service in identity.services(type="migration"):
        identity.delete_service(service)


def refused_as_osc(done, words):
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert words in done.stderr
