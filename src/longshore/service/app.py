"""The REST API. The same application serves one user inside a command and, later, many over the network."""

from collections.abc import Callable, Collection

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from longshore.api.refused import sentence_of
from longshore.configuration import Configuration
from longshore.errors import (
    AccessDenied,
    Busy,
    ChangedMeanwhile,
    Conflict,
    InvalidInput,
    LongshoreError,
    NotConfined,
    NotFound,
    NotInstalled,
    Overstepped,
    ProviderError,
    Unreachable,
)
from longshore.model.job import JobKind
from longshore.processes.apart import Apart
from longshore.processes.installed import MOVING, missing_module, refuse_without
from longshore.service import turns
from longshore.service.apart import prepare
from longshore.service.bodies import Bodies, TooLarge, TooSlow
from longshore.service.caller import Access, Forbidden
from longshore.service.document import describe
from longshore.service.kept_inventories import KeptInventories
from longshore.service.refusals import body_of
from longshore.service.routes import OnDemand, add, include
from longshore.service.shared_reads import SharedReads
from longshore.store import StateDirectory, Store
from longshore.vault.kept_blocks import KeptBlocks

_STATUS: list[tuple[type[LongshoreError], int]] = [
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
    (AccessDenied, 403),
    (Forbidden, 403),
    (Unreachable, 502),
    (ProviderError, 502),
    (Busy, 429),
    (NotConfined, 503),
    (NotInstalled, 503),
    (Overstepped, 400),
    (ChangedMeanwhile, 412),
    (TooLarge, 413),
    (TooSlow, 408),
]

BODY_LIMIT = 6 << 20  # bytes: a plan of ten thousand machines has some five million
_KEPT, _KEPT_FOR = 512, 60.0  # blocks of points that somebody looks into (64 MiB), and seconds


def mount(configuration: Configuration, *, lasting: bool = False) -> tuple[ASGIApp, Callable[[], None]]:
    """Return the service over a user's own state directory, and the function that closes it again.

    `lasting`: it answers more than one command's requests.
    """
    store = Store(StateDirectory.configured(configuration))
    return OnDemand(_without_routes(store, local_files=True, lasting=lasting)), store.close


def create_app(
    store: Store,
    *,
    local_files: bool = False,
    access: Access | None = None,
    body_limit: int = BODY_LIMIT,
    metrics: bool = False,
    apart: Apart | None = None,
) -> FastAPI:
    """Return the application over a store.

    `local_files`: the files of this machine are those of whoever asks, as inside a user's own command. `access`: how
    callers on a network are told apart; each then finds the things of its own project. Without it, all that there is
    belongs to the one who asks. `metrics`: figures are served to anybody at /metrics. `apart`: where the largest
    requests are answered, once it has begun.
    """
    app = _without_routes(store, local_files=local_files, lasting=True, access=access, body_limit=body_limit)
    if metrics:
        from longshore.service.metrics import Measure, Metrics
        from longshore.service.metrics import router as figures

        app.state.metrics = Metrics(store)
        app.add_middleware(Measure, metrics=app.state.metrics)
        add(app, figures)
    include(app)
    if apart is not None:
        prepare(apart, app, store, body_limit)
        app.state.bodies = Bodies(body_limit, apart)
    return app


def _without_routes(
    store: Store,
    *,
    local_files: bool,
    lasting: bool,
    access: Access | None = None,
    body_limit: int = BODY_LIMIT,
) -> FastAPI:
    app = FastAPI(
        title="Longshore",
        version="1",
        openapi_url=None,  # document.py serves it
        docs_url=None,
        redoc_url=None,
    )
    if not store.state.shared_database:  # an engine of this machine does the work
        store.database.refuse_undoable = _refuse_undoable if access is None else _refuse_what_the_server_lacks
    app.state.store = store
    app.state.local_files = local_files
    app.state.reads = SharedReads()
    app.state.inventories = KeptInventories()
    app.state.access = access
    app.state.bodies = Bodies(body_limit)
    app.state.turns = turns.Turns(turns.OF_CLOUDS, turns.QUEUE, turns.OF_ALL_CLOUDS)
    app.state.fetching = turns.Turns(turns.OF_FILES, turns.OF_FILES, turns.OF_ALL_FILES)
    app.state.kept_blocks = KeptBlocks(_KEPT, _KEPT_FOR) if lasting else None
    app.state.streams = turns.Streams()
    if access is not None:
        from longshore.service.gate import Gate  # commands have none

        app.add_middleware(Gate, tokens=access.tokens)
    describe(app)

    @app.exception_handler(LongshoreError)
    def explained(_request: Request, error: LongshoreError) -> JSONResponse:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        headers = {"Retry-After": str(turns.COME_AGAIN)} if status == 429 else None
        return JSONResponse(body_of(error), status, headers)

    @app.exception_handler(ModuleNotFoundError)
    def missing(request: Request, error: ModuleNotFoundError) -> JSONResponse:
        said = missing_module(error)
        if said is None:
            raise error
        return explained(request, said)

    @app.exception_handler(UnicodeEncodeError)
    @app.exception_handler(DataError)
    def unheld(_request: Request, error: Exception) -> JSONResponse:
        """JSON can hold half of a letter (\\ud800) and NUL, and a database can't."""
        if isinstance(error, DataError) and "NUL" not in str(error.orig):
            raise error
        said = "A text that was sent holds a NUL or half of a letter, which can't be kept."
        return JSONResponse({"code": "invalid-input", "message": said}, 400)

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
        where = ".".join(str(part) for part in fault["loc"][1:])
        body = {"code": "invalid-input", "message": sentence_of(fault, where)}
        return JSONResponse(body | {"field": where} if where else body, 400)

    return app


def _refuse_undoable(kinds: Collection[JobKind]) -> None:
    """Raise NotInstalled when jobs of these kinds take what this machine lacks."""
    if any(kind.moves_blocks for kind in kinds):
        refuse_without(*MOVING)


def _refuse_what_the_server_lacks(kinds: Collection[JobKind]) -> None:
    """Do so in words for those who can install nothing there."""
    try:
        _refuse_undoable(kinds)
    except NotInstalled as error:
        raise NotInstalled(f"The server can't do this: {error.message}", advice="Tell its operator.") from None
