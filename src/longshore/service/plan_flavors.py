"""Flavors that are made for a plan: all of them with the plan, or none."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from longshore.errors import AccessDenied, Conflict, LongshoreError
from longshore.flows.clouds import Clouds
from longshore.model.target import Flavor
from longshore.planning.proposal import FlavorGap
from longshore.store import PlanFlavor, Store

_log = logging.getLogger("longshore.service")


@contextmanager
def made_flavors(
    store: Store, clouds: Clouds, provider_id: str, plan_id: str, wanted: Sequence[FlavorGap]
) -> Iterator[list[Flavor]]:
    """Make flavors for a plan, and hold them during the block.

    They are gone again when one of them can't be made, or what is done with them fails. If one of them can't be removed
    the error says so, and it is tried again when the next plan is made with flavors.
    """
    try:
        made = []
        if wanted:
            with clouds.target(provider_id) as target:
                for gap in wanted:
                    entry = store.plan_flavors.intend(plan_id, provider_id, gap.name)
                    try:
                        flavor = target.create_flavor(gap.name, gap.cpus, gap.memory_mib, entry.id)
                    except (AccessDenied, Conflict):  # there is none, and who may make none may remove none
                        store.plan_flavors.gone(entry)
                        raise
                    if flavor.id != entry.id:  # one of its name was there: it isn't ours to remove
                        store.plan_flavors.gone(entry)
                    made.append(flavor)
        yield made
    except LongshoreError as error:
        left = _removed_but_for(store, clouds, plan_id)
        if not left:
            raise
        names = ", ".join(flavor.name for flavor in left)
        text = f"{error.message} Made for the plan and not removed again: flavor {names}."
        raise type(error)(text, advice=error.advice, code=error.code) from None
    except BaseException:
        _removed_but_for(store, clouds, plan_id)
        raise


def remove_abandoned(store: Store, clouds: Clouds) -> None:
    """Remove flavors that are left of plans that never came to be, where the provider is the caller's own.

    One that can't be removed is logged.
    """
    for flavor in store.plan_flavors.abandoned():
        try:
            store.providers.own(flavor.provider_id)
            _remove(store, clouds, flavor)
        except LongshoreError as error:
            _log.warning("flavor %s of a plan that was never made is left: %s", flavor.name, error)


def _removed_but_for(store: Store, clouds: Clouds, plan_id: str) -> list[PlanFlavor]:
    """Remove the flavors of a plan that isn't to be, and return those that are left.

    Nothing is raised: the user has to be told why there is no plan.
    """
    left = []
    for flavor in reversed(store.plan_flavors.of_plan(plan_id)):
        try:
            _remove(store, clouds, flavor)
        except LongshoreError as error:
            _log.warning("flavor %s is left: %s", flavor.name, error)
            left.append(flavor)
    return left


def _remove(store: Store, clouds: Clouds, flavor: PlanFlavor) -> None:
    with clouds.target(flavor.provider_id) as target:
        target.delete_flavor(flavor.id)
    store.plan_flavors.gone(flavor)
