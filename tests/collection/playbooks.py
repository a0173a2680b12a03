"""Playbooks of the collection as it is in this clone, run by ansible-playbook."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

COLLECTION = Path(__file__).parents[2] / "collection"
BIN = Path(sys.executable).parent
SECRET = "right-and-secret"


class Playbooks:
    PLAY = ("-i", "localhost,", "-c", "local", "play.yml")

    def __init__(self, place, reached, known, secrets=(SECRET,)):
        self.place, self.reached, self.secrets = place, reached, secrets
        home = place / "home"
        home.mkdir()
        there = place / "collections" / "ansible_collections" / "longshore" / "longshore"
        shutil.copytree(COLLECTION, there)
        self.known = {
            **known,
            "HOME": str(home),
            "ANSIBLE_COLLECTIONS_PATH": str(place / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "PATH": f"{BIN}:{known['PATH']}",
        }

    def ansible(self, command, *words):
        return subprocess.run(
            [str(BIN / command), *words], env=self.known, cwd=self.place, capture_output=True, text=True, timeout=1200
        )

    def run(self, *tasks, words=(), fails=False):
        """Run tasks, and return which of them changed something, with all that was said."""
        return self.run_text(self.written(tasks), words, fails)

    def run_text(self, text, words=(), fails=False):
        """Run a playbook's text, and return the same of it."""
        (self.place / "play.yml").write_text(text)
        done = self.ansible("ansible-playbook", *self.PLAY, *words)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        assert not [secret for secret in self.secrets if secret in done.stdout + done.stderr]
        return re.findall(r"^(changed|ok|fatal): ", done.stdout, re.MULTILINE), done.stdout

    @contextmanager
    def under_way(self, *tasks):
        """Run tasks, yield their process, and kill it with all its children."""
        (self.place / "play.yml").write_text(self.written(tasks))
        command = [str(BIN / "ansible-playbook"), *self.PLAY]
        with (self.place / "killed.log").open("w") as log:
            play = subprocess.Popen(
                command, env=self.known, cwd=self.place, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield play
        finally:
            with suppress(ProcessLookupError):
                os.killpg(play.pid, signal.SIGKILL)
            play.wait(60)

    def written(self, tasks):
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/longshore.longshore.longshore": self.reached},
            "vars": {"ansible_pipelining": True},  # a third of each task's processes
            "tasks": list(tasks),
        }
        return yaml.safe_dump([play])

    def inventory(self, **more):
        """Return what the inventory plugin finds."""
        asked = {"plugin": "longshore.longshore.landed", **self.reached, **more}
        (self.place / "all.longshore.yml").write_text(json.dumps(asked))
        done = self.ansible("ansible-inventory", "-i", "all.longshore.yml", "--list")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout, object_hook=_told_plainly)


def task(module, **said):
    return {"name": module, f"longshore.longshore.{module}": said}


def _told_plainly(value):
    """Return a text that Ansible wouldn't evaluate as the text that it is."""
    return value.get("__ansible_unsafe", value)
