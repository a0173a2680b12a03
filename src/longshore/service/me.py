"""Permissions of the caller, so that nobody is offered what they are then refused."""

from fastapi import Request

from longshore.api.me import Me
from longshore.service.caller import Access
from longshore.service.parts import TheCaller, judged_router
from longshore.service.rules import RULES

router = judged_router("/v1")


@router.get("/me")
def me(request: Request, caller: TheCaller) -> Me:
    """Return who asks, and which rules of the policy allow that caller something."""
    access: Access | None = request.app.state.access
    rules = [rule.name for rule in RULES if access is None or access.policy.allows(rule.name, caller)]
    return Me(user_id=caller.user_id, project_id=caller.project_id, roles=list(caller.roles), rules=rules)
