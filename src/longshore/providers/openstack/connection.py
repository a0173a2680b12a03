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
from typing import Any, Literal

import openstack
from keystoneauth1 import exceptions as auth
from keystoneauth1 import loading
from openstack import exceptions as sdk
from openstack.config import OpenStackConfig
from openstack.config.defaults import get_defaults

from longshore.errors import InvalidInput, NotFound
from longshore.model.reach import Reach
from longshore.model.secrecy import has_password, looks_secret
from longshore.providers.openstack.faults import words
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
        if wrong := next((name for name, value, is_one in kept if is_one or has_password(value)), None):
            raise InvalidInput(
                f"{wrong} holds a secret, and settings are kept in clear.",
                advice="A password, token or the like belongs among the secrets.",
            )


def settings_from_cloud(name: str | None) -> tuple[OpenstackSettings, dict[str, str]]:
    """Return the settings and secrets of an entry in clouds.yaml; None: of the OS_* variables, or OS_CLOUD.

    Raises NotFound when there is no such entry, InvalidInput when it can't be used.
    """
    name = name or os.environ.get("OS_CLOUD") or None
    try:
        region = OpenStackConfig().get_one(cloud=name)
    except (sdk.ConfigException, auth.ClientException, TypeError) as error:  # the last: an option it doesn't know
        if name is not None and "was not found" in str(error):
            raise NotFound(
                f"There is no cloud {name} in clouds.yaml.",
                advice="Looked in the current directory, ~/.config/openstack and /etc/openstack; "
                "OS_CLIENT_CONFIG_FILE may name another file.",
            ) from None
        where = f"Entry {name} of clouds.yaml doesn't" if name else "The OS_* variables don't"
        raise InvalidInput(
            f"{where} describe a cloud: {words(error)}",
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
        cert=config.get("cert") or None,
        key=config.get("key") or None,
        region=region.region_name or None,
        interface=str(config.get("interface") or "public"),
        verify=bool(verify),
        cacert=verify if isinstance(verify, str) else None,
    )
    return settings, secrets


def connect(settings: OpenstackSettings, secrets: Mapping[str, str]) -> Any:
    """Make an openstacksdk Connection. Nothing is sent before it is first used.

    Only what is given counts: neither clouds.yaml nor the environment is read, so that a stored provider means the same
    cloud everywhere. Raises InvalidInput without a password where one is needed.
    """
    if settings.auth_type in ("password", "v3password") and "password" not in secrets:
        raise InvalidInput(
            f"There is no password for user {settings.auth.get('username', '(unnamed)')}.",
            advice="Put it in clouds.yaml or OS_PASSWORD when adding the provider.",
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
    bound(connection, settings.reach)
    return connection


def _words(said: Any) -> tuple[str, ...]:
    """Return a list, or words between commas; openstackclient tells an option that nobody gave as an empty text."""
    return tuple(filter(None, said.split(","))) if isinstance(said, str) else tuple(map(str, said or ()))


def _as_is(text: str | None) -> str | None:
    """The SDK takes settings for templates in which other settings may stand, and for as wide as they ask to be."""
    return text and text.replace("{", "{{").replace("}", "}}")
