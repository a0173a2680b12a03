"""A point in a vault becomes a machine, or one of its disks a volume: what stands against that, and its beginning."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import Vault, VaultPointDetails
from longshore.api.inventories import TargetOffer
from longshore.api.schemas import Migration, PlanConcern, Provider
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.concern import Severity
from longshore.web.asking import ApiClient
from longshore.web.choices import flavor_choices, network_choices
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.quota import takes
from longshore.web.rendering import render
from longshore.wording.states import of_severity
from longshore.wording.texts import _, marked

_TYPES = [
    ("cold", marked("Restore it: the server stays")),
    ("in-place", marked("In the place of the server that was backed up: that is shut down, and stays as the way back")),
    ("dry-run", marked("Only try it: the server is booted, looked at and removed")),
]
_NAMED = ("server_name", "flavor", "availability_zone", "key_name", "boot_mark")  # left out where empty
# Where a refusal can stand
_FIELDS = ("disk", "type", "landing", "power", *_NAMED)
_POWERS = [
    ("as-before", marked("As it was when it was backed up")),
    ("on", marked("Left running")),
    ("off", marked("Shut down once it was seen up")),
]


async def ask(request: Request) -> Response:
    return await _shown(request, Form({"target": [request.query_params.get("target", "")]}), None, None)


async def begin(request: Request) -> Response:
    """Begin a restore or, if only that is wanted, show what stands against it."""
    asking, said = request.state.asking, request.state.form
    body = _body(request, said)
    try:
        if said["do"] == "start":
            begun = await asking.post(Migration, "/v1/restores", body)
            return RedirectResponse(f"/ui/migrations/{part(begun.id)}", 303)
        concerns = await asking.post(list[PlanConcern], "/v1/restores/check", body)
    except LongshoreError as error:
        return await _shown(request, said, None, error)
    return await _shown(request, said, concerns, None)


def _body(request: Request, said: Form) -> dict[str, Any]:
    named = request.path_params
    what = {"vault": named["vault"], "point": named["point"], "target": said["target"]}
    if said["disk"]:
        of_volume = {"type": "volume", "storage": said.pairs("s-name", "s-to"), "accept": said.all("accept")}
        return {**what, "disk": said["disk"], "request": of_volume}
    wanted: dict[str, Any] = {
        "type": said["type"] or "cold",
        "networks": {} if said["type"] == "in-place" else said.pairs("n-name", "n-to"),
        "power": said["power"] or "as-before",
        "isolated": bool(said["isolated"]) and said["type"] == "dry-run",
        "storage": said.pairs("s-name", "s-to"),
        "landing": said["landing"] or "auto",
        "accept": said.all("accept"),
    }
    wanted |= {name: said[name] for name in _NAMED if said[name]}
    if groups := said.all("security_groups"):
        wanted["security_groups"] = groups
    return {**what, "request": wanted}


async def _shown(
    request: Request, said: Form, concerns: list[PlanConcern] | None, trouble: LongshoreError | None
) -> Response:
    asking: ApiClient = request.state.asking
    named = request.path_params
    path = f"/v1/vaults/{part(named['vault'])}"
    vault, found, providers = await asyncio.gather(
        asking.get(Vault, path),
        asking.get(VaultPointDetails, f"{path}/points/{part(named['point'])}"),
        asking.get(list[Provider], "/v1/providers"),
    )
    targets = [one.name for one in providers if "target" in one.sides]
    target = said["target"] or (targets[0] if len(targets) == 1 else "")
    offer = None
    if target:
        try:
            offer = await asking.get(TargetOffer, f"/v1/providers/{part(target)}/offer")
        except LongshoreError as error:
            trouble = trouble or error
    order = list(Severity)
    weighed = sorted(concerns or [], key=lambda one: (order.index(one.severity), one.code))
    labels = {disk["key"]: disk["label"] for disk in found.machine["disks"]}
    blocked = [one for one in weighed if one.severity is Severity.BLOCKER]
    return render(
        request,
        "backups/restore.html",
        200 if trouble is None else 400,
        vault=vault,
        point=found,
        said=said,
        targets=targets,
        target=target,
        disks=[(str(number), labels.get(key, key)) for number, key in enumerate(found.disks, 1)],
        networks=sorted({nic["network"] for nic in found.machine["nics"]}),
        storage=sorted({disk["storage"] for disk in found.machine["disks"]}),
        mapped=said.pairs("n-name", "n-to"),
        stored=said.pairs("s-name", "s-to"),
        storage_choices=[(name, name) for name in offer.volume_types] if offer else [],
        choices=offer.choices if offer else None,
        landings=[(value, _(text)) for value, text in LANDINGS],
        network_choices=network_choices(offer) if offer else None,
        flavor_choices=flavor_choices(offer) if offer else None,
        takes=_takes(found, said, offer) if offer else None,
        types=[(value, _(text)) for value, text in _TYPES],
        powers=[(value, _(text)) for value, text in _POWERS],
        checked=concerns is not None,
        concerns=weighed,
        blocked=bool(blocked),
        acceptable=sorted({one.code for one in blocked if one.acceptable}),
        accepted=said.all("accept"),
        of_severity=of_severity,
        **told_of(trouble, _FIELDS),
    )


def _takes(point: VaultPointDetails, said: Form, offer: TargetOffer) -> list[tuple[str, str, str]]:
    known = {disk["key"]: int(disk["size"]) for disk in point.machine["disks"]}
    sizes = [known.get(key, 0) for key in point.disks]
    if said["disk"]:
        return takes(None, [one for n, one in enumerate(sizes, 1) if str(n) == said["disk"]], offer.quota)
    chosen = [(one.cpus, one.memory_mib) for one in offer.flavors if one.name == said["flavor"]]
    shape = chosen[0] if chosen else (int(point.machine["cpus"]), int(point.machine["memory_mib"]))
    return takes(shape, sizes, offer.quota)


ROUTES = [
    Page("/backups/vaults/{vault}/restore/{point:path}", ask, "GET", "migration:restore:create"),
    Page("/backups/vaults/{vault}/restore/{point:path}", begin, "POST", "migration:restore:create"),
]
