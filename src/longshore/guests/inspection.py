"""What operating system is on a machine's disks."""

import guestfs

from longshore.errors import ConversionError
from longshore.guests.report import OperatingSystem

NOT_LOOKED_INTO = "guest-not-inspected"  # code of the error when the disks are there but don't show one system


def inspect(handle: guestfs.GuestFS) -> OperatingSystem:
    """The one operating system on the disks of a launched appliance. Raises ConversionError for none or several."""
    try:
        systems = [_describe(handle, root) for root in handle.inspect_os()]
    except RuntimeError as error:
        raise ConversionError(f"The guest's disks couldn't be inspected: {error}.", code=NOT_LOOKED_INTO) from None
    if not systems:
        raise ConversionError(
            "No operating system was found on the machine's disks.",
            advice="Encrypted disks and unknown file systems can't be looked into; such a machine can land as it is.",
            code=NOT_LOOKED_INTO,
        )
    if len(systems) > 1:
        found = ", ".join(f"{system.product} on {system.root}" for system in systems)
        raise ConversionError(
            f"The machine's disks hold several operating systems: {found}.",
            advice="Machines with more than one can't be converted.",
            code=NOT_LOOKED_INTO,
        )
    return systems[0]


def _describe(handle: guestfs.GuestFS, root: str) -> OperatingSystem:
    distribution = handle.inspect_get_distro(root)
    return OperatingSystem(
        root=root,
        family=handle.inspect_get_type(root),
        distribution=distribution,
        version=f"{handle.inspect_get_major_version(root)}.{handle.inspect_get_minor_version(root)}",
        product=full_name(handle.inspect_get_product_name(root), distribution),
        architecture=handle.inspect_get_arch(root),
        package_format=handle.inspect_get_package_format(root),
        host_name=handle.inspect_get_hostname(root),
        mounts=dict(handle.inspect_get_mountpoints(root)),
    )


def full_name(product: str, distribution: str) -> str:
    """A product's name as libguestfs tells it: of Debian it is the bare content of /etc/debian_version."""
    if any(letter.isalpha() for letter in product):
        return product
    return f"{distribution.capitalize()} {product}".strip()
