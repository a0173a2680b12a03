"""The way from chosen machines to a plan that can be started: named, mapped, checked.

What was typed on the first page stands in its address; from the second one on there is a draft, which is the plan that
commands see, too. So nothing is lost by a reload or by going back, and nothing has to be cleared away that never became
serious.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.inventories import MachinePage, TargetOffer
from longshore.api.schemas import FoundMachine, PlanAnswer, PlanSummary, PlanView, Provider
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.model import source_names
from longshore.model.machine import VOLUME, Machine, PowerState
from longshore.model.merging import merged
from longshore.model.request import BootProof, MigrationRequest
from longshore.model.source_names import NamedPlace
from longshore.web.asking import ApiClient
from longshore.web.choices import chosen_machines, flavor_choices, network_choices
from longshore.web.forms import Form, told_of, whole
from longshore.web.page import OF_MANY, Page, declare_form
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.pages.plan_files import POWERS
from longshore.web.pages.plans import change_plan, shown_concerns, types_from, types_of
from longshore.web.rendering import render, show_form
from longshore.web.things import PLAN
from longshore.wording.texts import _

_AT_ONCE = 1000  # machines that are asked for
_MOST = 10_000
_NAMED = 20  # of the chosen ones
_SAID = ("name", "description", "target", "type")  # what the first page asks
_OF_DRAFT = "draft"  # its machines are those of the draft


async def new(request: Request) -> Response:
    """Show the first page of a new plan, which has a draft from the first moment on.

    So whoever comes back, or loads the page again, finds what was said.
    """
    asking, asked = request.state.asking, request.query_params
    if not asked.get("draft"):
        return RedirectResponse(f"/ui/new-plan?{urlencode([*asked.multi_items(), ('draft', str(uuid4()))])}", 303)
    fields = {name: asked.getlist(name) for name in (*_SAID, "source", "which", "machine", "volume", "q", "draft")}
    before = await _draft(asking, asked["draft"])
    if before is not None and "name" not in asked:
        fields |= {name: [str(before.plan.get(name, ""))] for name in ("name", "description", "target")}
        fields["type"] = [(before.plan.get("defaults") or {}).get("type", "")]
    if before is not None and "source" not in asked:
        fields |= {"source": [before.plan["source"]], "which": [_OF_DRAFT]}
    return await _named(request, Form(fields), None)


async def create(request: Request, said: Form) -> str:
    """Propose a plan and keep it as a draft; what it could not decide is for the next page."""
    asking: ApiClient = request.state.asking
    machines, volumes = await _chosen(asking, said)
    body = {
        **{name: said[name] for name in ("name", "source", "target", "description")},
        "machines": machines,
        "volumes": volumes,
        "defaults": {"type": said["type"]} if said["type"] else {},
        "draft": said["draft"] or str(uuid4()),
    }
    answer = await asking.post(PlanAnswer, "/v1/plans", body)
    return f"{PLAN.at(name=answer.plan['name'])}/mappings"


async def _named(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    providers = await asking.get(list[Provider], "/v1/providers")
    chosen = said.all("machine") if said["which"] not in ("all", _OF_DRAFT) else []
    count, names = await _counted(asking, said)
    return show_form(
        request,
        "wizard/new.html",
        said,
        trouble,
        _SAID,
        chosen=chosen,
        volumes=said.all("volume"),
        count=count,
        names=names,
        targets=[(p.name, p.name) for p in providers if "target" in p.sides],
        types=types_of(providers, said["source"]),
    )


async def _counted(asking: ApiClient, said: Form) -> tuple[int, list[str]]:
    """Return how many machines and volumes are chosen, and the names of the first of them."""
    if said["which"] == "all" and said["source"]:
        path = f"/v1/providers/{part(said['source'])}/inventory/machines"
        page = await asking.get(MachinePage, path, q=said["q"], limit=_NAMED)
        return page.total, [machine.name for machine in page.machines]
    if said["which"] == _OF_DRAFT:
        before = await _draft(asking, said["draft"])
        plan = before.plan if before is not None else {}
        said_of = [one["machine"] for one in plan.get("machines", ())] + [
            one["volume"] for one in plan.get("volumes", ())
        ]
        return len(said_of), said_of[:_NAMED]
    machines, volumes = said.all("machine"), said.all("volume")
    names: list[str] = []
    with suppress(LongshoreError):  # their source may be away: their number is known all the same
        names += [machine.name for machine in await chosen_machines(asking, said["source"], machines[:_NAMED])]
        if volumes and said["source"]:
            found = await asking.get(list[Machine], f"/v1/providers/{part(said['source'])}/volumes")
            names += [one.name for one in found if one.disks[0].key in volumes]
    return len(machines) + len(volumes), names[:_NAMED]


async def _draft(asking: ApiClient, word: str) -> PlanView | None:
    """Return the draft of this word as it was proposed last, if it was."""
    found = await asking.get(list[PlanSummary], "/v1/plans", draft=word)
    return await asking.get(PlanView, f"/v1/plans/{part(found[0].id)}") if found else None


async def _chosen(asking: ApiClient, said: Form) -> tuple[list[str], list[str]]:
    """Return references of the chosen machines, and volumes.

    Raises InvalidInput when there are none, or more than a plan has.
    """
    volumes = said.all("volume")
    if said["which"] == _OF_DRAFT:
        before = await _draft(asking, said["draft"])
        plan = before.plan if before is not None else {}
        found = [entry.get("ref") or entry["machine"] for entry in plan.get("machines", ())]
        volumes = [entry.get("ref") or entry["volume"] for entry in plan.get("volumes", ())]
    elif said["which"] != "all":
        found = said.all("machine")
    else:
        found = []
        path = f"/v1/providers/{part(said['source'])}/inventory/machines"
        while True:
            page = await asking.get(MachinePage, path, q=said["q"], limit=_AT_ONCE, offset=len(found))
            if page.total > _MOST:
                raise InvalidInput(f"{page.total} machines fit; a plan of more than {_MOST} can't be made here.")
            found += [machine.ref for machine in page.machines]
            if len(page.machines) < _AT_ONCE:
                break
    if not found and not volumes:
        raise InvalidInput("No machine is chosen.", advice="Go back and choose some.")
    return found, volumes


async def mappings(request: Request) -> Response:
    return await _mapped(request, None)


async def _mapped(request: Request, trouble: LongshoreError | None, said: Form | None = None) -> Response:
    """Show the form as the plan has it, or with what was `said` where that was refused."""
    asking: ApiClient = request.state.asking
    view = await PLAN.read(request)
    plan = merged(view.plan, _choices(view.plan, said)) if said else view.plan
    defaults = plan.get("defaults") or {}
    offer, rows = None, None
    try:
        offer = await asking.get(TargetOffer, f"/v1/providers/{part(plan['target'])}/offer")
        found = await asking.get(list[FoundMachine], f"{PLAN.path_of(request)}/machines")
        rows = _Rows([one for one in found if one.machine is not None], plan, offer)
    except LongshoreError as error:
        trouble = trouble or error
    return render(
        request,
        "wizard/mappings.html",
        200 if trouble is None else 400,
        name=plan["name"],
        plan=plan,
        offer=offer,
        rows=rows,
        types=await types_from(asking, plan["source"]),
        type_=plan.get("defaults", {}).get("type") or "cold",
        landings=[(value, _(text)) for value, text in LANDINGS],
        defaults=defaultdict(str, defaults),
        proof="" if defaults.get("boot_proof") == BootProof.AUTO.value else defaults.get("boot_proof", ""),
        ports=said["boot_port"] if said else _ports_said(defaults.get("boot_port")),
        powers=[(value, _(text)) for value, text in POWERS],
        patience=defaults.get("boot_timeout", MigrationRequest().boot_timeout),
        version=view.version,
        draft=view.draft,
        **told_of(trouble, ("type", "landing", "boot_mark", "boot_port", "power")),
    )


class _Rows:
    """Rows of the form: each thing that is used at the source, with how many machines use it, and what it becomes."""

    def __init__(self, found: Sequence[FoundMachine], plan: Mapping[str, Any], offer: TargetOffer) -> None:
        machines = [one.machine for one in found if one.machine is not None]
        servers = [one.machine for one in found if one.machine is not None and not one.entry.startswith(VOLUME)]
        mapped: Mapping[str, Any] = plan.get("mappings") or {}
        to_network, to_storage = mapped.get("networks") or {}, mapped.get("storage") or {}
        networks = _users(to_network, [source_names.networks_of([m]) for m in machines])
        storage = _users(to_storage, [source_names.storage_of([m]) for m in machines])
        self.network_choices = network_choices(offer)
        ids = {n.id: value for n, (value, _said) in zip(offer.networks, self.network_choices, strict=True)}
        self.off = [machine.name for machine in servers if machine.power is PowerState.OFF]
        self.networks = [
            (name, count, ids.get(value := to_network.get(name, ""), value)) for name, count in sorted(networks.items())
        ]
        self.storage_choices = [(name, name) for name in offer.volume_types]
        self.storage = [(name, count, to_storage.get(name, "")) for name, count in sorted(storage.items())]
        self.flavor_choices = flavor_choices(offer)
        rules = mapped.get("flavors") or []
        sizes = Counter((m.memory_mib, m.cpus) for m in servers)
        self.sizes = [
            (cpus, memory, count, _flavor_of(rules, cpus, memory)) for (memory, cpus), count in sorted(sizes.items())
        ]


def _users(mapped: Mapping[str, str], used: Sequence[Sequence[NamedPlace]]) -> Counter[str]:
    """Count the machines by the words that their networks, or their storage, are mapped by or would be."""
    places = list(dict.fromkeys(place for some in used for place in some))
    return Counter(word for some in used for word in {source_names.shown(mapped, place, places) for place in some})


def _flavor_of(rules: Sequence[Mapping[str, Any]], cpus: int, memory: int) -> str:
    """Return the flavor of the rule that is for exactly this size (`memory` in MiB); empty without one."""
    return next((r["flavor"] for r in rules if (r.get("cpus"), r.get("memory_mib")) == (cpus, memory)), "")


async def save(request: Request) -> Response:
    """Keep what was chosen; where only the concerns are wanted (by htmx), they are the answer."""
    said: Form = request.state.form
    trouble: LongshoreError | None = None
    try:
        view = await PLAN.read(request)
        patch = _choices(view.plan, said)
        patch["defaults"]["boot_port"] = _ports(said["boot_port"]) or None
        # This page keeps each choice as it is made: whoever is quicker than the answer has changed nothing else
        by_itself = "HX-Request" in request.headers or _bare(merged(view.plan, patch)) == _bare(view.plan)
        await change_plan(
            request, "PATCH", PLAN.path_of(request), patch, view.version if by_itself else said["version"]
        )
    except LongshoreError as error:
        trouble = error
    if "HX-Request" in request.headers:
        answer = await shown_concerns(request, trouble, said["type"])
        answer.status_code = 200  # else htmx leaves the old ones standing
        return answer
    if trouble is not None:
        return await _mapped(request, trouble, said)
    return RedirectResponse(PLAN.address_of("concerns", request), 303)


def _choices(plan: Mapping[str, Any], said: Form) -> dict[str, Any]:
    """Return the changes to the plan that the form's choices make, but for the ports, which are typed.

    What this page doesn't show stays as it was.
    """
    before: Mapping[str, Any] = plan.get("mappings") or {}
    mapped: dict[str, Any] = {
        what: {
            name: value or None
            for name, value in zip(said.all(f"{what[0]}-name"), said.all(f"{what[0]}-to"), strict=False)
        }
        for what in ("networks", "storage")
    }
    was = before.get("networks") or {}
    moved = {name for name, value in mapped["networks"].items() if value != was.get(name)}
    mapped["subnets"] = dict.fromkeys(moved & set(before.get("subnets") or ()))
    sizes = {_size(text) for text in said.all("f-name")}
    rules = [r for r in before.get("flavors") or [] if (r.get("cpus"), r.get("memory_mib")) not in sizes]
    of_sizes = [
        {"flavor": flavor, "cpus": cpus, "memory_mib": memory}
        for (cpus, memory), flavor in zip(map(_size, said.all("f-name")), said.all("f-to"), strict=False)
        if flavor
    ]
    # Rules for single machines go first; of sizes the smaller, as the first that fits counts
    of_sizes.sort(key=lambda rule: (rule["memory_mib"], rule["cpus"]))
    mapped["flavors"] = [
        *(r for r in rules if r.get("machine")),
        *of_sizes,
        *(r for r in rules if not r.get("machine")),
    ]
    chosen = {name: said[name] or None for name in ("type", "landing", "boot_mark", "boot_proof", "power")}
    return {"mappings": mapped, "defaults": chosen}


def _bare(said: Any) -> Any:
    """Return a value without its empty parts, which may be written or left out."""
    if isinstance(said, Mapping):
        return {name: bare for name, value in said.items() if (bare := _bare(value)) not in (None, "", {}, [])}
    return [_bare(one) for one in said] if isinstance(said, list) else said


def _ports_said(ports: Any) -> str:
    """Return a plan's ports, which are one or a list, as they stand in the field."""
    return ", ".join(map(str, ports if isinstance(ports, list) else [] if ports is None else [ports]))


def _ports(text: str) -> list[int]:
    words = text.replace(",", " ").split()
    for word in words:
        if not 0 < (whole(word) or 0) < 1 << 16:
            raise InvalidInput(_("%(word)s isn't the number of a port.") % {"word": word}, field="boot_port")
    return [int(word) for word in words]


def _size(text: str) -> tuple[int, int]:
    before, _x, behind = text.partition("x")
    cpus, memory = whole(before), whole(behind)
    if cpus is None or memory is None:
        raise InvalidInput("That is no size of a machine.")
    return cpus, memory


_MAKES = "migration:plan:create"
ROUTES = [
    Page("/new-plan", new, "GET", _MAKES),
    declare_form("/new-plan", _MAKES, _named, create, largest=OF_MANY)[1],
    Page(PLAN.route_of("mappings"), mappings, "GET", _MAKES),
    Page(PLAN.route_of("mappings"), save, "POST", _MAKES, OF_MANY),
]
