"""Checks of plans as pages follow them: what is known soon is shown at once, the rest as it comes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from longshore.api.plan_checks import PlanCheck
from longshore.client.calls import part
from longshore.errors import ChangedMeanwhile, LongshoreError, NotFound
from longshore.web.asking import ApiClient

_WAITED_FOR = 2.0  # seconds: what takes no longer is shown whole
_POLL_AT_FIRST, _POLL = 0.05, 0.5  # seconds


async def follow(asking: ApiClient, plan: str, asked: Mapping[str, Any], begun: str) -> PlanCheck:
    """Return a plan's check when it has ended, or as far as it has come after a moment.

    `plan`: its path; `begun`: the id of an earlier check. A new one is begun where that is empty or can't be continued.
    """
    check = await _earlier(asking, plan, begun) if begun else None
    if check is None:
        check = await asking.post(PlanCheck, f"{plan}/checks", asked)
    now = asyncio.get_running_loop().time
    until, pause = now() + _WAITED_FOR, _POLL_AT_FIRST
    while check.state == "running" and now() < until:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _POLL)
        check = await asking.get(PlanCheck, f"{plan}/checks/{part(check.id)}")
    return check


async def _earlier(asking: ApiClient, plan: str, begun: str) -> PlanCheck | None:
    try:
        found = await asking.get(PlanCheck, f"{plan}/checks/{part(begun)}")
    except LongshoreError as error:
        if error.code != NotFound.code:
            raise
        return None
    return None if found.error is not None and found.error.code == ChangedMeanwhile.code else found


def trouble_of(check: PlanCheck) -> LongshoreError | None:
    """Return the error that has ended a check before its time, or keeps it waiting, if there is one."""
    if check.error is not None:
        return LongshoreError(check.error.message, code=check.error.code)
    return LongshoreError(check.stranded, code="stranded") if check.stranded else None
