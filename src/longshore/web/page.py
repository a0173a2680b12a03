"""The declaration of pages by their subjects: those that show something, forms, and questions before something is
done."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.errors import LongshoreError
from longshore.web.forms import USUAL, Form
from longshore.web.rendering import confirm
from longshore.web.things import Thing
from longshore.wording.texts import _

T = TypeVar("T")
OF_MANY = 1 << 20  # where thousands of machines may be chosen, or all of a plan be written
Handler = Callable[[Request], Awaitable[Response]]
Shown = Callable[[Request, Form, LongshoreError | None], Awaitable[Response]]


class Page(NamedTuple):
    path: str
    handler: Handler
    method: str
    rule: str = ""  # of the policy: without it nobody is shown this. What only looks is judged by the API alone
    largest: int = USUAL  # form, in bytes


class Question(NamedTuple):
    """A question before something is done to a thing. Its texts are marked; `%(name)s` in the heading is the thing's
    name."""

    heading: str
    told: Sequence[str] | Callable[[Any], Sequence[str]]  # what it means; of the thing as it is, in the viewer's words
    said: str  # on the button
    kind: str = "primary"


async def empty(_request: Request) -> Form:
    return Form()


def declare_form(  # noqa: PLR0917
    path: str,
    rule: str,
    shown: Shown,
    done: Callable[[Request, Form], Awaitable[str | Response]],
    opened: Callable[[Request], Awaitable[Form]] = empty,
    largest: int = USUAL,
    *,
    seen_by_all: bool = False,
) -> list[Page]:
    """Declare a form. `shown`: its page, with what is said there and why that was refused. `opened`: what it says at
    first. `done`: does what it says and returns the address to go to, or another answer; what it raises is shown by the
    form. `seen_by_all`: the rule is for sending it alone."""

    async def ask(request: Request) -> Response:
        return await shown(request, await opened(request), None)

    async def act(request: Request) -> Response:
        said = request.state.form
        try:
            then = await done(request, said)
        except LongshoreError as error:
            return await shown(request, said, error)
        return RedirectResponse(then, 303) if isinstance(then, str) else then

    return [Page(path, ask, "GET", "" if seen_by_all else rule), Page(path, act, "POST", rule, largest)]


def declare_verb(
    thing: Thing[T], verb: str, rule: str, question: Question | None = None, does: Handler | None = None
) -> list[Page]:
    """Declare that something is done to a thing, after a question if there is one. Without `does`, the API is told to
    do it, and the thing's page is shown again."""

    async def act(request: Request) -> Response:
        await request.state.asking.post(Any, f"{thing.path_of(request)}/{verb}")
        return thing.back(request)

    acts = Page(thing.route_of(verb), does or act, "POST", rule)
    if question is None:
        return [acts]

    async def ask(request: Request) -> Response:
        found = await thing.read(request)
        told = question.told(found) if callable(question.told) else map(_, question.told)
        return confirm(
            request,
            _(question.heading) % {"name": thing.called(found)},
            told=list(told),
            does=thing.address_of(verb, request, found),
            said=_(question.said),
            back=thing.page_of(request),
            kind=question.kind,
        )

    return [Page(acts.path, ask, "GET", rule), acts]


def deletes(thing: Thing[T], then: str) -> Handler:
    """Return what deletes a thing. `then`: the page that is shown after that, below /ui."""

    async def delete(request: Request) -> Response:
        await request.state.asking.ask(Any, "DELETE", thing.path_of(request))
        return RedirectResponse(f"/ui{then}".format(**request.path_params), 303)

    return delete
