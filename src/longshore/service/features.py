"""Features of the service, permissions of the caller, and the meaning of the codes in answers."""

from importlib.metadata import version

from fastapi import Request

from longshore.api.features import Catalogue, Features, KindOfConcern, KindOfPhase
from longshore.api.me import Me
from longshore.model.phases import LANDING, MEANINGS, phases_of
from longshore.model.replica import Stage
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.planning.catalogue import catalogue as known
from longshore.providers.declared import LABELS
from longshore.providers.registry import PROVIDERS
from longshore.service.caller import Access
from longshore.service.parts import TheCaller, TheGrounds, TheStore, judged_router
from longshore.service.rules import RULES
from longshore.service.shapes import shaped

router = judged_router("/v1")


@router.get("/features")
def features(request: Request, store: TheStore, caller: TheCaller, grounds: TheGrounds) -> Features:
    """Return what the service does for this caller, and how much their project may have."""
    access: Access | None = request.app.state.access
    own = not caller.remote
    safe = {str(one.kind): sorted({*one.safe, LABELS.name}) for one in PROVIDERS}
    return Features(
        version=version("longshore"),
        playbooks=own,
        gate_commands=own,
        resource_files=request.app.state.local_files,
        provider_from_token=caller.remote and store.state.keystone is not None and not caller.restricted,
        provider_settings=None if own else safe,
        files_directories=None if own else list(grounds.files_directories),
        vault_endpoints=None if own else list(grounds.vault_endpoints),
        quotas=access.quotas.model_dump() if access is not None else None,
    )


@router.get("/me")
def me(request: Request, caller: TheCaller) -> Me:
    """Return who asks, and which rules of the policy allow that caller something."""
    access: Access | None = request.app.state.access
    rules = [rule.name for rule in RULES if access is None or access.policy.allows(rule.name, caller)]
    return Me(user_id=caller.user_id, project_id=caller.project_id, roles=list(caller.roles), rules=rules)


@router.get("/catalogue")
def catalogue() -> Catalogue:
    """List all kinds of concern that there are, by what they are about, all phases and all states."""
    return Catalogue(
        concerns=[shaped(KindOfConcern, kind, about=area) for area, kinds in known().items() for kind in kinds],
        phases=[KindOfPhase(phase=one, meaning=told, lands=one in LANDING) for one, told in MEANINGS.items()],
        courses={kind.value: list(phases_of(kind)) for kind in MigrationType},
        statuses={status.value: status.ended for status in Status},
        stages=[stage.value for stage in Stage],
    )
