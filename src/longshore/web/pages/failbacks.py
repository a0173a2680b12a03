"""Ways on after a failover: back to where the machine came from, or protection in the other direction."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.replicas import Replica
from longshore.api.schemas import Provider
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.rendering import render

_ACCEPTED = ("guest-converted",)  # what stands against a failback, and may be taken upon oneself
_SPARE = 3  # lines for networks


async def ask_to_fail_back(request: Request) -> Response:
    return await _way_back(request, Form({}), None)


async def fail_back(request: Request) -> Response:
    said = request.state.form
    body = {"new_machine": said["where"] == "new", "accept": said.all("accept")}
    try:
        await request.state.asking.post(Replica, f"{_path(request)}/failback", body)
    except LongshoreError as error:
        return await _way_back(request, said, error)
    return _back(request)


async def _way_back(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    replica, providers = await _both(request)
    targets = {one.name for one in providers if "target" in one.sides}
    return render(
        request,
        "replicas/failback.html",
        200 if trouble is None else 400,
        r=replica,
        to_openstack=replica.source in targets,
        said=said,
        acceptable=[*said.all("accept"), *([trouble.code] if trouble and trouble.code in _ACCEPTED else [])],
        accepted=said.all("accept"),
        trouble=trouble,
    )


async def ask_to_reprotect(request: Request) -> Response:
    replica, _providers = await _both(request)
    networks = {there: here for here, there in replica.request.networks.items()}
    said = {"target": [replica.source], "n-name": list(networks), "n-to": list(networks.values())}
    return await _reprotected(request, Form(said), None)


async def reprotect(request: Request) -> Response:
    said = request.state.form
    body = {"target": said["target"] or None, "networks": said.pairs("n-name", "n-to")}
    try:
        made = await request.state.asking.post(Replica, f"{_path(request)}/reprotect", body)
    except LongshoreError as error:
        return await _reprotected(request, said, error)
    return RedirectResponse(f"/ui/replicas/{part(made.id)}", 303)


async def _reprotected(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    replica, providers = await _both(request)
    return render(
        request,
        "replicas/reprotect.html",
        200 if trouble is None else 400,
        r=replica,
        said=said,
        targets=[(one.name, one.name) for one in providers if "target" in one.sides and one.name != replica.target],
        networks=[*said.pairs("n-name", "n-to").items(), *[("", "")] * _SPARE],
        **told_of(trouble, ("target",)),
    )


async def _both(request: Request) -> tuple[Replica, list[Provider]]:
    asking: ApiClient = request.state.asking
    return await asyncio.gather(asking.get(Replica, _path(request)), asking.get(list[Provider], "/v1/providers"))


def _back(request: Request) -> RedirectResponse:
    return RedirectResponse(f"/ui/replicas/{part(request.path_params['replica'])}", 303)


def _path(request: Request) -> str:
    return f"/v1/replicas/{part(request.path_params['replica'])}"


ROUTES = [
    Page("/replicas/{replica}/failback", ask_to_fail_back, "GET", "migration:replica:failover"),
    Page("/replicas/{replica}/failback", fail_back, "POST", "migration:replica:failover"),
    Page("/replicas/{replica}/reprotect", ask_to_reprotect, "GET", "migration:replica:create"),
    Page("/replicas/{replica}/reprotect", reprotect, "POST", "migration:replica:create"),
]
