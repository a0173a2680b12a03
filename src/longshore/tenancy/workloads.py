"""OS-Migrate's workloads.yml and detached_volumes.yml: servers and volumes as they are to be in the target cloud."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from longshore.errors import InvalidInput
from longshore.tenancy.documents import Resource, read_files
from longshore.tenancy.faults import NOWHERE, Fault, refusal
from longshore.tenancy.kind import ResourceKind
from longshore.tenancy.kinds.workload import DETACHED_VOLUME, SERVER
from longshore.tenancy.validate import faults_among


def read_workloads(path: Path) -> list[Resource]:
    """Read the servers of a file. Raises InvalidInput with the first fault when there are any, or no servers."""
    return _read(path, SERVER)


def read_detached_volumes(path: Path) -> list[Resource]:
    """Read the volumes of a file, each of which says which one is meant. Raises InvalidInput as above."""
    volumes = _read(path, DETACHED_VOLUME)
    if faults := list(_unclear(volumes)):
        raise refusal(faults, path.parent)
    return volumes


def workload(params: Mapping[str, Any], info: Mapping[str, Any], how: Mapping[str, Any]) -> Resource:
    """Check a server that was read elsewhere. Raises InvalidInput when something is wrong with it."""
    server = Resource(SERVER, params, info, NOWHERE, how)
    wrong = [fault for fault in faults_among([server]) if not fault.warning]
    if wrong:
        raise InvalidInput(f"Server {server.name}: {wrong[0].sentence}", code="invalid-files")
    return server


def _read(path: Path, kind: ResourceKind) -> list[Resource]:
    resources, faults = read_files({str(path): path})
    faults = sorted([*faults, *faults_among(resources)])
    if any(not fault.warning for fault in faults):
        raise refusal(faults, path.parent)
    found = [resource for resource in resources if resource.kind is kind]
    if not found:
        raise InvalidInput(f"There are no {kind.name}s in {path}.", advice=f"OS-Migrate's {kind.file} has some.")
    return found


def _unclear(volumes: Sequence[Resource]) -> Iterator[Fault]:
    """Yield those of which one can't say which volume of the source they mean, and those that are there twice."""
    first: dict[str, Resource] = {}
    for volume in volumes:
        meant = volume.info.get("id") or volume.params.get("name")
        if not isinstance(meant, str) or not meant:
            yield Fault(volume.place, "This volume has neither an id in _info nor a name: nothing says which it is.")
            continue
        earlier = first.setdefault(meant, volume)
        if earlier is not volume:
            text = f"The volume {volume.name} is here a second time; the first is in {earlier.place}."
            yield Fault(volume.place, text)
