"""The REST API. The same application serves one user inside a command and, later, many over the network."""

from collections.abc import Callable

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from longshore.configuration import Configuration
from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.service.adoption import router as adoption
from longshore.service.caller import Access, Forbidden
from longshore.service.document import describe
from longshore.service.failbacks import router as failbacks
from longshore.service.gate import Gate
from longshore.service.groups import router as groups
from longshore.service.health import router as health
from longshore.service.inspections import router as inspections
from longshore.service.limits import router as limits
from longshore.service.migrations import router as migrations
from longshore.service.parts import may
from longshore.service.plans import router as plans
from longshore.service.provider_changes import router as provider_changes
from longshore.service.providers import router as providers
from longshore.service.replica_reports import router as replica_reports
from longshore.service.replicas import router as replicas
from longshore.service.shared_reads import SharedReads
from longshore.service.stream import Streams
from longshore.service.stream import router as stream
from longshore.service.tenancy import Jobs
from longshore.service.tenancy import router as tenancy
from longshore.service.turns import COME_AGAIN, Busy, turns_at_clouds
from longshore.store import StateDirectory, Store

_STATUS: list[tuple[type[LongshoreError], int]] = [
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
    (AccessDenied, 403),
    (Forbidden, 403),
    (Unreachable, 502),
    (Busy, 429),
]


BODY_LIMIT = 6 << 20  # bytes: a plan of ten thousand machines has some five million


def mount(configuration: Configuration) -> tuple[FastAPI, Callable[[], None]]:
    """The service over a user's own state directory, and what closes it again."""
    store = Store(StateDirectory.configured(configuration))
    return create_app(store, local_files=True), store.close


def create_app(
    store: Store,
    *,
    local_files: bool = False,
    access: Access | None = None,
    body_limit: int = BODY_LIMIT,
    metrics: bool = False,
) -> FastAPI:
    """`local_files`: the files of this machine are those of whoever asks, as inside a user's own command.

    `access`: how callers on a network are told apart; each then finds the things of its own project. Without it, all
    that there is belongs to the one who asks. `metrics`: figures are served to anybody at /metrics.
    """
    app = FastAPI(
        title="Longshore",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(may)],
    )
    app.state.store = store
    app.state.local_files = local_files
    app.state.reads = SharedReads()
    app.state.access = access
    app.state.turns = turns_at_clouds()
    app.state.streams = Streams()
    if access is not None:
        app.add_middleware(Gate, tokens=access.tokens, body_limit=body_limit)
    if metrics:
        from longshore.service.metrics import Measure, Metrics
        from longshore.service.metrics import router as figures

        app.state.metrics = Metrics(store)
        app.add_middleware(Measure, metrics=app.state.metrics)
        app.include_router(figures)
    app.include_router(health)
    app.state.tenancy_jobs = Jobs()
    app.include_router(providers)
    app.include_router(provider_changes)
    app.include_router(plans)
    app.include_router(migrations)
    app.include_router(adoption)
    app.include_router(replicas)
    app.include_router(groups)
    app.include_router(replica_reports)
    app.include_router(failbacks)
    app.include_router(limits)
    app.include_router(inspections)
    app.include_router(stream)
    app.include_router(tenancy)

    describe(app)

    @app.exception_handler(LongshoreError)
    def explained(_request: Request, error: LongshoreError) -> JSONResponse:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        headers = {"Retry-After": str(COME_AGAIN)} if status == 429 else None
        return JSONResponse({"code": error.code, "message": str(error)}, status, headers)

    @app.exception_handler(HTTPException)
    def refused(_request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid-input")
        return JSONResponse({"code": code, "message": f"{error.detail}."}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        # The first fault is enough, and never the input itself: it may hold a secret.
        fault = error.errors()[0]
        if fault["type"] == "json_invalid":
            why = f"{str(fault['ctx']['error']).rstrip('.')}, at character {fault['loc'][-1]}"
            return JSONResponse({"code": "invalid-input", "message": f"The body isn't JSON ({why})."}, 400)
        where = ".".join(str(part) for part in fault["loc"][1:]) or "body"
        return JSONResponse({"code": "invalid-input", "message": f"{where}: {fault['msg']}."}, 400)

    return app
