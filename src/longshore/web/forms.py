"""Forms as browsers send them, taken only from our own pages."""

import asyncio
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from anyio import to_thread
from markupsafe import Markup
from starlette.requests import Request

from longshore.errors import InvalidInput, LongshoreError
from longshore.processes.apart import Work
from longshore.web.advices import on_page
from longshore.wording.texts import _, marked

TOKEN = "form_token"  # noqa: S105 the field's name
USUAL = 64 << 10  # bytes
_MOST = 20_000  # fields
_AT_ONCE = 16 << 10  # bytes that are taken apart where everybody waits
_WITHIN = 60.0  # seconds for a whole form, however steadily it trickles


FOREIGN = "foreign-form"
# What the service says of a field, for the catalogues
SAID = (
    marked("A name has a to z, 0 to 9, dots, dashes and underscores, 100 at most, and begins with a letter or digit."),
    marked("it is empty."),
    marked("it is missing."),
    marked("it has to be a number."),
    marked("it has to be a whole number."),
    marked("it has to be a text."),
)


class Foreign(LongshoreError):
    """A form comes from another site, or from a page of a session that has ended."""

    code = FOREIGN


def not_a_moment() -> str:
    """Return what is said by a field in which something else than a moment was typed."""
    return _("That isn't a moment: write it as 2026-12-01T02:00.")


def whole(text: str) -> int | None:
    """Return the whole number that was typed; None for anything else, and for more than nine digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


@dataclass(frozen=True, slots=True)
class Form:
    fields: Mapping[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the field's text without space around it; empty when it wasn't sent."""
        return self.exact(name).strip()

    def exact(self, name: str) -> str:
        """Return the field's text as it was typed: a password may begin with a space."""
        return (self.fields.get(name) or [""])[-1]

    def moment(self, name: str) -> str | None:
        """Return the moment that a field holds, in UTC as the API takes it; None where it is empty.

        Browsers with scripts send what was typed in the viewer's zone so; others send what was typed, in UTC.
        """
        said = self[name]
        return f"{said.removesuffix('Z')}Z" if said else None

    def all(self, name: str) -> list[str]:
        return self.fields.get(name, [])

    def pairs(self, name: str, value: str) -> dict[str, str]:
        """Return the values of two fields that come again and again, side by side: the second by the first.

        Pairs in which one is empty are left out.
        """
        found = zip(self.all(name), self.all(value), strict=False)
        return {one.strip(): said.strip() for one, said in found if one.strip() and said.strip()}

    def below(self, prefix: str) -> dict[str, str]:
        """Return the fields whose names begin with `prefix`, by the rest of the name; empty ones are left out."""
        return {
            name.removeprefix(prefix): values[-1].strip()
            for name, values in self.fields.items()
            if name.startswith(prefix) and values[-1].strip()
        }


def said_in(request: Request) -> Form:
    """Return what a request says: the form that it sends, else the parameters of its address."""
    query = request.query_params
    return request.state.form if request.method == "POST" else Form({name: query.getlist(name) for name in query})


async def read_form(request: Request, form_token: str | None, largest: int = USUAL) -> Form:
    """Read the form that a request sends.

    `form_token`: what it has to have been made with; None where whoever sends it isn't a browser, which a foreign page
    could lead astray. `largest`: in bytes. Raises Foreign, InvalidInput.
    """
    if form_token is not None:
        _refuse_foreign(request)
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise InvalidInput("This isn't a form.")
    body = bytearray()
    try:
        async with asyncio.timeout(_WITHIN):
            async for piece in request.stream():
                body += piece
                if len(body) > largest:
                    raise InvalidInput(f"The form is larger than {largest} bytes.")
    except TimeoutError:
        raise InvalidInput(f"The form wasn't there within {_WITHIN:.0f} s.", advice="Send it again.") from None
    try:
        fields = await _taken_apart(request, bytes(body))
    except (ValueError, UnicodeDecodeError):
        raise InvalidInput("The form can't be read.") from None
    form = Form(fields)
    if form_token is not None and not secrets.compare_digest(form.exact(TOKEN).encode(), form_token.encode()):
        raise Foreign(
            marked("This form is of a page that was opened earlier: nothing was changed."),
            advice=marked("Load the page again."),
        )
    return form


async def _taken_apart(request: Request, body: bytes) -> dict[str, list[str]]:
    """Return the fields of a body, read in a thread or a process so that others go on meanwhile.

    Raises ValueError, UnicodeDecodeError, Busy, Overstepped.
    """
    if len(body) <= _AT_ONCE:
        return _fields(body)
    if len(body) <= USUAL:
        return await to_thread.run_sync(_fields, body)
    async with request.app.state.reading.turn(request.state.visit.project_id):
        fields: dict[str, list[str]] | None = json.loads(await request.app.state.apart.do(_READING, body))
    if fields is None:
        raise ValueError
    return fields


def _told(body: bytes) -> bytes:
    """Return the fields as JSON; null when they can't be read."""
    try:
        return json.dumps(_fields(body)).encode()
    except ValueError:
        return b"null"


_READING = "form"
WORKS = {_READING: Work(_told)}


def _fields(body: bytes) -> dict[str, list[str]]:
    """Return the fields of a body, each with its values. Raises ValueError, UnicodeDecodeError."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST):
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return fields


def told_of(
    trouble: LongshoreError | None,
    fields: Collection[str],
    plain: Mapping[str, str] | None = None,
    called: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what a form's template is told of a refusal.

    `wrong` has the refusal by the field that it is about; `trouble` is it where it is about none of these `fields`.
    What a request nests, such as request.boot_mark, is found by the last of its parts that is one. `plain`: see
    refused_at. `called`: the form's names of fields that requests call otherwise.
    """
    at = _field_of(trouble, fields, called or {}) if trouble else ""
    return {
        "wrong": {at: refused_at(at, trouble, plain)} if trouble and at else {},
        "trouble": None if at else trouble,
    }


def told_of_each(
    refused: Mapping[str, LongshoreError], fields: Collection[str], called: Mapping[str, str] | None = None
) -> tuple[dict[str, Markup], dict[str, LongshoreError]]:
    """Return what a form is told that was refused for single machines: what is wrong by field, and by machine the
    refusals that are about none of these `fields`. `called`: see told_of."""
    told = {ref: told_of(error, fields, called=called) for ref, error in refused.items()}
    wrong = {field: said for one in told.values() for field, said in one["wrong"].items()}
    return wrong, {ref: error for ref, error in refused.items() if not told[ref]["wrong"]}


def _field_of(trouble: LongshoreError, fields: Collection[str], called: Mapping[str, str]) -> str:
    """Return the field of a form that a refusal is about; empty where it is about none of them."""
    parts = [called.get(part, part) for part in reversed(trouble.field.split("."))]
    return next((part for part in parts if part in fields), "")


def refused_at(field: str, trouble: LongshoreError, plain: Mapping[str, str] | None = None) -> Markup:
    """Return what is said by the field of a refusal, with what to do about it.

    `plain`: by field what is said where the service speaks of a value's form, as programs want it.
    """
    bare = trouble.message.removeprefix(f"{trouble.field}: ")
    said = _(trouble.message) if bare == trouble.message else (plain or {}).get(field) or _(bare)
    said = said.removeprefix(f'"{field}": ')  # which the label says
    said = f"I{said[1:]}" if said.startswith("it ") else said  # it was behind the field's name
    return Markup("{} {}").format(said, on_page(trouble.advice, trouble.code)).strip()


def _refuse_foreign(request: Request) -> None:
    """Raise Foreign for a form of another site. Browsers say where a form is from, and no page can make them lie."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    # A proxy may have changed what is said of the way here, so the server's own word counts, too
    own = (f"{request.url.scheme}://{request.headers.get('host')}", request.app.state.door.origin)
    said = origin is not None or site is not None
    if not said or site not in (None, "same-origin") or (origin is not None and origin not in own):
        raise Foreign(marked("This form comes from another site: nothing was changed."))
