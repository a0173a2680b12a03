"""Images, in OS-Migrate's words."""

from typing import Any

from longshore.providers.openstack.machines import OF_ITS_CLOUD
from longshore.tenancy.forms import anything, at_least, boolean, list_of, mapping, one_of, scalar, short, text
from longshore.tenancy.kind import Field, ResourceKind, ref
from longshore.tenancy.normal import by_text, own_properties

# All of these are text for the image service; openstacksdk and people write some of them as numbers and truth values
_PROPERTIES = (
    "architecture",
    "has_auto_disk_config",
    "hw_cpu_cores",
    "hw_cpu_policy",
    "hw_cpu_sockets",
    "hw_cpu_thread_policy",
    "hw_cpu_threads",
    "hw_disk_bus",
    "hw_machine_type",
    "hw_qemu_guest_agent",
    "hw_rng_model",
    "hw_scsi_model",
    "hw_serial_port_count",
    "hw_video_model",
    "hw_video_ram",
    "hw_vif_model",
    "hw_watchdog_action",
    "hypervisor_type",
    "instance_type_rxtx_factor",
    "is_hw_boot_menu_enabled",
    "is_hw_vif_multiqueue_enabled",
    "needs_config_drive",
    "needs_secure_boot",
    "os_admin_user",
    "os_command_line",
    "os_distro",
    "os_require_quiesce",
    "os_shutdown_timeout",
    "os_type",
    "os_version",
    "vm_mode",
    "vmware_adaptertype",
    "vmware_ostype",
)


_OF_CLOUD = tuple(Field(name, anything, of_cloud=True) for name in OF_ITS_CLOUD)


def _word(value: Any) -> Any:
    return None if value is None else str(value).lower()


IMAGE = ResourceKind(
    "image",
    "images",
    "openstack.image.Image",
    "image",
    (
        Field("container_format", text),
        Field("disk_format", text, required=True),
        # Facts about the bytes, which are compared whole: see Images.another
        Field("hash_algo", one_of("md5", "sha1", "sha224", "sha256", "sha384", "sha512"), compare=False, sent=False),
        Field("hash_value", text, compare=False, sent=False),
        Field("is_hidden", boolean, update=True),
        Field("is_protected", boolean, update=True),
        Field("min_disk", at_least(0), update=True, dispensable=True),
        Field("min_ram", at_least(0), update=True, dispensable=True),
        Field("name", short(255), required=True),
        Field("properties", mapping, update=True, order=own_properties, parts=_OF_CLOUD),
        Field(
            "visibility",
            one_of("community", "private", "public", "shared"),
            update=True,
            admin_values=("public",),
            opens=("public", "community"),
        ),
        *(Field(name, scalar, update=True, order=_word, dispensable=True) for name in _PROPERTIES),
        ref("kernel_ref", "image", update=True, dispensable=True),
        ref("ramdisk_ref", "image", update=True, dispensable=True),
        Field("tags", list_of(short(255)), update=True, extra=True, default=[], order=by_text, dispensable=True),
    ),
    info=(
        "checksum",
        "created_at",
        "direct_url",
        "file",
        "id",
        "instance_uuid",
        "kernel_id",
        "locations",
        "metadata",
        "owner_id",
        "ramdisk_id",
        "schema",
        "size",
        "status",
        "store",
        "updated_at",
        "url",
        "virtual_size",
    ),
)

KINDS = (IMAGE,)
