"""What every route is given: who asks, the store as they see it, and the clouds that it knows."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from longshore.flows.clouds import Clouds
from longshore.service.caller import EMBEDDED, Access, Caller, Forbidden, Grounds
from longshore.service.gate import OPEN
from longshore.service.policy import ALL_PROJECTS, rule_of
from longshore.store import Store


def may(request: Request, all_projects: bool = False) -> None:
    """Every route depends on this. Raises Forbidden."""
    access: Access | None = request.app.state.access
    if access is None or request.scope["path"] in OPEN:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    rule = rule_of(request.method, route.path)
    caller = _caller(request)
    if rule is None or not access.policy.allows(rule, caller):
        raise Forbidden(f"Your roles don't allow this ({rule}).", advice="Ask your project's administrator.")
    if all_projects and not access.policy.allows(ALL_PROJECTS, caller):
        raise Forbidden(
            f"Your roles don't allow to see all projects ({ALL_PROJECTS}).", advice="Leave all_projects out."
        )


def _caller(request: Request) -> Caller:
    if request.app.state.access is None:
        return EMBEDDED
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


def _grounds(request: Request) -> Grounds:
    access: Access | None = request.app.state.access
    return access.grounds if access else Grounds()


def _store(request: Request, all_projects: bool = False) -> Store:
    store: Store = request.app.state.store
    access: Access | None = request.app.state.access
    if access is None:
        return store
    return store.scoped(_caller(request).scope(everything=all_projects, quotas=access.quotas))


def _clouds(store: Annotated[Store, Depends(_store)]) -> Clouds:
    return Clouds(store)


TheCaller = Annotated[Caller, Depends(_caller)]
TheGrounds = Annotated[Grounds, Depends(_grounds)]
TheStore = Annotated[Store, Depends(_store)]
TheClouds = Annotated[Clouds, Depends(_clouds)]
