"""The process in which one playbook runs: `python -m longshore.flows.moves.playbook`, see longshore.flows.moves.hooks.

Reads one line of JSON, the request, from standard input. Says on standard output, in lines of JSON, {"message": …} for
each task, and at the end {"done": true} or {"error": …}, a sentence.
"""

import json
import sys
from pathlib import Path
from shlex import quote
from typing import Any

from longshore.border.documents import ansible_address, ansible_host, ansible_variables
from longshore.processes.deadline import obey

_LAST_WORDS = 400  # characters of Ansible's own output, when no task says what was wrong


class Playbook:
    """One run, and what its tasks tell."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._path = Path(request["playbook"])
        self._directory = Path(request["directory"])
        self._facts = request["facts"]
        self._failed: str | None = None

    def run(self) -> str | None:
        """Run the playbook. Return what went wrong, in a sentence; None when all is well."""
        import ansible_runner

        done = ansible_runner.run(
            private_data_dir=str(self._directory),
            project_dir=str(self._path.parent),
            playbook=str(self._path),
            inventory=self._inventory(),
            cmdline=f"--extra-vars {quote(f'@{self._variables()}')}",
            envvars={"ANSIBLE_LOCALHOST_WARNING": "False", "ANSIBLE_RETRY_FILES_ENABLED": "False"},
            event_handler=self._see,
            quiet=True,
        )
        if done.status == "successful":
            return None
        if done.status == "canceled":
            return f"The playbook {self._path} was stopped."
        return f"The playbook {self._path} failed{self._failed or ': ' + _last_words(done)}"

    def _variables(self) -> Path:
        """Return the file that tells the playbook about its machine. It is used because ansible-runner's own variables
        are templates."""
        path = self._directory / "facts.yml"
        path.touch(mode=0o600)
        path.write_text(ansible_variables({"longshore": self._facts}))
        return path

    def _inventory(self) -> dict[str, Any]:
        """Return the inventory: this host, and in the group `machine` the machine itself, at the first address it is
        known to have."""
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        machine = self._facts["machine"]
        addresses = [a for port in self._facts["ports"] for a in port["addresses"]]
        addresses += [a for nic in machine["nics"] for a in nic["addresses"]]
        address = ansible_address(addresses)
        hosts = {ansible_host(machine["ref"]): {"ansible_host": address}} if address else {}
        return {"all": {"hosts": {"localhost": local}, "children": {"machine": {"hosts": hosts}}}}

    def _see(self, event: dict[str, Any]) -> bool:
        """Note an event of the playbook. Return False: it needn't be kept in a file, since it is all in the output."""
        data = event.get("event_data", {})
        task = data.get("task") or "a task without a name"
        match event.get("event"):
            case "playbook_on_task_start":
                _say({"message": f"Task: {task}"})
            case "runner_on_failed" if not data.get("ignore_errors"):
                self._failed = f' in task "{task}" on {data.get("host")}: {_why(data)}'
            case "runner_on_unreachable":
                self._failed = f' in task "{task}": {data.get("host")} can\'t be reached. {_why(data)}'
        return False


def _why(data: dict[str, Any]) -> str:
    result = data.get("res", {})
    text = str(result.get("msg") or result.get("stderr") or result.get("censored") or "it doesn't say why")
    return " ".join(text.split()).rstrip(".") + "."


def _last_words(done: Any) -> str:
    """Return the last of Ansible's output, for a playbook that never came to a task."""
    lines = [line.strip() for line in done.stdout if line.strip()]
    wrong = [line for line in lines if "ERROR" in line] or lines[-3:]
    return " ".join(wrong)[:_LAST_WORDS] or "it doesn't say why."


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _end_with_all(directory: Path) -> None:
    """End Ansible's processes, too: whoever goes on elsewhere must not have them beside its own."""
    from longshore.flows.moves.hooks import end_leftovers

    end_leftovers(directory)


def main() -> int:
    request = json.loads(sys.stdin.readline())
    obey(lambda: _end_with_all(Path(request["directory"])))
    error = Playbook(request).run()
    _say({"error": error} if error else {"done": True})
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
