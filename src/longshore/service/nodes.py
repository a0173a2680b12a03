"""The machines that serve together: what their servers say of them, and what is known besides."""

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import structlog

from longshore.api.nodes import Node
from longshore.configuration import ServiceSettings
from longshore.errors import LongshoreError
from longshore.nodes.standing import PRIMARY, NodePlace, certificates_of, database_of, has_address
from longshore.service.parts import TheStore, judged_router
from longshore.service.shapes import shaped
from longshore.store import Store
from longshore.store.nodes import NodeRecord

_EVERY = 10.0  # seconds
_CERTIFICATES_EVERY = 60.0  # seconds

router = judged_router("/v1")
_log = structlog.get_logger("longshore.server")


@router.get("/nodes")
def nodes(store: TheStore) -> list[Node]:
    """List the machines that serve together: who is alive, which release it runs, what its workers have, where the
    database's primary and the virtual address are, since when, and when certificates end."""
    records = store.nodes.all()
    if not records:
        return []
    primary = store.database.redundancy().primary
    workers, jobs = defaultdict[str, set[str]](set), defaultdict[str | None, list[str]](list)
    for lease in store.operation.workers():
        if lease.alive:
            workers[lease.worker.host].add(lease.worker.id)
    for job in store.queue.records():
        jobs[job.worker_id].append(job.record_id)
    return [_shown(one, primary, workers[one.host], jobs) for one in records]


@router.delete("/nodes/{node}", status_code=204)
def remove(node: str, store: TheStore) -> None:
    """Forget a machine that is gone for good. It is listed again as soon as a server of it starts."""
    store.nodes.remove(node)


def _shown(one: NodeRecord, primary: str | None, workers: set[str], jobs: Mapping[str | None, list[str]]) -> Node:
    """Return a machine with its workers. `primary`: the address of the database that answers now."""
    role = one.database if one.alive else None
    if one.address == primary:
        role = PRIMARY
    elif role == PRIMARY and primary is not None:  # it says so, and doesn't know better yet
        role = None
    return shaped(
        Node,
        one,
        since=one.started_at if one.alive else one.heard_at,
        database=role,
        database_since=one.database_since if one.alive and role == one.database else None,
        has_address=one.has_address if one.alive else None,
        address_since=one.address_since if one.alive else None,
        workers=len(workers),
        jobs=sorted(record for worker in workers for record in jobs.get(worker, ())),
        certificate_ends=min(one.certificates.values(), default=None),
    )


def place_of(settings: ServiceSettings) -> NodePlace | None:
    """Return where this machine is among those that serve together, if it is one of them."""
    node = settings.node
    if node is None or settings.certificate is None or settings.private_key is None:
        return None
    own = Path(settings.certificate), Path(settings.private_key)
    return NodePlace(node.name, str(node.address), str(node.virtual), node.authority, *own)


class NodeReporter:
    """Says again and again how this machine stands."""

    def __init__(self, store: Store, place: NodePlace) -> None:
        self._store = store
        self._place = place
        self._started_at = datetime.now(UTC)
        self._certificates: dict[str, datetime] = {}
        self._looked = -_CERTIFICATES_EVERY

    def say(self) -> None:
        """Look at this machine, and keep what is seen. Raises LongshoreError while the database is away."""
        if time.monotonic() >= self._looked + _CERTIFICATES_EVERY:
            self._looked = time.monotonic()
            self._certificates = certificates_of(self._place)
        self._store.nodes.say(
            self._place.name,
            address=self._place.address,
            host=socket.gethostname(),
            version=version("longshore"),
            started_at=self._started_at,
            database=database_of(self._place),
            has_address=has_address(self._place.virtual),
            certificates=self._certificates,
        )

    async def go_on(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.say)
            except (LongshoreError, OSError) as error:
                _log.warning("how this node stands can't be told", reason=type(error).__name__)
            await asyncio.sleep(_EVERY)
