"""All kinds of concern there are, for the reference and for those who name one."""

import difflib
from collections.abc import Iterable

from longshore.errors import InvalidInput
from longshore.planning import (
    agent_checks,
    as_is,
    boot_proof,
    carried_over,
    cross_machine_checks,
    disks,
    file_checks,
    flavors,
    floating,
    guest_checks,
    guest_looks,
    in_place_checks,
    landing,
    machine_checks,
    mappings,
    new_addresses,
    nics,
    openstack_checks,
    placement,
    plan_kinds,
    quota,
    reading_checks,
    replica_checks,
    server_settings,
    source_quota,
    tpm,
    trunks,
    volumes,
    windows_checks,
)
from longshore.planning.kinds import ConcernKind

_AREAS = {
    "The machine at its source": (machine_checks,),
    "A machine in files": (file_checks,),
    "A machine of which ESXi's files are read, or vSphere exports the disks": (reading_checks,),
    "A server in OpenStack": (openstack_checks,),
    "A volume that no server has": (volumes,),
    "Its guest": (guest_checks, guest_looks, windows_checks, agent_checks, boot_proof),
    "Its hardware on the target": (landing, flavors, disks, as_is, tpm),
    "Networks and addresses": (trunks, nics, new_addresses),
    "What is mapped": (mappings,),
    "What it is given by name": (placement,),
    "What it has and keeps": (server_settings, carried_over, floating),
    "Quota": (quota, source_quota),
    "Replicas": (replica_checks,),
    "Restores in the place of a server": (in_place_checks,),
    "Machines that move together": (cross_machine_checks,),
    "Plans": (plan_kinds,),
}


def catalogue() -> dict[str, list[ConcernKind]]:
    """Return the kinds of concern by what they are about."""
    return {
        area: [found for module in modules for found in vars(module).values() if isinstance(found, ConcernKind)]
        for area, modules in _AREAS.items()
    }


def refuse_unknown(codes: Iterable[str]) -> None:
    """Raise InvalidInput for a code that no concern has: whoever accepts it means another."""
    known = [kind.code for kinds in catalogue().values() for kind in kinds]
    for code in codes:
        if code not in known:
            close = difflib.get_close_matches(code, known, n=1)
            raise InvalidInput(
                f'No concern has the code "{code}".', advice=f"Did you mean {close[0]}?" if close else ""
            )
