"""Findings of an inspection against each way to land; and machines that landed as they were are converted."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.schemas import Migration
from longshore.errors import LongshoreError
from longshore.model.request import LandingMode, MigrationType
from longshore.model.status import Status
from longshore.web.forms import Form
from longshore.web.page import declare_form
from longshore.web.rendering import show_form
from longshore.web.things import MIGRATION


def weighed(migration: Migration) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the concerns of an inspection by the landing that they are about, in the shape of its result."""
    found = (migration.result or {}).get("concerns")
    inspected = migration.type is MigrationType.INSPECTION and isinstance(found, dict)
    return list(found.items()) if inspected and found else []


def may_convert(migration: Migration) -> bool:
    """Tell whether a migration landed as it was, and nobody has converted it since."""
    result = migration.result or {}
    landed = (result.get("conversion") or {}).get("landed")
    done = migration.status is Status.DONE and migration.type in (MigrationType.COLD, MigrationType.WARM)
    return done and landed == LandingMode.AS_IS.value and not result.get("converted_by")


async def convert(request: Request, said: Form) -> str:
    """Begin a conversion. Passphrases of its disks are sealed by the service, and come back in no page."""
    keys = [line for line in said.exact("guest_keys").split("\n") if line]
    body = {"accept": said["accept"].split(), "guest_keys": keys}
    begun = await request.state.asking.post(Migration, f"{MIGRATION.path_of(request)}/convert", body)
    return MIGRATION.at(migration=begun.id)


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    migration = await MIGRATION.read(request)
    return show_form(request, "migrations/convert.html", said, trouble, ("guest_keys", "accept"), m=migration)


ROUTES = declare_form(MIGRATION.route_of("convert"), "migration:migration:convert", _shown, convert)
