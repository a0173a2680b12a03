"""A page of Longshore's, made fit to stand inside one of Horizon's.

It comes from a server that is trusted, but names of machines in it are a stranger's. All of them are escaped there;
should that fail once, nothing comes through here but the elements and attributes that pages are known to have.
"""

from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from typing import NamedTuple

_KNOWN_ELEMENTS = """
a b br button caption code dd details div dl dt em fieldset form h1 h2 h3 h4 h5 input label legend li nav ol option p
pre progress section select span strong summary table tbody td textarea th thead time tr ul
svg g path rect line circle polyline text tspan title desc
"""
_KNOWN_ATTRIBUTES = """
id class role tabindex title for name value type method placeholder autocomplete spellcheck required checked selected
autofocus disabled hidden open max min step rows cols colspan rowspan scope datetime lang multiple data-secret
data-label data-moment data-refresh aria-label aria-hidden aria-current aria-describedby aria-live aria-invalid
viewbox width height focusable fill stroke stroke-width stroke-dasharray points d x y x1 x2 y1 y2 cx cy r text-anchor
"""
_ELEMENTS = frozenset(_KNOWN_ELEMENTS.split())
_ATTRIBUTES = frozenset(_KNOWN_ATTRIBUTES.split())
_VOID = frozenset(("input", "br"))
_SILENT = frozenset(("script", "style", "template", "iframe", "object"))  # nothing of what is in them is shown either
_ADDRESSES = frozenset(("href", "action", "formaction"))


class Foreign(ValueError):
    """The error for what isn't a page of Longshore's."""


class Shown(NamedTuple):
    title: str
    body: str  # HTML
    crumbs: bool  # it says where it is


def fit(page: str, shown_at: Callable[[str], str | None], csrf_token: str) -> Shown:
    """Fit a page into Horizon. `shown_at`: where an address of the page is in Horizon; None: nowhere, and no link is
    made. `csrf_token`: put into each form that changes something. Raises Foreign."""
    reader = _Reader(shown_at, csrf_token)
    reader.feed(page)
    reader.close()
    return reader.whole()


class _Reader(HTMLParser):
    def __init__(self, shown_at: Callable[[str], str | None], csrf_token: str) -> None:
        super().__init__(convert_charrefs=True)
        self._shown_at, self._csrf_token = shown_at, csrf_token
        self._open: list[str] = []
        self._written: list[str] = []
        self._title: list[str] = []
        self._in_title = False
        self._silent: str | None = None
        self._crumbs = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._begins(tag, attrs, "") and tag not in _VOID:
            self._open.append(tag)
            if tag == "form" and ("method", "post") in attrs:
                self._written.append(
                    f'<input type="hidden" name="csrfmiddlewaretoken" value="{escape(self._csrf_token)}">'
                )

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._begins(tag, attrs, "/")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = None
        elif tag == "title" and self._in_title:
            self._in_title = False
        elif self._silent is None and tag in self._open:  # never one that is Horizon's
            while True:
                closed = self._open.pop()
                self._written.append(f"</{closed}>")
                if closed == tag:
                    break

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif self._silent is None and self._open:
            self._written.append(escape(_inert(data), quote=False))

    def whole(self) -> Shown:
        if not self._written or not self._written[0].startswith('<div id="page"'):
            raise Foreign
        ends = [f"</{tag}>" for tag in reversed(self._open)]
        return Shown("".join(self._title).strip(), "".join([*self._written, *ends]), self._crumbs)

    def _begins(self, tag: str, attrs: list[tuple[str, str | None]], end: str) -> bool:
        """Begin an element. Returns whether it is let in."""
        if self._silent is not None:
            return False
        if tag in _SILENT:
            self._silent = None if end else tag
            return False
        if tag == "title" and not self._open:
            self._in_title = not end
            return False
        if tag not in _ELEMENTS:
            return False
        self._crumbs = self._crumbs or ("class", "breadcrumb") in attrs
        self._written.append(f"<{tag}{''.join(self._attribute(*attr) for attr in attrs)}{end}>")
        return True

    def _attribute(self, name: str, value: str | None) -> str:
        if name in _ADDRESSES:
            address = self._shown_at(value or "")
            return "" if address is None else f' {name}="{escape(address)}"'
        if name not in _ATTRIBUTES:
            return ""
        if value is None:
            return f" {name}"
        # What stands in a field is sent back as it is
        return f' {name}="{escape(value if name == "value" else _inert(value))}"'


def _inert(text: str) -> str:
    """Escape what AngularJS would take for an expression, as Horizon does it with its own texts."""
    return text.replace("{$", "{%").replace("$}", "%}")
