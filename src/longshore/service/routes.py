"""The modules of the routes: one for each subject, by the first words of their paths behind the version.

With a slash in it, it is only for paths with that third word: vaults/files for /v1/vaults/NAME/files; vaults/ for those
without one.

The modules are loaded by name. A server loads all; a command asks for a path or two, and all that the others bring
along would take longer to load than what it asks for (docs/decisions/commands-that-begin-quickly.md).
"""

from collections.abc import Iterable, Iterator
from importlib import import_module

from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

from longshore.service.judged import JudgedRoute

# In this order they are asked whether a path is theirs
MODULES = {
    "health": {"", "healthz", "readyz"},
    "features": {"features", "me", "catalogue"},
    "providers": {"providers", "fingerprint"},
    "proxies": {"providers/proxies"},
    "provider_changes": {"providers"},
    "inventories": {"providers"},
    "unprotected": {"providers/unprotected"},
    "plans": {"plans"},
    "plan_changes": {"plans"},
    "new_plans": {"plans"},
    "plan_states": {"plans"},
    "plan_checks": {"plans/checks"},
    "plan_code": {"plans/iac"},
    "jobs": {"jobs", "job-counts", "migrations", "migration-counts"},
    "migrations": {"migrations", "last-moves", "inspections"},
    "chosen_migrations": {"migrations"},
    "landed": {"landed"},
    "reports": {"migrations"},
    "adoption": {"providers", "replicas"},
    "replicas": {"replicas", "migrations"},
    "groups": {"replica-groups"},
    "replica_files": {"replica-file"},
    "failbacks": {"replicas"},
    "vaults": {
        "vaults/",
        *(f"vaults/{word}" for word in ("check", "recover", "verify", "prune", "prunable", "copy", "usage")),
    },
    "vault_points": {"vaults/points"},
    "restores": {"restores"},
    "new_backups": {"backups"},
    "vault_contents": {"vaults/contents"},
    "vault_files": {"vaults/files", "vaults/file"},
    "vault_keys": {"vaults/keys"},
    "vault_imports": {"vaults/import"},
    "kept_plans": {"plans/keep-in", "vaults/plans"},
    "backup_policies": {"backup-policies"},
    "schedules": {"schedules"},
    "limits": {"limits"},
    "channels": {"channels"},
    "wall_links": {"wall-links"},
    "operation": {"operation"},
    "nodes": {"nodes"},
    "stream": {"migrations", "plans/events"},
    "tenancy": {"tenancy"},
}


def include(app: FastAPI, modules: Iterable[str] = MODULES) -> None:
    for module in modules:
        add(app, import_module(f"longshore.service.{module}").router)


def add(app: FastAPI, router: APIRouter) -> None:
    """Add a router's very routes to the application, so what they depend on is the router's.

    FastAPI's own `include_router` makes all routes anew at an application's first request: 0.2 s of work. Raises
    RuntimeError for a route that doesn't ask whether the caller may.
    """
    for route in router.routes:
        judged = isinstance(route, JudgedRoute)
        if not judged:
            raise RuntimeError(f"anybody may call {getattr(route, 'path', '?')}: its router isn't a judged_router")
    app.router.routes.extend(router.routes)


class OnDemand:
    """The application of a command: routes are loaded when a path of theirs is asked for."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._included: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        missing = [module for module in modules_of(scope["path"]) if module not in self._included]
        self._included.update(missing)
        include(self._app, missing)
        await self._app(scope, receive, send)


def modules_of(path: str) -> Iterator[str]:
    """Return the modules that may have a route for a path."""
    words = words_of(path)
    return (module for module, known in MODULES.items() if words & known)


def words_of(path: str) -> set[str]:
    """Return the words by which `MODULES` knows a path."""
    first, _, third, *_ = [*path.removeprefix("/v1").strip("/").split("/"), "", ""]
    return {first, f"{first}/{third}"}
