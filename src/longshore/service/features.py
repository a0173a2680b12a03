"""Features that this service refuses whoever asks, so that nobody is offered what is refused then."""

from importlib.metadata import version

from fastapi import Request

from longshore.api.features import Features
from longshore.providers.declared import LABELS
from longshore.providers.registry import PROVIDERS
from longshore.service.caller import Access
from longshore.service.parts import TheCaller, TheGrounds, TheStore, judged_router

router = judged_router("/v1")


@router.get("/features")
def features(request: Request, store: TheStore, caller: TheCaller, grounds: TheGrounds) -> Features:
    """Return what the service does for this caller, and how much their project may have."""
    access: Access | None = request.app.state.access
    own = not caller.remote
    safe = {str(known.kind): sorted({*known.safe, LABELS.name}) for known in PROVIDERS}
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
