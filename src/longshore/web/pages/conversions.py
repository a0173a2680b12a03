"""Findings of an inspection against each way to land; and machines that landed as they were are converted."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import Migration
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.request import LandingMode, MigrationType
from longshore.model.status import Status
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.rendering import render


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


async def ask(request: Request) -> Response:
    return await _shown(request, Form({}), None)


async def convert(request: Request) -> Response:
    """Begin a conversion. Passphrases of its disks are sealed by the service, and come back in no page."""
    said = request.state.form
    keys = [line for line in said.exact("guest_keys").split("\n") if line]
    try:
        body = {"accept": said["accept"].split(), "guest_keys": keys}
        begun = await request.state.asking.post(Migration, f"{_path(request)}/convert", body)
    except LongshoreError as error:
        return await _shown(request, said, error)
    return RedirectResponse(f"/ui/migrations/{part(begun.id)}", 303)


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    migration = await request.state.asking.get(Migration, _path(request))
    status, told = 200 if trouble is None else 400, told_of(trouble, ("guest_keys", "accept"))
    return render(request, "migrations/convert.html", status, m=migration, said=said, **told)


def _path(request: Request) -> str:
    return f"/v1/migrations/{part(request.path_params['migration'])}"


ROUTES = [
    Page("/migrations/{migration}/convert", ask, "GET", "migration:migration:convert"),
    Page("/migrations/{migration}/convert", convert, "POST", "migration:migration:convert"),
]
