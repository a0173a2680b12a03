"""Ways on after a failover: back to where the machine came from, or protection in the other direction."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.replicas import Replica
from longshore.api.schemas import Provider
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.page import declare_form
from longshore.web.rendering import show_form
from longshore.web.things import REPLICA

_ACCEPTED = ("guest-converted",)  # what stands against a failback, and may be taken upon oneself
_SPARE = 3  # lines for networks


async def fail_back(request: Request, said: Form) -> str:
    body = {"new_machine": said["where"] == "new", "accept": said.all("accept")}
    await request.state.asking.post(Replica, f"{REPLICA.path_of(request)}/failback", body)
    return REPLICA.page_of(request)


async def _way_back(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    replica, providers = await _both(request)
    return show_form(
        request,
        "replicas/failback.html",
        said,
        trouble,
        r=replica,
        to_openstack=replica.source in {one.name for one in providers if "target" in one.sides},
        acceptable=[*said.all("accept"), *([trouble.code] if trouble and trouble.code in _ACCEPTED else [])],
        accepted=said.all("accept"),
    )


async def opened(request: Request) -> Form:
    replica = await REPLICA.read(request)
    networks = {there: here for here, there in replica.request.networks.items()}
    return Form({"target": [replica.source], "n-name": list(networks), "n-to": list(networks.values())})


async def reprotect(request: Request, said: Form) -> str:
    body = {"target": said["target"] or None, "networks": said.pairs("n-name", "n-to")}
    made = await request.state.asking.post(Replica, f"{REPLICA.path_of(request)}/reprotect", body)
    return REPLICA.at(replica=made.id)


async def _reprotected(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    replica, providers = await _both(request)
    return show_form(
        request,
        "replicas/reprotect.html",
        said,
        trouble,
        ("target",),
        r=replica,
        targets=[(one.name, one.name) for one in providers if "target" in one.sides and one.name != replica.target],
        networks=[*said.pairs("n-name", "n-to").items(), *[("", "")] * _SPARE],
    )


async def _both(request: Request) -> tuple[Replica, list[Provider]]:
    asking: ApiClient = request.state.asking
    return await asyncio.gather(REPLICA.read(request), asking.get(list[Provider], "/v1/providers"))


ROUTES = [
    *declare_form(REPLICA.route_of("failback"), "migration:replica:failover", _way_back, fail_back),
    *declare_form(REPLICA.route_of("reprotect"), "migration:replica:create", _reprotected, reprotect, opened),
]
