"""FastAPI dependencies that every route is given: who asks, the store as they see it, and the clouds that it knows.

What is looked up in the database takes a thread. The rest waits for nothing, so it takes none; but for the turn of
those who ask clouds.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from longshore.errors import AccessDenied
from longshore.flows.clouds import Clouds, vault_record
from longshore.providers.grounds import Grounds
from longshore.service.caller import OPEN, Access, Caller, Forbidden
from longshore.service.judged import JudgedRoute, caller_of
from longshore.service.rules import ALL_PROJECTS
from longshore.service.turns import Turns
from longshore.store import BackupPolicyRecord, GroupRecord, ProviderRecord, ReplicaRecord, Store


async def may(request: Request, all_projects: bool = False) -> None:
    """Raise Forbidden when a caller may not see all projects, as they ask to.

    Every route depends on this, which JudgedRoute has let the caller into.
    """
    access: Access | None = request.app.state.access
    if access is None or not all_projects or request.scope["path"] in OPEN:
        return
    if not access.policy.allows(ALL_PROJECTS, caller_of(request)):
        raise Forbidden(
            f"Your roles don't allow to see all projects ({ALL_PROJECTS}).", advice="Leave all_projects out."
        )


def judged_router(prefix: str = "") -> APIRouter:
    """Return a router whose routes each ask first whether the caller may."""
    return APIRouter(prefix=prefix, dependencies=[Depends(may)], route_class=JudgedRoute)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _grounds(request: Request) -> Grounds:
    access: Access | None = request.app.state.access
    return access.grounds if access else Grounds()


async def _store(request: Request, all_projects: bool = False) -> Store:
    store: Store = request.app.state.store
    access: Access | None = request.app.state.access
    if access is None:
        return store
    return store.scoped(caller_of(request).scope(everything=all_projects, quotas=access.quotas))


def store_of_plan(name: str, store: Annotated[Store, Depends(_store)]) -> Store:
    """Return the store as the plan's own project sees it, whoever asks: what a plan names is that project's.

    Raises NotFound.
    """
    if not store.scope.everything:
        return store
    project_id = store.plans.get(name).project_id
    return store.scoped(replace(store.scope, project_id=project_id, everything=False)) if project_id else store


async def _turn(request: Request) -> AsyncIterator[None]:
    """Hold a turn of the caller's project during a request. Raises Busy."""
    if request.app.state.access is None:
        yield
        return
    turns: Turns = request.app.state.turns
    await request.state.end_turn()  # that of the gate: its project's other requests don't wait for a cloud
    async with turns.turn(caller_of(request).project_id):
        yield


# Before the answer is sent: who reads it slowly holds up nobody
Turn = Depends(_turn, scope="function")


async def _clouds(store: Annotated[Store, Depends(_store)], _: Annotated[None, Turn]) -> Clouds:
    return Clouds(store)


async def _clouds_of_plan(store: Annotated[Store, Depends(store_of_plan)], _: Annotated[None, Turn]) -> Clouds:
    return Clouds(store)


def local_files(request: Request, store: Annotated[Store, Depends(_store)]) -> None:
    """Raise AccessDenied where files of this machine aren't the user's, or whoever does the work hasn't got them.

    They are only where the service runs inside the user's own command, and an engine beside it.
    """
    if not request.app.state.local_files:
        raise AccessDenied("This service doesn't read or write files.", advice="Run the command without a server.")
    if store.state.shared_database:
        raise AccessDenied(
            "The work of a shared database is done by workers, which don't have your files.",
            advice="Run the command on a state directory: without database_url.",
        )


def _replica(replica: str, store: Annotated[Store, Depends(_store)]) -> ReplicaRecord:
    return store.replicas.get(replica)


def _group(group: str, store: Annotated[Store, Depends(_store)]) -> GroupRecord:
    return store.groups.get(group)


def _policy(policy: str, store: Annotated[Store, Depends(_store)]) -> BackupPolicyRecord:
    return store.backup_policies.get(policy)


def _vault(vault: str, store: Annotated[Store, Depends(_store)]) -> ProviderRecord:
    return vault_record(store, vault)


# Nothing is kept: what is looked at before anything would be kept is looked at, and refused as it would be
DryRun = Annotated[bool, Query(description="Only answer what it would be afterwards.")]
TheCaller = Annotated[Caller, Depends(_caller)]
TheGrounds = Annotated[Grounds, Depends(_grounds)]
TheStore = Annotated[Store, Depends(_store)]
ThePlansStore = Annotated[Store, Depends(store_of_plan)]
TheClouds = Annotated[Clouds, Depends(_clouds)]
ThePlansClouds = Annotated[Clouds, Depends(_clouds_of_plan)]
# What is named in the path
TheReplica = Annotated[ReplicaRecord, Depends(_replica)]
TheGroup = Annotated[GroupRecord, Depends(_group)]
ThePolicy = Annotated[BackupPolicyRecord, Depends(_policy)]
TheVault = Annotated[ProviderRecord, Depends(_vault)]
