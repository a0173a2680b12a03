"""Tokens, as Keystone's own middleware library judges them: remembered, revoked ones refused within the cache time."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import webob.exc
from keystoneauth1.exceptions import ClientException
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _request
from oslo_context.context import RequestContext

from longshore.service.caller import Caller, Forbidden, IdentityUnavailable, Unauthenticated
from longshore.service.token_cache import TokenCache

NOW = 5  # seconds that one is remembered where it has to be valid now: many streams may have the same one
_CACHE = "longshore.tokens"  # where the library looks for a cache that its host has


class KeystoneTokens:
    """Tokens as Keystone judges them. Nothing is asked of Keystone before the first token comes.

    `options`: as in a [keystone_authtoken] section.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        # At each start the library says that it knows no options that are keystoneauth's, and at each request with a
        # token that isn't valid, that it isn't
        for chatty in ("keystonemiddleware.auth_token", "keystonemiddleware._common.config"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        told = {**options, "service_type": "migration", "cache": _CACHE}
        self._usual = _Judge(auth_token.AuthProtocol(None, told))
        self._now = _Judge(auth_token.AuthProtocol(None, told | {"token_cache_time": NOW}))

    def caller(self, method: str, path: str, headers: Mapping[str, str]) -> Caller:
        return self._usual.caller(method, path, headers)

    def caller_now(self, method: str, path: str, headers: Mapping[str, str]) -> Caller:
        return self._now.caller(method, path, headers)


@dataclass(frozen=True, slots=True)
class _Judge:
    protocol: Any
    cache: TokenCache = field(default_factory=TokenCache)

    def caller(self, method: str, path: str, headers: Mapping[str, str]) -> Caller:
        request = _request._AuthTokenRequest({**_environment(method, path, headers), _CACHE: self.cache})
        try:
            self.protocol.process_request(request)
        except (webob.exc.HTTPServerError, ClientException):  # the library lets timeouts through as they are
            raise IdentityUnavailable("Keystone doesn't answer.", advice="Try again in a moment.") from None
        except webob.exc.HTTPException:
            raise Unauthenticated(
                "There is no token, or it isn't valid (any more).", advice="Get one from Keystone: X-Auth-Token."
            ) from None
        context = RequestContext.from_environ(request.environ)
        if not context.project_id:
            raise Forbidden("The token is for no project.", advice="Ask Keystone for a token of a project.")
        credential = (request.token_info or {}).get("token", {}).get("application_credential") or {}
        return Caller(
            project_id=context.project_id,
            user_id=context.user_id or "",
            user_domain_id=context.user_domain_id or "",
            project_domain_id=context.project_domain_id or "",
            roles=tuple(context.roles),
            token=context.auth_token or "",
            restricted=bool(credential.get("restricted")),
        )


def _environment(method: str, path: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the WSGI environment that the library reads. Headers that it sets itself, it takes away first."""
    environment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "longshore",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    return environment | {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
