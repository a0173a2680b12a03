"""The subjects that Longshore has pages of, and where Horizon shows each."""

from django.urls import NoReverseMatch, reverse

PAGES = "/ui/"  # of the server
NEW_PLAN = "new-plan"  # beside the subjects: below plans it would be a plan's name
CHOSEN = "chosen-migrations/"  # beside them, too: what is done with several at once
SUBJECTS = ("overview", "plans", "migrations", "replicas", "backups", "providers", "jobs", "administration")


def is_of_none(path: str) -> bool:
    """Tell whether what is there is shown below the overview, being of no subject."""
    return path in ("", NEW_PLAN) or path.startswith(CHOSEN)


def slug_of(subject: str) -> str:
    """Return the slug of a subject's panel."""
    return f"migration_{subject}"


def page_of(subject: str, path: str) -> str:
    """Return the server's page for one of a panel's."""
    if subject == "overview":
        return PAGES + path
    return f"{PAGES}{subject}/{path}" if path else f"{PAGES}{subject}"


def shown_at(address: str, dashboard: str) -> str | None:
    """Return where in Horizon the server's page of that address is; None: nowhere. `dashboard`: its slug."""
    if address.startswith("#"):
        return address
    if not address.startswith(PAGES):
        return None
    path, mark, query = address[len(PAGES) :].partition("?")
    subject, _slash, rest = ("overview", "", path) if is_of_none(path) else path.partition("/")
    if subject not in SUBJECTS or (subject == "overview" and rest != path):
        return None
    try:
        return str(reverse(f"horizon:{dashboard}:{slug_of(subject)}:index")) + rest + mark + query
    except NoReverseMatch:  # only administrators' dashboard has all of them
        return None
