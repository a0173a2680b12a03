"""What callers from elsewhere may not ask of a server: anything on its own disk, of its own storage or its own time.

The rules name what is safe. What a provider's settings gain later is refused until somebody has thought about it here.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.reach import same_keystone
from longshore.providers.registry import provider_type
from longshore.service.caller import Grounds

_SAFE = {
    "vsphere": {
        *("host", "port", "username", "fingerprint", "transports", "transport"),
        *("ssh_host_keys", "ssh_user", "ssh_port", "labels"),
    },
    "files": {"url", "cpus", "memory_mib", "network", "firmware", "labels"},
    "openstack": {
        *("auth", "auth_type", "region", "interface", "transport", "worker_image", "worker_network"),
        *("worker_floating_network", "worker_flavor", "worker_allow", "worker_quiet", "labels"),
    },
}
# Those that ask Keystone alone. Others send what they are given wherever the caller wants, or know no Keystone.
_AUTH_TYPES = {
    "password",
    "v3password",
    "token",
    "v3token",
    "v3applicationcredential",
    "v3totp",
}
# Of `auth`, what says who and where. Its secrets come apart from the settings, which are kept and shown in clear
_AUTH = {
    *("auth_url", "username", "user_id", "user_domain_id", "user_domain_name", "default_domain_id"),
    *("project_id", "project_name", "project_domain_id", "project_domain_name", "default_domain_name"),
    *("domain_id", "domain_name", "trust_id", "system_scope"),
    *("application_credential_id", "application_credential_name"),
}
_INTERFACE = re.compile(r"(public|internal|admin)(URL)?")
_LONGEST_WORD = 1000  # characters of a setting
_TRANSPORTS = {"nbdssl", "nbd"}  # "san" and "hotadd" open devices of the server itself


def provider_settings(kind: str, settings: Mapping[str, Any], grounds: Grounds) -> dict[str, Any]:
    """With what the operator provides for them. Raises InvalidInput."""
    usual = _usual(kind)
    said = {
        name: value for name, value in settings.items() if name not in usual or value not in (usual[name], None, "")
    }
    for name, value in said.items():
        if name not in _SAFE[kind]:
            raise InvalidInput(
                f'A server doesn\'t take "{name}" from its callers.', advice="The operator of the server sets it."
            )
        _refuse_unwieldy(name, value)
    return _RULES[kind](said, grounds)


def _refuse_unwieldy(name: str, value: Any) -> None:
    """Raises InvalidInput for what is too long to be meant."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    if len(parts) > _LONGEST_WORD or any(len(str(part)) > _LONGEST_WORD for part in parts):
        raise InvalidInput(f'The setting "{name}" is too long.', advice=f"{_LONGEST_WORD} characters are enough.")


def asked_of(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a provider's settings those that are its owner's, not the operator's."""
    return {name: value for name, value in settings.items() if name in _SAFE[kind]}


def _usual(kind: str) -> dict[str, Any]:
    """What each setting is when nobody says anything; clients may send it all the same."""
    shape = provider_type(kind).settings()
    return {field.name: field.default for field in fields(shape) if field.default is not MISSING}


def _of_vsphere(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    unknown = set(str(said.get("transports", "nbdssl")).split(":")) - _TRANSPORTS
    if unknown:
        raise InvalidInput(
            f"A server doesn't read disks by {', '.join(sorted(unknown))}.",
            advice="Use nbdssl, nbd or both: nbdssl:nbd.",
        )
    return said | {"vddk_libdir": grounds.vddk_libdir}


def _of_files(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    """Of this machine's own files those below a directory of the operator's alone."""
    from longshore.providers.files import directory_above

    if not str(said.get("url", "")).startswith("file:"):
        return said
    return said | {"beneath": directory_above(str(said["url"]), grounds.files_directories)}


def _of_openstack(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    auth = said.get("auth")
    url = auth.get("auth_url") if isinstance(auth, Mapping) else None
    if not isinstance(url, str):
        raise InvalidInput("The settings need auth.auth_url.")
    if said.get("auth_type", "password") not in _AUTH_TYPES:
        raise InvalidInput(
            f"A server doesn't log in by {said['auth_type']}.", advice=f"Use one of: {', '.join(sorted(_AUTH_TYPES))}."
        )
    assert isinstance(auth, Mapping)
    for name in auth:
        if name not in _AUTH:
            raise InvalidInput(
                f'A server doesn\'t take "{name}" in auth: settings are kept in clear.',
                advice="A password, token or the like belongs among the secrets.",
            )
    if not _INTERFACE.fullmatch(str(said.get("interface", "public"))):
        raise InvalidInput("An interface is public, internal or admin.")
    # Another OpenStack could answer with the names of volumes that aren't its own: this server's storage opens them
    ground = next((g for known, g in grounds.clouds.items() if same_keystone(known, url)), None)
    if ground is None and said.get("transport") == "worker":
        return said  # its volumes are reached through a server of its own, and nothing of this machine's storage is
    if ground is None:
        raise InvalidInput(
            f"This server doesn't open volumes of the OpenStack at {url} itself.",
            advice="Let it make a relay there (--transport worker), or ask its operator to list the cloud.",
            code="cloud-not-served",
        )
    own: dict[str, Any] = {"ceph_conf": ground.ceph_conf, "ceph_user": ground.ceph_user, "cacert": ground.cacert}
    asked = said.get("labels", [])
    if ground.labels and isinstance(asked, list):  # anything else is refused later, as it stands
        own["labels"] = list(dict.fromkeys([*ground.labels, *asked]))
    return said | {name: value for name, value in own.items() if value is not None}


_RULES = {"vsphere": _of_vsphere, "openstack": _of_openstack, "files": _of_files}


def refuse_unsafe(options: Mapping[str, Any]) -> None:
    """Options of a migration, or those that a plan gives its machines. Raises InvalidInput."""
    for name in ("before", "after"):
        if options.get(name):
            raise InvalidInput(
                f'A server runs no playbooks ("{name}") for its callers: they would run as the server itself.',
                advice="Run the playbook yourself, or use Longshore without a server.",
                code="not-on-a-server",
            )


def refuse_unsafe_plan(plan: Mapping[str, Any]) -> None:
    """As a plan's file has it. Raises InvalidInput."""
    refuse_unsafe(plan.get("defaults") or {})
    for machine in plan.get("machines") or ():
        if isinstance(machine, Mapping):
            refuse_unsafe(machine)
