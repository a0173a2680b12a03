"""Turns what openstacksdk and keystoneauth raise into errors a user can act on.

Nothing of a request's body or headers gets into a message, so no secret does either; what an API said in words does.
"""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

import requests
from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk

from longshore.errors import (
    FAULT,
    AccessDenied,
    Conflict,
    LoginRefused,
    LongshoreError,
    NotFound,
    Occupied,
    ProviderError,
    QuotaExceeded,
    Unreachable,
)

# What Nova (403), Cinder (413) and Neutron (409) say when a quota is the reason
_QUOTA = re.compile(
    r"quota (?:was )?exceeded|exceeds allowed .*quota|over ?quota|overlimit|exceeded for resources", re.I
)
# What Nova says of a server, Cinder of a volume or a snapshot, and Neutron, while something else is done with it (409;
# Cinder: 400): Nova names the task, Cinder a status that ends by itself, unlike error_extending, or awaiting-transfer,
# which somebody else has to end
_OCCUPIED = re.compile(
    r"while it is in task_state|status(?: is|:)+ '?(?!error|awaiting-transfer)(?:\w+-)?\w+ing\b|another request|"
    r"in progress|please (?:re)?try|"
    r"concurrent(?:ly)? (?:modif|updat|operation)",
    re.I,
)
# What old versions of Nova say (413) instead of 429
_TOO_OFTEN = re.compile(r"rate[- ]limit|too many requests", re.I)
# What proxies say (413) to a request, such as an image's bytes, that is larger than they let through
_TOO_LARGE = re.compile(r"too large\W*(?:nginx|openresty|cloudflare)\b", re.I)
# A service that is there, but not what it needs itself: a proxy's words, or the service's own while Keystone is away
_AWAY = (502, 503, 504)
_READERS = ("iso8601", "json", "keystoneauth1", "openstack")  # Python packages
# What Nova says (500) when none of its other parts answers it, or Keystone, while RabbitMQ or they are restarted
_UNHEARD = re.compile(r"oslo_messaging\.exceptions|keystoneauth1\.exceptions\.(?:connection|discovery)")


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """`doing` completes the sentence "The cloud didn't let us …", for example "create volume web01-root"."""
    try:
        yield
    except LongshoreError:
        raise
    except auth.Unauthorized as error:
        raise LoginRefused(
            f"The cloud refused the login: {words(error)}",
            advice="Check user name, password, project and domain names.",
        ) from None
    except (auth.ConnectionError, auth.DiscoveryFailure) as error:
        raise unreachable(error, doing) from None
    except (
        auth.CatalogException,
        sdk.EndpointNotFound,
        sdk.ServiceDiscoveryException,
        sdk.ServiceDisabledException,
    ) as error:
        raise ProviderError(
            f"The cloud offers no usable endpoint to {doing}: {words(error)}",
            advice="Check region and interface (public, internal) of this provider.",
        ) from None
    except (sdk.HttpException, auth.HttpError) as error:
        raise refused(error, doing) from None
    except sdk.NotSupported as error:  # which is all that the SDK says of one that answers 503 when asked for versions
        raise Unreachable(
            f"A service doesn't say which versions of its API it speaks, so we didn't {doing}: {words(error)}",
            advice="Check that the service is up at the address that the cloud's catalogue has of it.",
        ) from None
    except requests.JSONDecodeError:
        raise Unreachable(
            f"What answered while trying to {doing} isn't the cloud: it isn't JSON.",
            advice="Something stands in its place, such as a proxy's page; see what the address shows in a browser.",
        ) from None
    except (sdk.SDKException, auth.ClientException) as error:
        raise ProviderError(f"The cloud couldn't {doing}: {words(error)}") from None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        if not _is_of_reading(error):
            raise
        kind = type(error).__name__  # its words may be those of whatever answered
        raise ProviderError(
            f"What answered while trying to {doing} isn't the cloud, or not in its API's form ({kind}).",
            advice="See what the address answers that the cloud's catalogue has of the service.",
        ) from None


def _is_of_reading(error: Exception) -> bool:
    """Tell whether it was raised where the libraries read an answer, which they take for what its API promises."""
    frames = list(walk_tb(error.__traceback__))
    return frames[-1][0].f_globals.get("__name__", "").partition(".")[0] in _READERS


def refused(error: Exception, doing: str) -> LongshoreError:
    """Return the error for an HTTP status of 400 or more."""
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    said = words(error)
    if status == 429 or (status == 413 and _TOO_OFTEN.search(said) and not _QUOTA.search(said)):
        return Unreachable(f"The cloud asks to wait before we {doing} (HTTP {status}): {said}")
    if status == 413 and _TOO_LARGE.search(said):
        return ProviderError(
            f"A proxy before the cloud lets no request through that is large enough to {doing}: {said}",
            advice="Have the proxy's limit raised (NGINX: client_max_body_size).",
        )
    if status in (403, 409, 413) and (status == 413 or _QUOTA.search(said)):
        return QuotaExceeded(
            f"The project's quota has no room to {doing}: {said}",
            advice="Free something in the project, or ask for a larger quota.",
        )
    if status == 401:
        return LoginRefused(f"The cloud no longer accepts the login while trying to {doing}: {said}")
    if status == 403:
        return AccessDenied(f"The project's user may not {doing}: {said}")
    if status == 404:
        return NotFound(f"The cloud couldn't {doing}, something needed for it isn't there: {said}")
    if status in (400, 409) and _OCCUPIED.search(said):
        return Occupied(f"The cloud can't {doing} now: {said}")
    if status == 409:
        return Conflict(f"The cloud can't {doing} as things are: {said}")
    if status in _AWAY or _UNHEARD.search(said):
        return Unreachable(f"The cloud couldn't {doing} now (HTTP {status}): {said}")
    failed = f"The cloud couldn't {doing} (HTTP {status}): {said}"
    return ProviderError(failed, code=FAULT) if status == 500 else ProviderError(failed)


def kept_words(said: str) -> str:
    """Return only what the functions above go by in an error's text, in words of ours; empty when that is nothing."""
    if _QUOTA.search(said):
        return "Quota exceeded."
    if _TOO_OFTEN.search(said):
        return "Too many requests."
    known = _UNHEARD.search(said) or _OCCUPIED.search(said)
    return f"{known[0]}." if known else ""


def unreachable(error: Exception, doing: str) -> Unreachable:
    """Return the error for a server that doesn't answer, or not with a certificate we trust."""
    address = re.search(r"https?://[^\s/]+", str(error))
    where = address.group() if address else "The cloud"
    # The libraries' own text is a nest of representations; the innermost says what happened
    why = re.search(r"certificate verify failed: ([^('\"]+)|\[Errno -?\d+\] ([^'\")]+)|(timed out)", str(error))
    said = f"{next(filter(None, why.groups())).strip()}." if why else words(error)
    if isinstance(error, auth.SSLError):
        return Unreachable(
            f"{where} shows a TLS certificate that isn't trusted, so we didn't {doing}: {said}",
            advice="Name the file with the cloud's certificate authority (cacert).",
            code="certificate-refused",
        )
    return Unreachable(
        f"{where} didn't answer while trying to {doing}: {said}",
        advice="Check the address, and that this machine reaches it.",
    )


_PAGE = re.compile(r"<html|<!doctype", re.I)


def _without_markup(page: str) -> str:
    """Return the text of a page of HTML, in which services and proxies hand out some of their faults."""
    body = re.sub(r"<(head|style|script)\b.*?</\1\s*>", " ", page, flags=re.I | re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", body)).strip() or "a page without words"


def words(error: Exception) -> str:
    """Return what the API itself said, in one line that ends with a full stop."""
    said = str(getattr(error, "details", None) or getattr(error, "message", None) or error)
    said = _without_markup(said) if _PAGE.search(said) else said
    said = re.sub(r"\s*\(HTTP \d+\)|\s*\(Request-ID: [^)]*\)", "", " ".join(said.split()))
    return said if said.endswith((".", "!", "?")) else f"{said}."
