"""Log-ins to a cloud as it gives them out: a clouds.yaml, or an openrc file."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.strict_yaml import read_yaml
from longshore.wording.texts import marked

_SET = re.compile(r"\s*(?:export\s+)?OS_([A-Z_]+)=(.*)")
_QUOTED = re.compile(r"'[^']*'")  # in which a shell works out nothing
# Nothing else is taken from a file that somebody else has written, such as a path or a profile to be fetched
_BY_PASSWORD: tuple[str, ...] = ("user_domain_name", "user_domain_id", "project_domain_name", "project_domain_id")
_BY_PASSWORD += ("username", "user_id", "project_name", "project_id")
_BY_CREDENTIAL = ("application_credential_id",)
_SECRETS = ("password", "application_credential_secret")
_OVERRIDE = "_endpoint_override"  # behind the name of a service whose address isn't the catalogue's
_INTERFACES = ("public", "internal", "admin")
_TYPES = ("", "password", "v3password", "v3applicationcredential")


@dataclass(frozen=True, slots=True)
class GivenLogin:
    settings: dict[str, Any]  # of a provider: where, and as whom
    secrets: dict[str, str]


def given_login(text: str, entry: str, password: str) -> GivenLogin:
    """Return the log-in that the text of a clouds.yaml or openrc file describes.

    `entry`: the cloud's name in a clouds.yaml; empty where that has one only. `password`: where the file has none, as
    openrc files ask for it. Raises InvalidInput, with the field that is wrong: given, given_entry or given_password.
    """
    text = text.removeprefix("\ufeff")
    said = _of_openrc(text) if any(map(_SET.fullmatch, text.splitlines())) else _of_clouds(text, entry)
    if said.get("auth_type", "") not in _TYPES:
        raise InvalidInput(
            marked("This file logs in by something else than a password or an application credential."), field="given"
        )
    by_credential = bool(said.get("application_credential_id"))
    names = _BY_CREDENTIAL if by_credential else _BY_PASSWORD
    auth = {name: said[name] for name in ("auth_url", *names) if said.get(name)}
    if "auth_url" not in auth or len(auth) == 1:
        raise InvalidInput(
            marked("This is neither a clouds.yaml nor an openrc file: it names no log-in."), field="given"
        )
    secret = _SECRETS[by_credential]
    value = said.get(secret) or password
    if not value:
        raise InvalidInput(marked("The file has no password, so it is needed here."), field="given_password")
    kind = "v3applicationcredential" if by_credential else "password"
    settings: dict[str, Any] = {"auth": auth, "auth_type": kind}
    settings |= {"region": said["region"]} if said.get("region") else {}
    settings |= {"interface": _interface(said["interface"])} if said.get("interface") else {}
    overrides = {name: url for name, url in said.items() if name.endswith(_OVERRIDE) and url}
    return GivenLogin(settings | ({"services": overrides} if overrides else {}), {secret: value})


def _interface(told: str) -> str:
    """Return a kind of endpoints as the settings call it: older files say internalURL. Raises InvalidInput."""
    plain = told.lower().removesuffix("url")
    if plain not in _INTERFACES:
        raise InvalidInput(marked("This file asks for endpoints of a kind that no cloud has."), field="given")
    return plain


def _of_openrc(text: str) -> dict[str, str]:
    """Return what a shell would have set, but for what it would have to work out."""
    said: dict[str, str] = {}
    for line in text.splitlines():
        if (found := _SET.fullmatch(line)) and "$" not in _QUOTED.sub("", found[2]):
            try:
                words = shlex.split(found[2], comments=True)
            except ValueError:
                continue
            said[found[1].lower()] = words[0] if words else ""
    said.setdefault("project_name", said.get("tenant_name", ""))
    interface = said.get("interface") or said.get("endpoint_type", "")
    return said | {"region": said.get("region_name", ""), "interface": interface}


def _of_clouds(text: str, entry: str) -> dict[str, str]:
    try:
        read = read_yaml(text, as_written=True)  # a password 0123 is what somebody has chosen, and no number
    except InvalidInput as error:
        error.field = "given"
        raise
    clouds = read.get("clouds") if isinstance(read, Mapping) else None
    if not isinstance(clouds, Mapping) or not clouds:
        raise InvalidInput(
            marked("This is neither a clouds.yaml nor an openrc file: it names no log-in."), field="given"
        )
    if len(clouds) > 1 and entry not in clouds:
        raise InvalidInput(marked("The file has several clouds: name one of them."), field="given_entry")
    name = entry if entry in clouds else next(iter(clouds))
    cloud = clouds[name] if isinstance(clouds[name], Mapping) else {}
    auth = cloud.get("auth")
    plain = {**cloud, **(auth if isinstance(auth, Mapping) else {})}
    said = {str(name): value for name, value in plain.items() if isinstance(value, str)}
    return said | {"region": said.get("region_name", "")}
