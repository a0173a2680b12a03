"""A `longshore worker` in which every step of a machine's migration fails once, each in a run of its own.

    python failing_steps.py STATE_DIRECTORY RECORD ["MACHINE STEP"…]

In each run the first step fails that hasn't failed yet, and those side by side with it. It fails when its work is done,
so that all that it made is there and has to be taken back. Which steps there are is seen as they run: a new one fails
like the others. When none is left, the machine is moved.

With words behind the record, only steps whose machine and name begin like one of these fail.

Steps that ask no cloud are let by: after them all is as after the step before. So are the two ends of a migration, with
which nothing is to be taken back any more. RECORD gets a line for each step that asked a cloud: the machine, the step,
and whether it "failed" or "passed".
"""

import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from dbos import DBOS

from longshore.configuration import read_configuration
from longshore.engine import worker_process
from longshore.flows.clouds import Clouds
from longshore.flows.workflows import FLOWS
from longshore.store import StateDirectory, Store

ENDS = ("roll-back", "hand-over")
_asked: ContextVar[list[str]] = ContextVar("asked")  # the providers that the step at work has asked


def main(state, record, *only):
    store = Store(StateDirectory(state))
    failed = set()  # machine and step
    run_step, opened = DBOS.run_step_async, Clouds._opened

    def fails(job, name):
        if name in ENDS or not _asked.get():
            return False
        machine = store.migrations.get(store.jobs.get(job).record_id).machine_name
        meant = f"{machine} {name}".startswith(only or "")
        turn = meant and (machine, name) not in failed  # once one has failed, none begins but to roll back
        failed.add((machine, name))
        with record.open("a") as file:
            file.write(f"{machine} {name} {'failed' if turn else 'passed'}\n")
        return turn

    async def run(options, work):
        job = DBOS.workflow_id

        async def worked():
            _asked.set([])
            outcome = await work()
            if "error" not in outcome and fails(job, options["name"]):
                return {"error": {"code": "struck", "message": f"{options['name']} was made to fail.", "advice": ""}}
            return outcome

        return await run_step(options, worked)

    @contextmanager
    def noted(clouds, record, side):
        _asked.get([]).append(record.id)
        with opened(clouds, record, side) as cloud:
            yield cloud

    DBOS.run_step_async, Clouds._opened = run, noted
    worker_process.serve(read_configuration(state=str(state)), FLOWS)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
