"""The kinds of the compute and block storage services, in OS-Migrate's words where it has them."""

from longshore.tenancy.forms import (
    between,
    boolean,
    integer,
    key_name,
    list_of,
    mapping,
    number,
    one_of,
    record,
    reference,
    short,
    text,
)
from longshore.tenancy.kind import Field, ResourceKind, Scope, ref
from longshore.tenancy.normal import by_text, stripped, texts

_NAME = Field("name", short(255), required=True)
_SIZE = (1 << 31) - 1  # the largest of any number of a flavor
# Who may use what isn't public
_ACCESS = Field(
    "access_refs",
    list_of(reference),
    sdk="access",
    refs={"access_refs": "project"},
    lets_in=True,
    update=True,
    extra=True,
    default=[],
    order=by_text,
    dispensable=True,
)

KEYPAIR = ResourceKind(
    "key pair",
    "keypairs",
    "openstack.compute.Keypair",
    "compute",
    (
        Field("name", key_name, required=True),
        Field("public_key", text, required=True, order=stripped),
        Field("type", one_of("ssh", "x509")),
        ref("user_ref", "user", required=True),
    ),
    info=("created_at", "fingerprint", "id", "is_deleted", "user_id"),
    key=("user_id", "name"),
    scope=Scope.USER,
    quota="key_pairs",
)

FLAVOR = ResourceKind(
    "flavor",
    "flavors",
    "openstack.compute.Flavor",
    "compute",
    (
        Field("description", short(65535), update=True, dispensable=True),
        Field("disk", between(0, _SIZE)),
        Field("ephemeral", between(0, _SIZE)),
        Field("extra_specs", mapping, update=True, order=texts),
        Field("is_public", boolean),
        _NAME,
        Field("ram", between(1, _SIZE), required=True),
        Field("rxtx_factor", number),
        Field("swap", between(0, _SIZE)),
        Field("vcpus", between(1, _SIZE), required=True),
        _ACCESS,
    ),
    info=("id", "is_disabled"),
    scope=Scope.CLOUD,
    admin=True,
)

SERVER_GROUP = ResourceKind(
    "server group",
    "server_groups",
    "openstack.compute.ServerGroup",
    "compute",
    (
        _NAME,
        Field(
            "policies",
            list_of(one_of("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")),
            required=True,
        ),
        Field("rules", mapping, quiet=True, order=texts),
    ),
    info=("id", "project_id", "user_id"),
    not_carried=("metadata",),
    quota="server_groups",
)

VOLUME_TYPE = ResourceKind(
    "volume type",
    "volume_types",
    "openstack.block_storage.VolumeType",
    "block_storage",
    (
        _NAME,
        Field("description", short(255), update=True, dispensable=True),
        Field("extra_specs", mapping, update=True, order=texts),
        Field(
            "encryption",
            record(cipher=text, control_location=one_of("front-end", "back-end"), key_size=integer, provider=text),
            extra=True,
        ),
        Field("is_public", boolean, update=True),
        _ACCESS,
    ),
    not_carried=("qos_specs_id",),
    scope=Scope.CLOUD,
    admin=True,
)

KINDS = (FLAVOR, VOLUME_TYPE, KEYPAIR, SERVER_GROUP)
