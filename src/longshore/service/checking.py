"""Checks of plans under way, each in a thread of the service: with many machines it takes longer than a request may."""

from collections.abc import Sequence
from threading import BoundedSemaphore, Event, Thread

import structlog

from longshore.api.schemas import PlanStart
from longshore.errors import LongshoreError
from longshore.flows.clouds import Clouds
from longshore.model.plan import Entry
from longshore.service.concerns_shown import shown_concern
from longshore.service.opened_plan import Opened
from longshore.service.plan_start import examine_by_parts
from longshore.service.refusals import body_of
from longshore.store import Store
from longshore.store.plan_checks import DONE, FAILED, SIGN


def start_check(  # noqa: PLR0917
    room: BoundedSemaphore, store: Store, check_id: str, opened: Opened, entries: Sequence[Entry], asked: PlanStart
) -> None:
    """Start a check in a thread. `store`: as the plan's project sees it."""
    work = room, store, check_id, opened, entries, asked
    Thread(target=_run, args=work, name=f"check-{check_id}", daemon=True).start()


def _run(  # noqa: PLR0917
    room: BoundedSemaphore, store: Store, check_id: str, opened: Opened, entries: Sequence[Entry], asked: PlanStart
) -> None:
    ended = Event()
    Thread(target=_sign, args=(store, check_id, ended), name=f"signs-{check_id}", daemon=True).start()
    try:
        with room:
            if _told_all(store, check_id, opened, entries, asked):
                store.plan_checks.end(check_id, DONE)
    except LongshoreError as error:
        store.plan_checks.end(check_id, FAILED, body_of(error))
    except Exception:  # noqa: BLE001 a thread's error is seen by nobody else
        structlog.get_logger().exception("check", check=check_id)
        unforeseen = {"code": "error", "message": "Something happened that Longshore didn't foresee: see its log."}
        store.plan_checks.end(check_id, FAILED, unforeseen)
    finally:
        ended.set()


def _told_all(store: Store, check_id: str, opened: Opened, entries: Sequence[Entry], asked: PlanStart) -> bool:
    """Tell the findings of a check, part by part. Returns False once nobody wants to know any more."""
    done = 0
    for number, part in enumerate(examine_by_parts(store, Clouds(store), opened, entries, asked), start=1):
        done += part.looked_at
        names = {p.machine.ref: p.entry.machine for p in part.prospects}
        told = [shown_concern(c, names.get(c.machine)).model_dump(mode="json") for c in part.concerns]
        if not store.plan_checks.add_part(check_id, number, told, done):
            return False
    return True


def _sign(store: Store, check_id: str, ended: Event) -> None:
    while not ended.wait(SIGN) and store.plan_checks.sign(check_id):
        pass
