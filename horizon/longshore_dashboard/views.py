"""The one view: whatever is below a panel is a page of Longshore's server, in Horizon's frame."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from longshore_dashboard.markup import Foreign, Shown, fit
from longshore_dashboard.server import Away, ask
from longshore_dashboard.subjects import is_of_none, page_of, shown_at

_FORMS_ALONE = 405  # what the server says of an address that forms are sent to and that has no page


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def show(request: HttpRequest, path: str = "") -> HttpResponse:
    panel, dashboard = request.horizon["panel"], request.horizon["dashboard"].slug
    if panel.subject == "overview" and not is_of_none(path):
        raise Http404
    form = None
    if request.method == "POST":
        sent = request.POST.lists()
        form = [(name, value) for name, values in sent if name != "csrfmiddlewaretoken" for value in values]

    def at(address: str) -> str | None:
        return shown_at(address, dashboard)

    try:
        answer = ask(request, page_of(panel.subject, path), form=form, everything=dashboard == "admin")
        elsewhere = answer.elsewhere
        if answer.status == _FORMS_ALONE:
            # Somebody whose session had ended when they sent one comes from the log-in: nothing was done, and the page
            # above shows it
            elsewhere = page_of(panel.subject, path.rpartition("/")[0])
        if elsewhere is None:
            return _framed(request, answer.status, fit(answer.page, at, get_token(request)))
        address = at(elsewhere)
        return _framed(request, 503, None) if address is None else HttpResponseRedirect(address)
    except (Away, Foreign):
        return _framed(request, 503, None)


def _framed(request: HttpRequest, status: int, shown: Shown | None) -> HttpResponse:
    """Frame a page. Without one it says that the server gave none."""
    title = shown.title if shown else _("Migration")
    # Made by fit(), which lets nothing in that isn't known
    body = mark_safe(shown.body) if shown else None  # noqa: S308
    return render(
        request,
        "longshore_dashboard/page.html",
        {"page_title": title, "body": body, "sent": request.method == "POST", "crumbs": shown and shown.crumbs},
        status=status,
    )
