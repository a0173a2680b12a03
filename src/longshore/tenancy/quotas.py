"""Checks whether the project has room for what is to be made: asked before anything is."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from longshore.errors import AccessDenied, NotFound, QuotaExceeded
from longshore.providers.openstack.faults import explained
from longshore.tenancy.cloud import Cloud
from longshore.tenancy.kind import Scope
from longshore.tenancy.kinds.identity import NETWORK_LIMITS
from longshore.tenancy.plan import Action, Plan, Verdict
from longshore.tenancy.services.security import limits_egress

_OF_COMPUTE = {"key_pairs", "server_groups"}  # the quotas that the compute service keeps


def check_room(cloud: Cloud, plan: Plan) -> None:
    """Raise QuotaExceeded with all that there's no room for."""
    short = list(_short(cloud, plan))
    if short:
        raise QuotaExceeded(
            f"The project's quota has no room for what is to be made: {'; '.join(short)}.",
            advice="Ask for a larger quota, or import less with --only or --filter. Nothing was changed.",
        )


def _short(cloud: Cloud, plan: Plan) -> Iterator[str]:
    needs = _needs(cloud, plan)
    room: dict[str, int] = {}
    if needs.keys() - _OF_COMPUTE:
        room |= _network_room(cloud, _to_come(cloud, plan, "network"))
    if needs.keys() & _OF_COMPUTE:
        room |= _compute_room(cloud, _to_come(cloud, plan, "compute"))
    for name, count in needs.items():
        if name in room and 0 <= room[name] < count:
            yield f"{count} {name.replace('_', ' ')} are needed and {room[name]} left"


def _to_come(cloud: Cloud, plan: Plan, service: str) -> dict[str, int]:
    """Return the limits that the project gets by this import, before anything else is made in it."""
    for action in plan.of(Verdict.CHANGE):
        if action.resource.kind.name == "quota" and action.identity == cloud.project_id:
            return {name: limit for name, limit in action.values.get(service, {}).items() if limit is not None}
    return {}


def _needs(cloud: Cloud, plan: Plan) -> Counter[str]:
    needs: Counter[str] = Counter()
    for action in plan.of(Verdict.MAKE):
        kind = action.resource.kind
        anothers = kind.scope is Scope.USER and action.values.get("user_id") != cloud.user_id
        if kind.quota and not anothers and not _comes_by_itself(action):
            needs[kind.quota] += 1
        if kind.name == "security group":
            needs["security_group_rules"] += 2  # made by the API itself, and there until they are replaced
    return needs


def _comes_by_itself(action: Action) -> bool:
    """Tell whether it is one of the rules that the API gives every new security group: everything out."""
    new = isinstance(action.values.get("security_group_id"), Action)
    return new and action.values.get("direction") == "egress" and not limits_egress(action.values)


def _compute_room(cloud: Cloud, to_come: Mapping[str, int]) -> dict[str, int]:
    try:
        with explained("read the project's quota"):
            limits = cloud.connection.compute.get_limits().absolute
    except (AccessDenied, NotFound):  # as below
        return {}
    mine = sum(1 for raw in cloud.own(cloud.kind("key pair")) if raw.user_id == cloud.user_id)
    return {
        "key_pairs": _room(to_come.get("key_pairs", limits.keypairs), mine),
        "server_groups": _room(to_come.get("server_groups", limits.server_groups), limits.server_groups_used),
    }


def _network_room(cloud: Cloud, to_come: Mapping[str, int]) -> dict[str, int]:
    """Return what is left of each limit; -1: there's none. Empty where a plain member isn't told."""
    try:
        with explained("read the project's quota"):
            quota = cloud.connection.network.get_quota(cloud.project_id, details=True)
    except (AccessDenied, NotFound):
        return {}
    room = {}
    for name in NETWORK_LIMITS:
        details = getattr(quota, name, None)
        if isinstance(details, dict):
            used = int(details["used"]) + int(details.get("reserved", 0))
            room[name] = _room(to_come.get(name, details["limit"]), used)
    return room


def _room(limit: Any, used: Any) -> int:
    return -1 if limit is None or int(limit) < 0 else max(0, int(limit) - int(used or 0))
