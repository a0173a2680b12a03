"""Machines are protected by replicas: what they become at the target, by which clock, and what stands against it."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.backups import Vault
from longshore.api.inventories import TargetOffer
from longshore.api.replicas import Replica
from longshore.api.schemas import PlanConcern, Provider
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model import source_names
from longshore.model.concern import Severity
from longshore.model.machine import Machine
from longshore.web.asking import ApiClient
from longshore.web.choices import chosen_machines, flavor_choices, network_choices
from longshore.web.forms import Form, told_of_each
from longshore.web.page import OF_MANY, declare_form
from longshore.web.rendering import render
from longshore.web.things import REPLICA
from longshore.wording.states import of_severity
from longshore.wording.texts import _, marked

_PROPOSED = {"schedule": "every 15m", "retention": "last 24, daily 14", "rpo": "30m"}
PROTECTION = ("schedule", "retention", "rpo", "prove", "audit")
_FIELDS = (*PROTECTION, "seed_vault", "seed_point", "flavor", "landing", "boot_mark")  # where a refusal can stand
LANDINGS = [
    ("auto", marked("Converted, or unchanged where the hardware is the same")),
    ("convert", marked("Converted for the target's hardware")),
    ("as-is", marked("Unchanged, on hardware that it knows: it can go back")),
    ("unchanged", marked("Unchanged, on the target's own hardware")),
]


async def opened(request: Request) -> Form:
    said = {name: request.query_params.getlist(name) for name in ("source", "machine", "target")}
    return Form(said | {name: [value] for name, value in _PROPOSED.items()})


async def create(request: Request, said: Form) -> str | Response:
    """Begin a replica of each machine by itself, or only show what stands against each.

    A machine that can't be protected is told, and stands in no other's way.
    """
    asking: ApiClient = request.state.asking
    refused: dict[str, LongshoreError] = {}
    concerns: dict[str, list[PlanConcern]] = {}
    begun: list[Replica] = []
    points = {machine: said["seed_point"] for machine in said.all("machine")}
    if said["seed_vault"] and not said["seed_point"]:  # a machine's newest backup is found by its name
        try:
            points = {machine.ref: machine.name for machine in await chosen_machines(asking, said["source"], points)}
        except LongshoreError:
            return await _asked(request, said, None)  # the same is asked there, and what is wrong is shown
    for machine in said.all("machine"):
        body = _body(said, machine, points.get(machine, machine))
        try:
            if said["do"] == "start":
                begun.append(await asking.post(Replica, "/v1/replicas", body))
            else:
                concerns[machine] = await asking.post(list[PlanConcern], "/v1/replicas/check", body)
        except LongshoreError as error:
            refused[machine] = error
    if begun and not refused:
        return REPLICA.at(replica=begun[0].id) if len(begun) == 1 else "/ui/replicas"
    return await _asked(request, said, None, refused, concerns, len(begun))


def _body(said: Form, machine: str, point: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "networks": said.pairs("n-name", "n-to"),
        "storage": said.pairs("s-name", "s-to"),
        "landing": said["landing"] or "auto",
        "quiesce": bool(said["quiesce"]),
        "accept": said.all("accept"),
    }
    request |= {name: said[name] for name in ("flavor", "boot_mark") if said[name]}
    protection = {name: said[name] for name in PROTECTION if said[name]}
    seed = {"seed": {"vault": said["seed_vault"], "point": point}} if said["seed_vault"] else {}
    named = {"machine": machine, "source": said["source"], "target": said["target"]}
    return {**named, **protection, **seed, "request": request}


async def _asked(  # noqa: PLR0917
    request: Request,
    said: Form,
    trouble: LongshoreError | None,
    refused: Mapping[str, LongshoreError] = MappingProxyType({}),
    concerns: Mapping[str, list[PlanConcern]] = MappingProxyType({}),
    begun: int = 0,
) -> Response:
    """Return the form for what is chosen.

    Once some of the machines have begun, it asks for those again that were refused.
    """
    asking: ApiClient = request.state.asking
    providers, vaults = await asyncio.gather(
        asking.get(list[Provider], "/v1/providers"), asking.get(list[Vault], "/v1/vaults")
    )
    targets = [one.name for one in providers if "target" in one.sides and one.name != said["source"]]
    target = said["target"] or (targets[0] if len(targets) == 1 else "")
    chosen = list(refused) if begun else said.all("machine")
    machines: list[Machine] = []
    offer = None
    try:
        if chosen and said["source"]:
            machines = await chosen_machines(asking, said["source"], chosen)
        if target:
            offer = await asking.get(TargetOffer, f"/v1/providers/{part(target)}/offer")
    except LongshoreError as error:
        trouble = error
    names = {machine.ref: machine.name for machine in machines}
    # Of several machines each has points of its own: which of them the vault lacks is said by its name
    called = {"seed": "seed_point" if said["seed_point"] else "seed_vault"} if len(said.all("machine")) == 1 else {}
    wrong, left = told_of_each(refused, _FIELDS, called)
    order = list(Severity)
    weighed = [(names.get(ref, ref), concern) for ref, found in concerns.items() for concern in found]
    weighed.sort(key=lambda one: (order.index(one[1].severity), one[1].code))
    blockers = [concern for _name, concern in weighed if concern.severity is Severity.BLOCKER]
    return render(
        request,
        "replicas/new.html",
        400 if refused or trouble else 200,
        said=said,
        chosen=[(ref, names.get(ref, ref)) for ref in chosen],
        sources=[one for one in providers if "vault" not in one.sides],
        vaults=[(one.name, one.name) for one in vaults],
        targets=targets,
        target=target,
        networks=source_names.words_of(source_names.networks_of(machines)),
        storage=source_names.words_of(source_names.storage_of(machines)),
        mapped=said.pairs("n-name", "n-to") | said.pairs("s-name", "s-to"),
        network_choices=network_choices(offer) if offer else None,
        storage_choices=[(name, name) for name in offer.volume_types] if offer else [],
        flavor_choices=flavor_choices(offer) if offer else [],
        landings=[(value, _(text)) for value, text in LANDINGS],
        checked=bool(concerns) and not refused,
        weighed=weighed,
        blocked=bool(blockers),
        acceptable=sorted({one.code for one in blockers if one.acceptable}),
        accepted=said.all("accept"),
        begun=begun,
        refused=[(names.get(ref, ref), error) for ref, error in left.items()],
        wrong=wrong,
        of_severity=of_severity,
        trouble=trouble,
    )


ROUTES = [
    *declare_form("/replicas/new", "migration:replica:create", _asked, create, opened, OF_MANY),
]
