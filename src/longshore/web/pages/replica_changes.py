"""A replica is changed, audited, cut over as a migration, deleted; and a warm migration becomes one."""

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.replicas import Replica
from longshore.api.schedules import SchedulePreview
from longshore.errors import LongshoreError
from longshore.model.quantities import write_duration
from longshore.web.forms import Form
from longshore.web.page import Page, Question, declare_form, declare_verb, deletes
from longshore.web.pages.backup_policies import previewed
from longshore.web.pages.new_replicas import PROTECTION
from longshore.web.rendering import show_form
from longshore.web.things import MIGRATION, REPLICA
from longshore.wording.texts import marked

_TEMPLATE = "replicas/protection.html"
_CLOCKS = ("prove", "audit")  # which "never" ends


async def opened(request: Request) -> Form:
    found = await REPLICA.read(request)
    said = {name: [getattr(found, name) or ""] for name in PROTECTION if name != "rpo"}
    return Form(said | {"rpo": [write_duration(timedelta(seconds=found.rpo)) if found.rpo else ""]})


async def change(request: Request, said: Form) -> str:
    body: dict[str, Any] = {name: said[name] for name in PROTECTION if said[name]}
    body |= {name: "never" for name in _CLOCKS if not said[name]}
    await request.state.asking.ask(Replica, "PATCH", REPLICA.path_of(request), body)
    return REPLICA.page_of(request)


async def _changed(
    request: Request, said: Form, trouble: LongshoreError | None, seen: SchedulePreview | None = None
) -> Response:
    found = await REPLICA.read(request)
    does = REPLICA.address_of("edit", request)
    return show_form(
        request, _TEMPLATE, said, trouble, PROTECTION, name=found.machine_name, r=found, does=does, seen=seen
    )


async def preview(request: Request) -> Response:
    said, found = request.state.form, await REPLICA.read(request)
    seen, trouble = await previewed(request.state.asking, said, replica=found.id)
    return await _changed(request, said, trouble, seen)


async def opened_to_keep(_request: Request) -> Form:
    return Form({"schedule": ["every 15m"], "retention": ["last 24, daily 14"], "rpo": ["30m"]})


async def keep(request: Request, said: Form) -> str:
    body = {name: said[name] for name in PROTECTION if said[name]}
    kept = await request.state.asking.post(Replica, f"{MIGRATION.path_of(request)}/keep-as-replica", body)
    return REPLICA.at(replica=kept.id)


async def _kept(
    request: Request, said: Form, trouble: LongshoreError | None, seen: SchedulePreview | None = None
) -> Response:
    name, does = (await MIGRATION.read(request)).machine_name, MIGRATION.address_of("keep", request)
    return show_form(request, _TEMPLATE, said, trouble, PROTECTION, name=name, r=None, does=does, seen=seen)


async def preview_kept(request: Request) -> Response:
    said = request.state.form
    seen, trouble = await previewed(request.state.asking, said)
    return await _kept(request, said, trouble, seen)


_MIGRATE = Question(
    marked("Cut %(name)s over?"),
    (
        marked("The machine is shut down, its last changes are copied, and its server gets the replica's own volumes."),
        marked("When that was seen up it is yours: all points go, and it is a replica no longer."),
        marked("If it doesn't come up, the machine runs again, and the replica is as it was."),
    ),
    marked("Cut over now"),
)
_DELETE = Question(
    marked("Delete the replica of %(name)s?"),
    (
        marked("Its points and volumes go, and all else that was made for it. The machine stays as it is."),
        marked("It is refused while something that was made of its points is there."),
    ),
    marked("Delete it"),
    "danger",
)
_CHANGES, _FAILS_OVER = "migration:replica:update", "migration:replica:failover"
ROUTES = [
    *declare_form(REPLICA.route_of("edit"), _CHANGES, _changed, change, opened),
    Page(REPLICA.route_of("edit/preview"), preview, "POST", _CHANGES),
    *declare_verb(REPLICA, "audit", _CHANGES),
    *declare_verb(REPLICA, "migrate", _FAILS_OVER, _MIGRATE),
    *declare_verb(REPLICA, "delete", "migration:replica:delete", _DELETE, deletes(REPLICA, "/replicas")),
    *declare_form(MIGRATION.route_of("keep"), "migration:replica:create", _kept, keep, opened_to_keep),
    Page(MIGRATION.route_of("keep/preview"), preview_kept, "POST", "migration:replica:create"),
]
