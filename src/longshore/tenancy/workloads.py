"""OS-Migrate's workloads.yml: servers as they are to be in the target cloud."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longshore.errors import InvalidInput
from longshore.tenancy.documents import Resource, read_files
from longshore.tenancy.faults import NOWHERE, refusal
from longshore.tenancy.kinds.workload import SERVER
from longshore.tenancy.validate import faults_among


def read_workloads(path: Path) -> list[Resource]:
    """The servers of a file. Raises InvalidInput with the first fault when there are any, or no servers."""
    resources, faults = read_files({str(path): path})
    faults = sorted([*faults, *faults_among(resources)])
    if any(not fault.warning for fault in faults):
        raise refusal(faults, path.parent)
    servers = [resource for resource in resources if resource.kind is SERVER]
    if not servers:
        raise InvalidInput(f"There are no servers in {path}.", advice="OS-Migrate's workloads.yml has some.")
    return servers


def workload(params: Mapping[str, Any], info: Mapping[str, Any], how: Mapping[str, Any]) -> Resource:
    """A server that was read elsewhere. Raises InvalidInput when something is wrong with it."""
    server = Resource(SERVER, params, info, NOWHERE, how)
    wrong = [fault for fault in faults_among([server]) if not fault.warning]
    if wrong:
        raise InvalidInput(f"Server {server.name}: {wrong[0].sentence}", code="invalid-files")
    return server
