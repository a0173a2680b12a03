"""Packages ask this of the release that is there, before they put another one in its place:

    python -m longshore.engine.upgrade FLOW_VERSION

Status 3, with a sentence, where jobs that were begun under this release's flow version are under way, and nobody would
be left who goes on with them. A database that doesn't answer, or a configuration that can't be read, is said, and
holds nothing up: the other release may be what mends it.
"""

import socket
import sys
from collections.abc import Sequence

from longshore.configuration import read_configuration
from longshore.engine.stranded import LiveWorkers, labels_that_count
from longshore.engine.version import FLOW_VERSION
from longshore.errors import LongshoreError
from longshore.state import StateDirectory
from longshore.store import QueueRecord, Store, WorkerRecord

_NAMED = 5  # jobs, of as many as there are
_REFUSED = 3  # not 1, by which an interpreter ends that finds no module


def left_alone(store: Store, flow_version: str) -> list[QueueRecord]:
    """Return the jobs that could go on now, and no longer once all workers of this machine are of `flow_version`.

    Workers of other machines stay what they are.
    """
    host, labels = socket.gethostname(), labels_that_count(store)
    everywhere: frozenset[str] = frozenset().union(*labels.values())
    elsewhere = [worker for worker in store.workers.all() if worker.host != host]
    upgraded = LiveWorkers([*elsewhere, WorkerRecord("", host, 0, flow_version, 1, tuple(everywhere))], labels)
    return [
        record
        for record in store.queue.records()
        if record.flow_version == FLOW_VERSION and upgraded.stranded(record) is not None
    ]


def main(flow_version: str) -> int:
    try:
        state = StateDirectory.configured(read_configuration())
        if flow_version == FLOW_VERSION or not state.is_begun:
            return 0
        store = Store(state)
        try:
            jobs = left_alone(store, flow_version)
        finally:
            store.close()
    except LongshoreError as error:
        print(f"longshore: It can't be told whether jobs are under way: {error}", file=sys.stderr)
        return 0
    if jobs:
        print(f"longshore: {_refusal(jobs, flow_version)}", file=sys.stderr)
    return _REFUSED if jobs else 0


def _refusal(jobs: Sequence[QueueRecord], flow_version: str) -> str:
    named = ", ".join(job.record_id for job in jobs[:_NAMED]) + (" …" if jobs[_NAMED:] else "")
    return (
        f"{len(jobs)} job{'s' if jobs[1:] else ''} began under flow version {FLOW_VERSION}, and the release that is to "
        f"be installed goes on with {flow_version} alone: {named}. Let them end, or have taken back what they made "
        "(longshore job cancel …), and install it then."
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
