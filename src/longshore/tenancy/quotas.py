"""Checks whether the project has room for what is to be made: asked before anything is."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from longshore.errors import AccessDenied, NotFound, QuotaExceeded
from longshore.providers.openstack.faults import explained
from longshore.tenancy.cloud import Cloud
from longshore.tenancy.plan import Action, Plan, Verdict
from longshore.tenancy.services.security import limits_egress


def check_room(cloud: Cloud, plan: Plan) -> None:
    """Raise QuotaExceeded with all that there's no room for."""
    short = list(_short(cloud, plan))
    if short:
        raise QuotaExceeded(
            f"The project's quota has no room for what is to be made: {'; '.join(short)}.",
            advice="Ask for a larger quota, or import less with --only or --filter. Nothing was changed.",
        )


def _short(cloud: Cloud, plan: Plan) -> Iterator[str]:
    made = Counter(action.resource.kind.name for action in plan.of(Verdict.MAKE))
    network = _network_needs(plan)
    if network:
        room = _network_room(cloud)
        for name, count in network.items():
            if name in room and 0 <= room[name] < count:
                yield f"{count} {name.replace('_', ' ')} are needed and {room[name]} left"
    if made["key pair"] or made["server group"]:
        with explained("read the project's quota"):
            limits = cloud.connection.compute.get_limits().absolute
        mine = sum(1 for raw in cloud.own(cloud.kind("key pair")) if raw.user_id == cloud.user_id)
        room = {
            "key pair": _room(limits.keypairs, mine),
            "server group": _room(limits.server_groups, limits.server_groups_used),
        }
        own_pairs = sum(
            1
            for action in plan.of(Verdict.MAKE)
            if action.resource.kind.name == "key pair" and action.values.get("user_id") == cloud.user_id
        )
        for name, count in (("key pair", own_pairs), ("server group", made["server group"])):
            if 0 <= room[name] < count:
                yield f"{count} {name}s are needed and {room[name]} left"


def _network_needs(plan: Plan) -> Counter[str]:
    needs: Counter[str] = Counter()
    for action in plan.of(Verdict.MAKE):
        kind = action.resource.kind
        if kind.quota and not _comes_by_itself(action):
            needs[kind.quota] += 1
        if kind.name == "security group":
            needs["security_group_rules"] += 2  # made by the API itself, and there until they are replaced
    return needs


def _comes_by_itself(action: Action) -> bool:
    """Tell whether it is one of the rules that the API gives every new security group: everything out."""
    new = isinstance(action.values.get("security_group_id"), Action)
    return new and action.values.get("direction") == "egress" and not limits_egress(action.values)


def _network_room(cloud: Cloud) -> dict[str, int]:
    """Return what is left of each limit; -1: there's none. Empty where a plain member isn't told."""
    try:
        with explained("read the project's quota"):
            quota = cloud.connection.network.get_quota(cloud.project_id, details=True)
    except (AccessDenied, NotFound):
        return {}
    room = {}
    for name in ("networks", "subnets", "ports", "routers", "floating_ips", "security_groups", "security_group_rules",
                 "rbac_policies", "subnet_pools"):  # fmt: skip
        details = getattr(quota, name, None)
        if isinstance(details, dict):
            room[name] = _room(details["limit"], int(details["used"]) + int(details.get("reserved", 0)))
    return room


def _room(limit: Any, used: Any) -> int:
    return -1 if limit is None or int(limit) < 0 else max(0, int(limit) - int(used or 0))
