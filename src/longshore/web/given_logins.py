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
# Nothing else is taken from a file that somebody else has written, such as a path or a profile to be fetched
_BY_PASSWORD: tuple[str, ...] = ("user_domain_name", "user_domain_id", "project_domain_name", "project_domain_id")
_BY_PASSWORD += ("username", "user_id", "project_name", "project_id")
_BY_CREDENTIAL = ("application_credential_id",)
_SECRETS = ("password", "application_credential_secret")
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
    return GivenLogin(settings | ({"region": said["region"]} if said.get("region") else {}), {secret: value})


def _of_openrc(text: str) -> dict[str, str]:
    """Return what a shell would have set, but for what it would have to work out."""
    said: dict[str, str] = {}
    for line in text.splitlines():
        if (found := _SET.fullmatch(line)) and "$" not in found[2]:
            try:
                words = shlex.split(found[2], comments=True)
            except ValueError:
                continue
            said[found[1].lower()] = words[0] if words else ""
    said.setdefault("project_name", said.get("tenant_name", ""))
    return said | {"region": said.get("region_name", "")}


def _of_clouds(text: str, entry: str) -> dict[str, str]:
    try:
        read = read_yaml(text)
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
    cloud = clouds[entry] if entry in clouds else next(iter(clouds.values()))
    cloud = cloud if isinstance(cloud, Mapping) else {}
    auth = cloud.get("auth")
    plain = {**(auth if isinstance(auth, Mapping) else {}), "auth_type": cloud.get("auth_type") or ""}
    plain["region"] = cloud.get("region_name") or ""
    return {str(name): str(value) for name, value in plain.items() if isinstance(value, str | int)}
