"""What the operator of a server provides on its own machine for those who ask from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CloudGround:
    """What the server uses on its own machine for one OpenStack."""

    ceph_conf: str | None = None
    ceph_user: str | None = None
    cacert: str | None = None
    labels: tuple[str, ...] = ()  # what a worker needs to reach it


@dataclass(frozen=True, slots=True)
class Grounds:
    """What of the server's own machine is used for those who ask from elsewhere; they can't name any of it."""

    clouds: Mapping[str, CloudGround] = field(default_factory=dict)  # by auth_url: those whose storage is trusted
    vddk_libdir: str | None = None
    files_directories: tuple[str, ...] = ()  # below which machines in files may be
    vault_endpoints: tuple[str, ...] = ()  # S3 servers in whose buckets vaults may be
