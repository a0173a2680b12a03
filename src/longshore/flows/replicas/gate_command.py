"""The process in which one gate's command runs: `python -m longshore.flows.replicas.gate_command`, see gate.

Reads one line of JSON, the request, from standard input. Says on standard output, in a line of JSON, {"done": true} or
{"error": …}, part of a sentence. What the command says goes to standard error, which is the gate's log.
"""

import json
import subprocess
import sys
from typing import Any

from longshore.processes.deadline import obey
from longshore.processes.parent import die_with_parent


def run(request: dict[str, Any]) -> str | None:
    """Run the command. Return what is wrong, as part of a sentence; None when it has succeeded."""
    command, patience = request["command"], request["patience"]
    told = json.dumps(request["told"]).encode()
    try:
        done = subprocess.run(die_with_parent(*command), input=told, stdout=sys.stderr, check=False, timeout=patience)
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {patience:.0f} s"
    if done.returncode == 127:
        return f"there is no program {command[0]}"
    return f"{command[0]} ended with status {done.returncode}" if done.returncode else None


def main() -> int:
    request = json.loads(sys.stdin.readline())
    obey()
    error = run(request)
    print(json.dumps({"error": error} if error else {"done": True}), flush=True)
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
