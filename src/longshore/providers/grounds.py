"""The means of a server's own machine that its operator provides for those who ask from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CloudGround:
    """The means that the server uses on its own machine for one OpenStack."""

    ceph_conf: str | None = None
    ceph_user: str | None = None
    cacert: str | None = None
    labels: tuple[str, ...] = ()  # what a worker needs to reach it


@dataclass(frozen=True, slots=True)
class Grounds:
    """The means of the server's own machine that are used for those who ask from elsewhere."""

    clouds: Mapping[str, CloudGround] = field(default_factory=dict)  # by auth_url: those whose storage is trusted
    vddk_libdir: str | None = None
    files_directories: tuple[str, ...] = ()  # below which machines in files may be
    vault_endpoints: tuple[str, ...] = ()  # S3 servers in whose buckets vaults may be
    relay_image: str | None = None  # of which proxies are made
