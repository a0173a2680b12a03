"""A service in Keystone's catalogue: where the clients of a cloud find it."""

from collections.abc import Iterator, Mapping
from typing import Any

from longshore.providers.openstack.faults import explained


def register(
    cloud: Any, *, name: str, service_type: str, description: str, urls: Mapping[str, str], region: str
) -> list[str]:
    """Make the catalogue say this, and answer what had to be changed, a sentence for each; once more changes nothing.

    `cloud`: an openstacksdk Connection of an administrator. `urls`: by interface. Raises AccessDenied, Unreachable.
    """
    with explained(f"register the service {name}"):
        return list(_register(cloud.identity, {"name": name, "type": service_type}, description, urls, region))


def _register(
    identity: Any, wanted: Mapping[str, str], description: str, urls: Mapping[str, str], region: str
) -> Iterator[str]:
    service = next(iter(identity.services(type=wanted["type"])), None)
    if service is None:
        service = identity.create_service(**wanted, description=description)
        yield f"Service {wanted['name']} of type {wanted['type']} was made."
    there = {e.interface: e for e in identity.endpoints(service_id=service.id) if e.region_id == region}
    for interface, url in urls.items():
        known = there.get(interface)
        if known is None:
            identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=region)
            yield f"The {interface} endpoint {url} was made."
        elif known.url != url:
            before = known.url
            identity.update_endpoint(known, url=url)
            yield f"The {interface} endpoint was {before} and is now {url}."
