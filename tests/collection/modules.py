"""Modules of the collection as they are in this clone, each run in this process with the options that a task gives it.

A playbook takes one to two seconds of a processor for each task more than that. What it does besides is seen where one
is run (playbooks), and by the collection's own integration tests.
"""

import contextlib
import importlib
import io
import json
import subprocess
import sys
from types import ModuleType, SimpleNamespace

from ansible.module_utils.testing import patch_module_args
from playbooks import COLLECTION, SECRET

OURS = "longshore.longshore."

for name, at in (("", []), (".longshore", []), (".longshore.longshore", [str(COLLECTION)])):
    package = ModuleType(f"ansible_collections{name}")
    package.__path__ = at
    sys.modules.setdefault(package.__name__, package)


class Modules:
    """Modules that share one `longshore api`, run as `command` in `environment`. A context manager, which ends it."""

    def __init__(self, place, command, environment):
        self.place, self.known = place, environment
        self._reached = {"state_dir": environment["LONGSHORE_STATE"], "command": str(command)}
        self._api = None

    def __enter__(self):
        self._client = _load("module_utils.client")
        self._client.subprocess = SimpleNamespace(PIPE=subprocess.PIPE, Popen=self._popen)
        return self

    def __exit__(self, *_):
        self._client.subprocess = subprocess
        if self._api is not None:
            with self._api:
                self._api.stdin.close()

    def ask(self, method, path, body=None):
        """Ask Longshore as the modules do."""
        return self._client.api({**dict.fromkeys(("url", "cloud")), **self._reached}, None)(method, path, body)

    def run(self, *tasks, check=False):
        """Run tasks, each whatever became of the one before it. Return what a playbook would tell of each (changed, ok
        or fatal), and what each has answered."""
        answers = [self._ran(task, check) for task in tasks]
        return [_told(answer) for answer in answers], answers

    def _ran(self, task, check):
        name, said = next((name.removeprefix(OURS), said) for name, said in task.items() if name.startswith(OURS))
        module, written = _load(f"modules.{name}"), io.StringIO()
        with (
            patch_module_args({**self._reached, **said, "_ansible_check_mode": check, "_ansible_diff": True}),
            contextlib.redirect_stdout(written),
            contextlib.suppress(SystemExit),
        ):
            module.main()
        assert SECRET not in written.getvalue()
        return json.loads(written.getvalue())

    def _popen(self, words, **how):
        if self._api is None:
            self._api = subprocess.Popen(words, **{**how, "env": self.known})
        return self._api


def _load(name):
    return importlib.import_module(f"ansible_collections.longshore.longshore.plugins.{name}")


def _told(answer):
    return "fatal" if answer.get("failed") else "changed" if answer["changed"] else "ok"
