"""The command of a gate between the tiers of a group: an operator's program that says whether the next tier may begin.

It runs where the worker does, as the worker: so only who has the state directory may ask for one, never a caller of a
server. It is told of the tier's machines on its standard input, in JSON, and nothing on its command line. Like every
step it is at-least-once: one whose engine was killed ends with that, and is run again from the start.
"""

from collections.abc import Mapping
from typing import Any

from longshore.errors import HookError
from longshore.flows.moves.context import MoveContext
from longshore.model.group import Tier
from longshore.processes.child import ask

PATIENCE = 900.0  # seconds that a command may take


async def run_command(job: MoveContext, tier: Tier, told: Mapping[str, Any]) -> None:
    """Run the command of a tier's gate. Raise HookError when it doesn't succeed, Cancelled when the run
    is cancelled."""
    job.raise_if_cancelled()
    directory = job.directory()
    log = directory / f"gate-{tier.number}.log"
    request = {"command": list(tier.gate.command), "told": told, "patience": PATIENCE}
    answer, status = await ask("longshore.flows.replicas.gate_command", request, log, job.say)
    if "done" not in answer:
        why = answer.get("error") or f"the process that ran it ended with status {status}"
        raise HookError(f"The gate after tier {tier.number} is closed: {why}.", advice=f"What it said is in {log}.")
    job.say(f"The gate after tier {tier.number} is open: its command has succeeded.")
