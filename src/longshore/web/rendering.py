"""Pages of templates. All that is put into one is escaped there."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.durations import duration
from longshore.web.addresses import here
from longshore.web.advices import advice_about, in_english, meaning_on_page, on_page, said_on_page
from longshore.web.forms import Form, not_a_moment, told_of
from longshore.web.later import DeferredText
from longshore.web.visit import Visit
from longshore.wording.doubts import doubt_in_words
from longshore.wording.events import event_in_words
from longshore.wording.figures import size
from longshore.wording.forecasts import UNKNOWN, about, roughly, what_of, why_queued
from longshore.wording.kept_by import kept_by
from longshore.wording.language import decimal, language
from longshore.wording.meanings import has_particulars
from longshore.wording.progress import figures, moves, moving, pace
from longshore.wording.texts import LANGUAGES, _

STATIC = Path(__file__).parent / "static"
THEMES = ("auto", "light", "dark")
TIMES = ("at", "until")  # fields of something that is done at a time
_CALLED = ("provider", "name", "vault", "policy", "group")  # what parts of addresses are names


@cache
def environment(inside: bool = False) -> Environment:
    """Return the environment of the templates. `inside`: for another program's frame, and in its looks."""
    whole = PackageLoader("longshore.web")
    made = Environment(
        loader=ChoiceLoader([PackageLoader("longshore.web", "templates/inside"), whole]) if inside else whole,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    made.install_gettext_callables(_, _of_many, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {"size": size, "duration": duration, "at": shown_moment, "percent": _percent, "said": _}
    made.filters |= {"about": _about, "on_day": _on_day, "roughly": roughly}
    made.filters |= {"on_page": on_page, "advice_about": advice_about, "said_on_page": said_on_page}
    made.filters |= {"in_english": in_english, "meaning": meaning_on_page, "has_particulars": has_particulars}
    made.filters |= {"urlencode": part, "kept_by": kept_by, "event_in_words": event_in_words}
    made.filters["doubt_in_words"] = doubt_in_words
    made.globals |= {
        "asset": _asset,
        "figures": figures,
        "moves": moves,
        "moving": moving,
        "pace": _pace,
        "what_of": what_of,
        "why_queued": why_queued,
        "unknown": UNKNOWN,
        "languages": list(LANGUAGES.items()),
        "zip": zip,
    }
    made.globals["ui"] = made.get_template(f"ui/{'bootstrap' if inside else 'patternfly'}.html").module
    return made


def render(request: Request, template: str, status: int = 200, **said: Any) -> Response:
    visit: Visit | None = getattr(request.state, "visit", None)
    theme = request.cookies.get("longshore_theme", "auto")
    door = request.app.state.door
    frame: Mapping[str, Any] = {
        "path": request.url.path,
        "here": here(request),
        "form_token": (visit.form_token if visit else None) or "",
        "visit": visit,
        "may": visit.may if visit else _nothing,
        # How the address calls what the page is about: by its name, or its id where all projects are shown
        "called": next((request.path_params[one] for one in _CALLED if one in request.path_params), ""),
        "alone": door.alone,
        "keeps": not door.inside,  # files: another program's frame takes nothing but pages
        "language": language(),
        "theme": theme if theme in THEMES else "auto",
    }
    return DeferredText(partial(_made, door.inside, template, {**frame, **said}), "text/html", status)


def _made(inside: bool, template: str, said: Mapping[str, Any]) -> str:
    return environment(inside).get_template(template).render(said)


def _of_many(one: str, many: str, count: int) -> str:
    return _(one if count == 1 else many)


def _pace(rate: float, left: float | None) -> str:
    said = pace(rate, None)
    return said if left is None else _("%(pace)s, %(left)s left") % {"pace": said, "left": duration(left)}


def _nothing(_rule: str) -> bool:
    return False


def confirm(
    request: Request,
    heading: str,
    *,
    told: Sequence[str],
    does: str,
    said: str,
    back: str,
    kind: str = "primary",
    hidden: Mapping[str, str] | None = None,
    some: Sequence[tuple[str, str]] = (),
    other: tuple[str, str] | None = None,
    instead: Sequence[tuple[str, str]] = (),
    timed: Form | None = None,
    trouble: LongshoreError | None = None,
) -> Response:
    """Ask before something is done.

    `does`: where the form goes; `said`: on its button; `back`: the page before. `some`: what the form says besides, a
    name more than once. `other`: another button, and the name that it says. `instead`: addresses of questions that mean
    less, and what they are called. `timed`: it may be done at a time, too, which a further form says then (`at`,
    `until`); what was said there. `trouble`: why that time can't be meant.
    """
    return render(
        request,
        "confirm.html",
        200 if trouble is None else 400,
        heading=heading,
        told=told,
        does=does,
        said=said,
        back=back,
        kind=kind,
        hidden=[*(hidden or {}).items(), *some],
        other=other,
        instead=instead,
        timed=timed,
        wrong=told_of(trouble, TIMES, dict.fromkeys(TIMES, not_a_moment()))["wrong"],
    )


def show_form(  # noqa: PLR0917
    request: Request,
    template: str,
    said: Form,
    trouble: LongshoreError | None,
    fields: Collection[str] = (),
    plain: Mapping[str, str] | None = None,
    called: Mapping[str, str] | None = None,
    /,
    **more: Any,
) -> Response:
    """Return the page of a form, with what is `said` there. `trouble`: why that was refused; `fields`, `plain` and
    `called`: see told_of."""
    status = 200 if trouble is None else 400
    return render(request, template, status, said=said, **more, **told_of(trouble, fields, plain, called))


def shown_moment(moment: datetime | str | None) -> Markup:
    """Return the element that shows a moment: in UTC, until the browser puts it into the viewer's own zone.

    A moment without a zone is in UTC. None is shown as nothing.
    """
    if moment is None:
        return Markup("")
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"), f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    )


def _about(moment: datetime) -> Markup:
    """Return the element that shows a moment of a forecast, as `shown_moment` shows others: to the minute."""
    return Markup('<time class="ls-about" datetime="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M}:00Z", about(moment)
    )


def _on_day(moment: datetime) -> Markup:
    """Return the element that shows a moment of days ahead, as `shown_moment` shows others: in the browser with its
    weekday."""
    return Markup('<time class="ls-day" datetime="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M}:00Z", f"{moment:%Y-%m-%d %H:%M} UTC"
    )


def _percent(share: float) -> str:
    return f"{decimal(100 * share)}%"


@cache
def _asset(path: str) -> str:
    """Return the address of a static file, with a mark of its content: browsers may keep it for ever."""
    mark = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
    return f"/ui/static/{path}?{mark}"
