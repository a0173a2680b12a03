"""A source's machines, a page at a time out of what was read a while ago; and what a target has to choose from."""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Query, Request

from longshore.api.inventories import MachinePage, TargetOffer
from longshore.flows.clouds import Clouds
from longshore.model.machine import Machine
from longshore.model.search import parse_search
from longshore.service.paging import LIMIT
from longshore.service.parts import TheClouds, TheStore
from longshore.store import ProviderRecord

router = APIRouter(prefix="/v1")
_FRESH = 300.0  # seconds: who plans looks at the same machines again and again
_SOURCES = 8  # whose machines are kept at once


@dataclass(frozen=True, slots=True)
class _Kept:
    machines: list[Machine]  # by folder and name
    read_at: datetime
    until: float  # on the clock that only goes forward


class KeptInventories:
    """Of one application. Those who ask for the same source while it is read wait, and share what is found."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._reading: dict[str, Lock] = {}
        self._lock = Lock()

    def of(self, clouds: Clouds, provider: ProviderRecord, *, anew: bool) -> _Kept:
        """`anew`: whatever is kept, unless it is younger than the question."""
        asked = time.monotonic()
        what = f"{provider.id} {json.dumps(provider.settings, sort_keys=True)}"  # a changed one is another source
        with self._lock:
            reading = self._reading.setdefault(what, Lock())
        with reading:
            with self._lock:
                kept = self._kept.get(what)
            began = kept.until - _FRESH if kept else 0.0
            if kept and (began >= asked or (not anew and asked < kept.until)):
                return kept
            start, read_at = time.monotonic(), datetime.now(UTC)
            with clouds.source(provider.id) as source:
                machines = sorted(source.machines(), key=lambda m: (m.folder.casefold(), m.name.casefold(), m.ref))
            kept = _Kept(machines, read_at, start + _FRESH)
            with self._lock:
                self._kept[what] = kept
                self._kept.move_to_end(what)
                while len(self._kept) > _SOURCES:
                    self._kept.popitem(last=False)
            return kept


@router.get("/providers/{provider}/inventory/machines")
def machine_page(
    provider: str,
    request: Request,
    store: TheStore,
    clouds: TheClouds,
    *,
    q: Annotated[str, Query(description="Words and field:value; all have to fit.")] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 50,
    offset: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
    anew: Annotated[bool, Query(description="Ask the source, whatever is known of it.")] = False,
) -> MachinePage:
    """The machines that fit, by folder and name, as the source had them at `read_at`, five minutes ago at most."""
    fits = parse_search(q)
    record = store.providers.get(provider)
    inventories: KeptInventories = request.app.state.inventories
    kept = inventories.of(clouds, record, anew=anew)
    found = [machine for machine in kept.machines if fits(machine)]
    return MachinePage(
        read_at=kept.read_at, total=len(found), of=len(kept.machines), machines=found[offset : offset + limit]
    )


@router.get("/providers/{provider}/offer")
def offer(provider: str, clouds: TheClouds) -> TargetOffer:
    """What machines that come to this target can be given, and how much room its quota has."""
    with clouds.target(provider) as target:
        return TargetOffer(
            networks=target.networks(),
            volume_types=target.volume_types(),
            flavors=target.flavors(),
            choices=target.choices(),
            quota=target.quota_room(),
        )
