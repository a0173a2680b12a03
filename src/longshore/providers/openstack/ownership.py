"""The mark by which a second run finds what the first one made, and clean-up knows what is ours."""

from collections.abc import Mapping

from longshore.model.target import Owner

KEY = "longshore:owner"  # in the metadata of volumes, snapshots, images and servers, and the description of ports
RELAY = "longshore:relay"  # in the metadata of servers that only serve volumes to us: nobody's machines


def metadata(owner: Owner) -> dict[str, str]:
    return {KEY: owner.tag}


def description(owner: Owner) -> str:
    """Ports have no metadata, and their tags can't be set in the request that makes them in every Neutron."""
    return f"{KEY}={owner.tag}"


def belongs_to(found: Mapping[str, str] | None, owner: Owner) -> bool:
    return (found or {}).get(KEY) == owner.tag


def is_passing(found: Mapping[str, str] | None) -> bool:
    """Tell whether the volume with this metadata was made only to be read: its mark has a disk's key behind the
    step."""
    return (found or {}).get(KEY, "").count("/") > 1


def same_workflow(found: Mapping[str, str] | None, owner: Owner) -> bool:
    """Tell whether any step of the owner's workflow made the thing with this metadata."""
    return (found or {}).get(KEY, "").startswith(f"{owner.workflow}/")
