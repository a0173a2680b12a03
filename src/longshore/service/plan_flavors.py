"""Flavors that are made for a plan: all of them with the plan, or none."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from longshore.errors import LongshoreError
from longshore.flows.clouds import Clouds
from longshore.model.target import Flavor
from longshore.planning.proposal import FlavorGap

_log = logging.getLogger("longshore.service")


@contextmanager
def made_flavors(clouds: Clouds, provider: str, wanted: Sequence[FlavorGap]) -> Iterator[list[Flavor]]:
    """They are gone again when one of them can't be made, or what is done with them fails.

    No migration's ledger has them: they are the plan's, whose migrations share them, and stay with it.
    """
    made: list[Flavor] = []
    try:
        if wanted:
            with clouds.target(provider) as target:
                for gap in wanted:
                    made.append(target.create_flavor(gap.name, gap.cpus, gap.memory_mib))
        yield made
    except BaseException:
        _remove(clouds, provider, made)
        raise


def _remove(clouds: Clouds, provider: str, made: Sequence[Flavor]) -> None:
    for flavor in reversed(made):
        try:
            with clouds.target(provider) as target:
                target.delete_flavor(flavor.id)
        except LongshoreError as error:  # why there is no plan is what the user has to be told
            _log.warning("flavor %s is left at %s: %s", flavor.name, provider, error)
