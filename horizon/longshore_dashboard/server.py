"""Asks Longshore's server for pages: as the user who is logged in to Horizon, for the project that they are in."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, urlencode

import requests
from django.conf import settings
from django.http import Http404, HttpRequest
from django.utils.translation import get_language
from django.views.decorators.debug import sensitive_variables
from horizon import exceptions
from openstack_dashboard.api import base

SERVICE = "migration"  # its type in Keystone's catalogue
_CONNECTED_WITHIN, _ANSWERED_WITHIN = 5, 60  # seconds; clouds are asked for some answers


class Away(Exception):
    """The server gave no answer, or none that is a page. Whether a form was acted on isn't known."""


class Answer(NamedTuple):
    status: int
    page: str
    elsewhere: str | None  # the address of another page to go to


@sensitive_variables()
def ask(
    request: HttpRequest, path: str, *, form: Iterable[tuple[str, str]] | None = None, everything: bool = False
) -> Answer:
    """Ask the server for a page. `path`: of the server's page, not quoted; the query is the request's. `form`: sent
    when there is one. `everything`: things of all projects. Raises Http404, Away, NotAuthenticated,
    ServiceCatalogException."""
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise Http404
    url = base.url_for(request, SERVICE).rstrip("/") + quote(path)
    if request.META.get("QUERY_STRING"):
        url += f"?{request.META['QUERY_STRING']}"
    # A form of one button has no field: then nothing else would say that it is one
    kind = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
    headers = {
        **kind,
        "X-Auth-Token": request.user.token.id,
        "Accept-Language": get_language() or "en",
        "X-Longshore-All-Projects": "true" if everything else "false",
    }
    try:
        answer = requests.request(
            "GET" if form is None else "POST",
            url,
            data=None if form is None else urlencode(list(form)),
            headers=headers,
            timeout=(_CONNECTED_WITHIN, _ANSWERED_WITHIN),
            verify=False if settings.OPENSTACK_SSL_NO_VERIFY else settings.OPENSTACK_SSL_CACERT or True,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise Away from error
    if answer.status_code == 401:
        raise exceptions.NotAuthenticated
    if not answer.is_redirect and not answer.headers.get("Content-Type", "").startswith("text/html"):
        raise Away
    answer.encoding = "utf-8"
    return Answer(answer.status_code, answer.text, answer.headers["Location"] if answer.is_redirect else None)
