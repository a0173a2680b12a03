"""The OpenAPI document: as FastAPI makes it, with what it can't know."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from longshore.api.schemas import ErrorBody
from longshore.service.caller import OPEN

_DESCRIPTION = """\
Longshore moves virtual machines into OpenStack. A caller sees what belongs to the project of its token. Sizes are
bytes, times RFC 3339 in UTC. Unknown fields are refused. An error is a `code`, which stays, and a `message` for people.
"""
_REFUSALS = {
    400: "What is asked can't be done as asked; nothing was changed.",
    401: "There is no valid token.",
    403: "The caller's roles, or a cloud, don't allow it.",
    404: "It isn't there, or another project's.",
    408: "The body took too long.",
    409: "Things are in a state that doesn't allow it.",
    413: "The body is too large.",
    500: "Something failed that nobody foresaw.",
    502: "A cloud doesn't answer, or answered with an error.",
    503: "Keystone doesn't answer.",
}


def describe(app: FastAPI) -> None:
    """Serve the OpenAPI document. It is put together at its first use, which takes a second: in a thread."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    def served(_request: Request) -> JSONResponse:
        return JSONResponse(openapi())

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/v1/openapi.json", served, include_in_schema=False)


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
    )
    components = document["components"]
    components["schemas"]["ErrorBody"] = ErrorBody.model_json_schema()
    for unsent in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unsent, None)
    components["securitySchemes"] = {
        "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A token of Keystone's."}
    }
    components["responses"] = {f"Refusal{status}": _refusal(said) for status, said in _REFUSALS.items()}
    document["security"] = [{"token": []}]
    for path, methods in document["paths"].items():
        for route in methods.values():
            route["responses"].pop("422", None)
            if path in OPEN:
                route["security"] = []
                continue
            for status in _REFUSALS:
                route["responses"].setdefault(str(status), {"$ref": f"#/components/responses/Refusal{status}"})
    return document


def _refusal(said: str) -> dict[str, Any]:
    return {
        "description": said,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
    }
