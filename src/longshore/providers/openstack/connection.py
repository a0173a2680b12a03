"""The connection to an OpenStack cloud: settings that may be stored in clear, secrets apart, and the session made from
both.

Settings come from clouds.yaml or OS_* variables, read by openstacksdk itself: every authentication type it knows works.
"""

import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import openstack
import requests
from keystoneauth1 import exceptions as auth
from keystoneauth1 import loading
from openstack import exceptions as sdk
from openstack.config.defaults import get_defaults

from longshore.clouds_yaml import read_clouds
from longshore.errors import InvalidInput, NotFound, NotInstalled
from longshore.model.reach import Reach
from longshore.model.secrecy import has_password, looks_secret
from longshore.providers.openstack.faults import unreachable, words
from longshore.providers.openstack.http import bound

# What goes wrong is raised; without a handler these libraries would also print it on the terminal
for library in ("keystoneauth", "openstack"):
    logging.getLogger(library).addHandler(logging.NullHandler())


# What many entries say, and is so without it
_AS_EVER = {"identity_api_version": "3", "volume_api_version": "3", "block_storage_api_version": "3"}
# How the names of settings end that are about one service
_OF_A_SERVICE = re.compile(
    r"._(endpoint_override|endpoint|interface|region_name|service_type|service_name|api_version|default_microversion)$"
)

# The Python packages of those ways to log in that keystoneauth's own don't suffice for
_PACKAGES = {
    "v3adfspassword": "lxml",
    "v3kerberos": "requests-kerberos",
    "v3oauth1": "oauthlib",
    "v3samlpassword": "lxml",
}
_APPLICATION = "v3applicationcredential"
_SCOPE = ("project_name", "project_id", "tenant_name", "tenant_id", "domain_name", "domain_id", "system_scope")


@cache
def _plain_options(auth_type: str) -> frozenset[str]:
    """Return the options of a way to log in that keystoneauth's plugin knows, and doesn't call secret."""
    try:
        options = loading.get_plugin_options(auth_type)
    except auth.NoMatchingPlugin:
        return frozenset({"auth_url"})
    return frozenset(name for o in options if not o.secret for name in (o.dest, *(old.dest for old in o.deprecated)))


def is_secret(auth_type: str, name: str, value: str, methods: Sequence[str] = ()) -> bool:
    """Tell whether an option of `auth` is to be kept encrypted: what isn't known may be a secret as well as not.
    `methods`: the ways that are joined where one isn't enough."""
    known = any(name in _plain_options(one) for one in (auth_type, *methods))
    return not known or looks_secret(name) or (name != "auth_url" and has_password(value))


@dataclass(frozen=True, slots=True)
class OpenstackSettings:
    """All but the secrets. JSON-able with dataclasses.asdict."""

    auth: dict[str, str] = field(default_factory=dict)  # auth_url, username, project_name, user_domain_name, …
    auth_type: str = "password"
    auth_methods: tuple[str, ...] = ()  # that are joined by the type v3multifactor
    # What the SDK is told of single services, by its own names: network_endpoint_override, compute_api_version, …
    services: dict[str, str] = field(default_factory=dict)
    cert: str | None = None  # files of a client's certificate and its key, where the cloud's servers ask for one
    key: str | None = None
    region: str | None = None
    interface: str = "public"
    verify: bool = True
    cacert: str | None = None
    ceph_conf: str = "/etc/ceph/ceph.conf"  # how this worker reaches the cloud's Ceph; its keyring lies next to it
    ceph_user: str | None = None  # None: the one Cinder names in its connection information
    transport: Literal["brick", "relay"] = "brick"  # how volumes are reached: by ourselves, or through a relay
    relay_image: str = "longshore-relay"  # name or id
    relay_network: str | None = None  # name or id of the network the worker is on; None: the project's only one
    relay_floating_network: str | None = None  # where its floating address is from; None: it is reached at its own
    relay_flavor: str | None = None  # name or id; None: the smallest that is large enough
    relay_allow: str | None = None  # whose connections it takes, a CIDR; None: those from our own address
    relay_quiet: float = 600.0  # seconds without a volume after which it is removed
    labels: tuple[str, ...] | None = None  # only workers that carry all of them reach its storage
    reach: Reach | None = None  # never kept: whoever connects says where it may be connected to; None: anywhere

    def __post_init__(self) -> None:
        if not (math.isfinite(self.relay_quiet) and self.relay_quiet >= 0):
            raise InvalidInput("A relay stays for a number of seconds (relay_quiet).")
        kept = [(f"auth.{name}", value, looks_secret(name)) for name, value in self.auth.items()]
        kept += [(name, value, False) for name, value in self.services.items()]
        files = {"cacert": self.cacert, "cert": self.cert, "key": self.key}
        if inline := next((name for name, value in files.items() if value and "-----BEGIN" in value), None):
            raise InvalidInput(f"{inline} is the name of a file, and holds what should be in that.")
        if wrong := next((name for name, value, is_one in kept if is_one or has_password(value)), None):
            raise InvalidInput(
                f"{wrong} holds a secret, and settings are kept in clear.",
                advice="A password, token or the like belongs among the secrets.",
            )


def settings_from_cloud(name: str | None) -> tuple[OpenstackSettings, dict[str, str]]:
    """Return the settings and secrets of an entry in clouds.yaml; None: of the OS_* variables, or OS_CLOUD.

    Raises NotFound when there is no such entry, InvalidInput when it can't be used, NotInstalled when its way to log in
    takes a package that isn't there.
    """
    name = name or os.environ.get("OS_CLOUD") or None
    where = f"Entry {name} of clouds.yaml doesn't" if name else "The OS_* variables don't"
    try:
        files = read_clouds(name)
        _refuse_unusable(files.get_one(cloud=name, validate=False).config, where)
        region = files.get_one(cloud=name)
    # The last three: a profile that can't be had, an option that it doesn't know, one without a value
    except (sdk.ConfigException, auth.ClientException, OSError, TypeError, AttributeError) as error:
        if name is not None and "was not found" in str(error):
            raise NotFound(
                f"There is no cloud {name} in clouds.yaml.",
                advice="Looked in the current directory, ~/.config/openstack and /etc/openstack; "
                "OS_CLIENT_CONFIG_FILE may name another file.",
            ) from None
        away = isinstance(error, requests.ConnectionError)
        raise InvalidInput(
            f"{where} describe a cloud: {unreachable(error, 'read its profile').message if away else words(error)}",
            advice="Name an entry of clouds.yaml, or source the cloud's openrc file first.",
        ) from None
    config: Mapping[str, Any] = region.config
    said = dict(config.get("auth", {}))
    methods = _words(said.pop("auth_methods", None) or config.get("auth_methods"))
    options = {key: str(value) for key, value in said.items() if value is not None}
    verify, _ = region.get_requests_verify_args()
    auth_type = str(config.get("auth_type") or "password")
    secrets = {key: value for key, value in options.items() if is_secret(auth_type, key, value, methods)}
    usual = get_defaults() | _AS_EVER
    settings = OpenstackSettings(
        auth={key: value for key, value in options.items() if key not in secrets},
        auth_type=auth_type,
        auth_methods=methods,
        services={
            key: str(value)
            for key, value in config.items()
            if _OF_A_SERVICE.search(key) and value not in (None, "") and str(value) != str(usual.get(key))
        },
        cert=_file(config.get("cert")),
        key=_file(config.get("key")),
        region=region.region_name or None,
        interface=str(config.get("interface") or "public"),
        verify=bool(verify),
        cacert=_file(verify) if isinstance(verify, str) else None,
    )
    return settings, secrets


def _refuse_unusable(config: Mapping[str, Any], where: str) -> None:
    """Raise InvalidInput, or NotInstalled, for what openstacksdk would refuse in words of its own code, or mistake."""
    said = config["auth"]
    auth_type = str(config.get("auth_type") or "password")
    listed = [f"auth.{key}" for key, value in said.items() if isinstance(value, list | dict) and key != "auth_methods"]
    if isinstance(config.get("interface"), list):
        listed.append("interface")
    if listed:
        raise InvalidInput(f"{where} describe a cloud: {', '.join(listed)} takes one text, and has several.")
    if auth_type != _APPLICATION and any(str(key).startswith("application_credential_") for key in said):
        raise InvalidInput(
            f"{where} log in by the application credential that it has: auth_type is {auth_type}.",
            advice=f"Write auth_type: {_APPLICATION} beside auth, not in it.",
        )
    if auth_type == _APPLICATION and (more := [key for key in _SCOPE if said.get(key)]):
        raise InvalidInput(
            f"{where} describe a cloud: an application credential is of one project, and {more[0]} names one besides.",
            advice=f"Remove {', '.join(more)} from auth.",
        )
    _refuse_without_package(auth_type)


def _refuse_without_package(auth_type: str) -> None:
    package = _PACKAGES.get(auth_type)
    if package is not None and find_spec(package.replace("-", "_")) is None:
        raise NotInstalled(
            f"To log in by {auth_type} takes {package} for Python, which isn't installed.",
            advice="Install it where Longshore is, or log in by an application credential.",
        )


def connect(settings: OpenstackSettings, secrets: Mapping[str, str]) -> Any:
    """Make an openstacksdk Connection. Nothing is sent before it is first used.

    Only what is given counts: neither clouds.yaml nor the environment is read, so that a stored provider means the same
    cloud everywhere. Raises InvalidInput without a password where one is needed, without a file that is named, and for
    a way to log in that knows no projects.
    """
    if settings.auth_type in ("password", "v3password") and "password" not in secrets:
        raise InvalidInput(
            f"There is no password for user {settings.auth.get('username', '(unnamed)')}.",
            advice="Put it in clouds.yaml or OS_PASSWORD when adding the provider.",
        )
    _refuse_without_package(settings.auth_type)
    for name, path in (("cacert", settings.cacert), ("cert", settings.cert), ("key", settings.key)):
        if path and not Path(path).expanduser().exists():
            raise InvalidInput(
                f"There is no file {path} on this machine, which the cloud's settings name ({name}).",
                advice="Put it there, or name another one.",
            )
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type=settings.auth_type,
        auth={**settings.auth, **secrets},
        **({"auth_methods": list(settings.auth_methods)} if settings.auth_methods else {}),
        **{name: _as_is(value) for name, value in settings.services.items()},
        cert=_as_is(settings.cert),
        key=_as_is(settings.key),
        region_name=_as_is(settings.region),
        interface=_as_is(settings.interface),
        verify=settings.verify,
        cacert=_as_is(settings.cacert),
        connect_retries=2,  # what may be asked again is http.Adapter's to say
        app_name="longshore",
        app_version=version("longshore"),
    )
    if not hasattr(connection.session.auth, "get_access"):
        raise InvalidInput(
            f"The auth_type {settings.auth_type} logs in to no project.",
            advice="Use one that asks Keystone, such as password or v3applicationcredential.",
        )
    bound(connection, settings.reach)
    return connection


def _words(said: Any) -> tuple[str, ...]:
    """Return a list, or words between commas; openstackclient tells an option that nobody gave as an empty text."""
    return tuple(filter(None, said.split(","))) if isinstance(said, str) else tuple(map(str, said or ()))


def _file(path: str | None) -> str | None:
    """Return a file's name as it is from any directory: a worker uses it in another one."""
    return str(Path(path).expanduser().absolute()) if path and "-----BEGIN" not in path else path or None


def _as_is(text: str | None) -> str | None:
    """The SDK takes settings for templates in which other settings may stand, and for as wide as they ask to be."""
    return text and text.replace("{", "{{").replace("}", "}}")
