"""Groups of replicas: made and changed."""

import asyncio
import shlex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.groups import Group
from longshore.api.replicas import Replica
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.group import MOST_TIERS
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, refused_at, whole
from longshore.web.page import OF_MANY, declare_form
from longshore.web.pages.groups import CHANGES
from longshore.web.rendering import render
from longshore.web.things import GROUP
from longshore.wording.states import of_replica
from longshore.wording.texts import _


async def create(request: Request, said: Form) -> str:
    body = {"name": said["name"], "members": _tiers(said), "gates": _gates(said, None)}
    return GROUP.at(group=(await request.state.asking.post(Group, "/v1/replica-groups", body)).name)


async def show_change(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    return await _asked(request, said, trouble, await GROUP.read(request))


async def opened(request: Request) -> Form:
    found = await GROUP.read(request)
    pauses = [f"{tier}={gate.pause:.0f}s" for tier, gate in sorted(found.gates.items()) if gate.pause]
    commands = [f"{tier}={shlex.join(gate.command)}" for tier, gate in sorted(found.gates.items()) if gate.command]
    said = {f"tier-{member.replica}": [str(member.tier)] for member in found.members}
    return Form(said | {"pauses": ["\n".join(pauses)], "commands": ["\n".join(commands)]})


async def change(request: Request, said: Form) -> str:
    """Change a group as the form says.

    Machines that it hasn't shown, such as one that has joined meanwhile, stay as they are.
    """
    found = await GROUP.read(request)
    shown = {name.removeprefix("tier-") for name in said.fields if name.startswith("tier-")}
    gates = _gates(said, found)
    body = {
        "members": dict.fromkeys(shown & {one.replica for one in found.members}) | _tiers(said),
        "gates": dict.fromkeys(found.gates) | gates,
    }
    await request.state.asking.ask(Group, "PATCH", GROUP.path_of(request), body)
    return GROUP.page_of(request)


def _tiers(said: Form) -> dict[str, int]:
    """Return the tiers of the form by replica. Raises InvalidInput."""
    found = {}
    for replica, text in said.below("tier-").items():
        if (number := _tier(text)) is None:
            line = _('"%(text)s" isn\'t the number of a tier: it is 0 to %(most)s.')
            raise InvalidInput(line % {"text": text, "most": MOST_TIERS}, field="members")
        found[replica] = number
    if not found:
        raise InvalidInput(_("A group needs a machine: give one the number of its tier."), field="members")
    return found


def _gates(said: Form, changed: Group | None) -> dict[int, dict[str, Any]]:
    """Return the gates of the form by tier. Raises InvalidInput."""
    pauses = _lines(said, "pauses")
    if "commands" in said.fields:
        commands = {tier: _words(text) for tier, text in _lines(said, "commands").items()}
    else:  # a server's pages don't ask for them
        there = changed.gates if changed else {}
        commands = {tier: gate.command for tier, gate in there.items() if gate.command}
    return {tier: {"pause": pauses.get(tier), "command": commands.get(tier, [])} for tier in {**pauses, **commands}}


def _lines(said: Form, field: str) -> dict[int, str]:
    """Return the texts by tier of lines that each say TIER=TEXT. Raises InvalidInput."""
    found: dict[int, str] = {}
    for line in filter(None, map(str.strip, said[field].split("\n"))):
        number, _equals, rest = line.partition("=")
        tier = _tier(number.strip())
        if tier is None or tier in found or not rest.strip():
            text = _('"%(line)s" isn\'t the number of a tier, =, and what is after it; each tier once.')
            raise InvalidInput(text % {"line": line}, field=field)
        found[tier] = rest.strip()
    return found


def _tier(text: str) -> int | None:
    number = whole(text)
    return None if number is None or number > MOST_TIERS else number


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        raise InvalidInput(_("A quotation mark of a command isn't closed."), field="commands") from None


async def _asked(
    request: Request, said: Form, trouble: LongshoreError | None, changed: Group | None = None
) -> Response:
    """Return the form. `changed`: the group, if it is there already."""
    asking: ApiClient = request.state.asking
    replicas, groups = await asyncio.gather(
        asking.get(list[Replica], "/v1/replicas", figures=False), asking.get(list[Group], "/v1/replica-groups")
    )
    own = changed.id if changed else ""
    taken = {member.replica: group for group in groups if group.id != own for member in group.members}
    at = _field(trouble.field) if trouble else ""
    replicas.sort(key=lambda one: one.machine_name)
    return render(
        request,
        "groups/form.html",
        200 if trouble is None else 400,
        said=said,
        g=changed,
        replicas=[one for one in replicas if one.id not in taken],
        taken=[(one, taken[one.id]) for one in replicas if one.id in taken],
        of_replica=of_replica,
        wrong={at: refused_at(at, trouble)} if trouble and at else {},
        trouble=None if at else trouble,
    )


def _field(refused: str) -> str:
    """Return the field of this page by which a refusal of a request's field is shown; empty where there is none."""
    if refused.startswith("gates."):
        return "commands" if ".command" in refused else "pauses"
    beginning = refused.partition(".")[0]
    return beginning if beginning in ("name", "members", "pauses", "commands") else ""


ROUTES = [
    *declare_form("/replicas/new-group", CHANGES, _asked, create, largest=OF_MANY),
    *declare_form(GROUP.route_of("edit"), CHANGES, show_change, change, opened, OF_MANY),
]
