"""Plans changed by pages: only as the page had them, so that nobody overwrites what they haven't seen."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from longshore.errors import ChangedMeanwhile, InvalidInput, LongshoreError
from longshore.wording.texts import _


async def change_plan(request: Request, method: str, path: str, body: Mapping[str, Any], version: str) -> None:
    """Change a plan through the API. `version`: of the plan, as the page had it.

    Raises InvalidInput where the plan is another one by now.
    """
    try:
        await request.state.asking.ask(Any, method, path, body, version=version)
    except LongshoreError as error:
        if error.code != ChangedMeanwhile.code:
            raise
        raise InvalidInput(
            _("The plan was changed meanwhile, in another window or by a command."),
            advice=_("What stands here is how it is now: choose again what is to be otherwise."),
            code="conflict",
        ) from None
