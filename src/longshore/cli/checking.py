"""Checking a plan: how far that is, and what stands against it as soon as that is known, for a person who waits."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from longshore.cli.counting import PATIENCE, counting
from longshore.cli.retry import retry_while_away
from longshore.errors import LongshoreError

if TYPE_CHECKING:
    from longshore.api.plan_checks import PlanCheck
    from longshore.api.schemas import PlanConcern, PlanStart
    from longshore.client import Client

_POLL_AT_FIRST, _POLL = 0.05, 1.0  # seconds: what is done at once isn't waited for
_SLOWER = 5  # the share of the time until now that is waited


def checked(client: Client, plan: str, asked: PlanStart) -> list[PlanConcern]:
    """Return all that stands against it. Ctrl-C ends the check. Raises LongshoreError when it comes to no end."""
    found: list[PlanConcern] = []
    check = client.begin_check(plan, asked)
    try:
        check = _followed(client, check, found)
    except KeyboardInterrupt:
        client.end_check(check)
        raise
    if (error := check.error) is not None:
        raise LongshoreError(error.message, code=error.code)
    return found


def _followed(client: Client, check: PlanCheck, found: list[PlanConcern]) -> PlanCheck:
    began, told, stranded = time.monotonic(), set[str](), None
    with counting("Checking") as show:
        while True:
            found += check.concerns
            show(check.done, check.total)
            if check.state != "running":
                return check
            took = time.monotonic() - began
            if check.stranded and check.stranded != stranded:
                stranded = check.stranded
                _say(f"No worker can take it yet: {stranded}")
            if took > PATIENCE:
                _say_new(found, told)
            time.sleep(min(max(_POLL_AT_FIRST, took / _SLOWER), _POLL))
            last = check
            check = retry_while_away(lambda: client.go_on_with_check(last), _say)  # noqa: B023 called at once


def _say_new(found: list[PlanConcern], told: set[str]) -> None:
    """Say on a terminal what wasn't `told`: of each code the first. The table at the end has all."""
    for one in found if sys.stderr.isatty() else ():
        if one.code not in told:
            told.add(one.code)
            _say(f"{one.severity.value}: {one.text} ({one.code})")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
