"""A point in a vault becomes a machine, or one of its disks a volume: what stands against that, and its beginning."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.backups import VaultPointDetails
from longshore.api.inventories import TargetOffer
from longshore.api.schemas import Migration, PlanConcern, Provider
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.concern import Severity
from longshore.web.asking import ApiClient
from longshore.web.choices import flavor_choices, network_choices
from longshore.web.forms import Form
from longshore.web.page import declare_form
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.rendering import show_form
from longshore.web.things import MIGRATION, VAULT, VAULT_POINT
from longshore.wording.figures import size
from longshore.wording.states import of_severity
from longshore.wording.texts import _, marked

_GIB = 1 << 30
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


async def opened(request: Request) -> Form:
    return Form({"target": [request.query_params.get("target", "")]})


async def begin(request: Request, said: Form) -> str | Response:
    """Begin a restore or, if only that is wanted, show what stands against it."""
    body = _body(request, said)
    if said["do"] == "start":
        begun = await request.state.asking.post(Migration, "/v1/restores", body)
        return MIGRATION.at(migration=begun.id)
    concerns = await request.state.asking.post(list[PlanConcern], "/v1/restores/check", body)
    return await _shown(request, said, None, concerns)


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
    request: Request, said: Form, trouble: LongshoreError | None, concerns: list[PlanConcern] | None = None
) -> Response:
    asking: ApiClient = request.state.asking
    vault, found, providers = await asyncio.gather(
        VAULT.read(request), VAULT_POINT.read(request), asking.get(list[Provider], "/v1/providers")
    )
    targets = [one.name for one in providers if "target" in one.sides]
    target = said["target"] or (targets[0] if len(targets) == 1 else "")
    offer = None
    if target:
        offer, fault = await asking.tried(TargetOffer, f"/v1/providers/{part(target)}/offer")
        trouble = trouble or fault
    order = list(Severity)
    weighed = sorted(concerns or [], key=lambda one: (order.index(one.severity), one.code))
    labels = {disk["key"]: disk["label"] for disk in found.machine["disks"]}
    blocked = [one for one in weighed if one.severity is Severity.BLOCKER]
    return show_form(
        request,
        "backups/restore.html",
        said,
        trouble,
        _FIELDS,
        vault=vault,
        point=found,
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
    )


def _takes(point: VaultPointDetails, said: Form, offer: TargetOffer) -> list[tuple[str, str, str]]:
    """Return a row for each kind of resource: its name, how much a restore needs and how much there is."""
    known, room = {disk["key"]: int(disk["size"]) for disk in point.machine["disks"]}, offer.quota
    disks = [known.get(key, 0) for key in point.disks]
    rows = []
    if said["disk"]:
        disks = [one for n, one in enumerate(disks, 1) if str(n) == said["disk"]]
    else:
        chosen = [(one.cpus, one.memory_mib) for one in offer.flavors if one.name == said["flavor"]]
        cpus, memory = chosen[0] if chosen else (int(point.machine["cpus"]), int(point.machine["memory_mib"]))
        rows = [
            (_("Servers"), "1", _room(room.instances)),
            (_("CPUs"), str(cpus), _room(room.cores)),
            (_("Memory"), size(memory << 20), _room(room.memory_mib, lambda mib: size(mib << 20))),
        ]
    gib = sum(-(-one // _GIB) for one in disks)
    volumes = (_("Volumes"), str(len(disks)), _room(room.volumes))
    return [*rows, volumes, (_("Size of volumes"), f"{gib} GiB", _room(room.gigabytes, lambda count: f"{count} GiB"))]


def _room(count: int | None, write: Callable[[int], str] = str) -> str:
    return _("no limit") if count is None else write(count)


ROUTES = declare_form(VAULT_POINT.route_of("restore"), "migration:restore:create", _shown, begin, opened)
