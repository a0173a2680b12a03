"""Replicas, and groups of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from longshore.api.groups import Group, GroupChange, GroupLanding, NewGroup
from longshore.api.replica_reports import ReplicaReport
from longshore.api.replicas import (
    Applied,
    FoundReplica,
    KeptMigration,
    NewAdoption,
    NewHold,
    NewReplica,
    NewTest,
    Point,
    Replica,
    ReplicaChange,
)
from longshore.api.schemas import Migration, PlanConcern
from longshore.client.calls import Calls, part


class ReplicaCalls(Calls):
    """Calls about replicas, by their id, the beginning of that, or the name of their machine; groups by their name."""

    def create_replica(self, wanted: NewReplica) -> Replica:
        return self._ask(Replica, "POST", "/v1/replicas", wanted.model_dump(mode="json"))

    def check_replica(self, wanted: NewReplica) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", "/v1/replicas/check", wanted.model_dump(mode="json"))

    def keep_as_replica(self, migration: str, wanted: KeptMigration) -> Replica:
        path = f"/v1/migrations/{part(migration)}/keep-as-replica"
        return self._ask(Replica, "POST", path, wanted.model_dump(mode="json"))

    def replicas(self, *, all_projects: bool = False) -> list[Replica]:
        return self._ask(list[Replica], "GET", "/v1/replicas", all_projects=all_projects)

    def replica(self, replica: str) -> Replica:
        return self._ask(Replica, "GET", f"/v1/replicas/{part(replica)}")

    def change_replica(self, replica: str, change: ReplicaChange) -> Replica:
        return self._ask(Replica, "PATCH", f"/v1/replicas/{part(replica)}", change.model_dump(mode="json"))

    def tell_replica(self, replica: str, what: str, body: BaseModel | None = None) -> Replica:
        """Tell a replica. `what`: sync, pause, resume, failover, undo, commit or migrate."""
        said = body.model_dump(mode="json") if body is not None else None
        return self._ask(Replica, "POST", f"/v1/replicas/{part(replica)}/{what}", said)

    def delete_replica(self, replica: str) -> Replica:
        return self._ask(Replica, "DELETE", f"/v1/replicas/{part(replica)}")

    def replica_file(self, replicas: Sequence[str]) -> dict[str, Any]:
        """Return the file of the replicas that are named, or of all."""
        return self._ask(dict[str, Any], "GET", "/v1/replica-file", replica=replicas)

    def apply_replica_file(self, content: Mapping[str, Any]) -> list[Applied]:
        return self._ask(list[Applied], "PUT", "/v1/replica-file", dict(content))

    def replica_report(self, replica: str) -> ReplicaReport:
        return self._ask(ReplicaReport, "GET", f"/v1/replicas/{part(replica)}/report")

    def found_replicas(self, provider: str) -> list[FoundReplica]:
        return self._ask(list[FoundReplica], "GET", f"/v1/providers/{part(provider)}/replicas")

    def adopt_replicas(self, wanted: NewAdoption) -> list[FoundReplica]:
        return self._ask(list[FoundReplica], "POST", "/v1/replicas/adopt", wanted.model_dump(mode="json"))

    def test_replica(self, replica: str, wanted: NewTest) -> Migration:
        return self._ask(Migration, "POST", f"/v1/replicas/{part(replica)}/test", wanted.model_dump(mode="json"))

    def points(self, replica: str) -> list[Point]:
        return self._ask(list[Point], "GET", f"/v1/replicas/{part(replica)}/points")

    def point(self, replica: str, number: int) -> Point:
        return self._ask(Point, "GET", f"/v1/replicas/{part(replica)}/points/{number}")

    def tell_point(self, replica: str, number: int, what: str, hold: NewHold) -> Point:
        """Hold or release a point. `what`: hold or release."""
        path = f"/v1/replicas/{part(replica)}/points/{number}/{what}"
        return self._ask(Point, "POST", path, hold.model_dump(mode="json"))

    def delete_point(self, replica: str, number: int) -> None:
        self._ask(type(None), "DELETE", f"/v1/replicas/{part(replica)}/points/{number}")

    # Groups

    def create_group(self, wanted: NewGroup) -> Group:
        return self._ask(Group, "POST", "/v1/replica-groups", wanted.model_dump(mode="json"))

    def groups(self, *, all_projects: bool = False) -> list[Group]:
        return self._ask(list[Group], "GET", "/v1/replica-groups", all_projects=all_projects)

    def group(self, group: str) -> Group:
        return self._ask(Group, "GET", f"/v1/replica-groups/{part(group)}")

    def change_group(self, group: str, change: GroupChange) -> Group:
        return self._ask(Group, "PATCH", f"/v1/replica-groups/{part(group)}", change.model_dump(mode="json"))

    def delete_group(self, group: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/replica-groups/{part(group)}")

    def run_group(self, group: str, what: str, body: GroupLanding) -> Migration:
        """Run a group. `what`: test or failover."""
        return self._ask(Migration, "POST", f"/v1/replica-groups/{part(group)}/{what}", body.model_dump(mode="json"))

    def tell_group(self, group: str, what: str) -> Group:
        """Tell a group. `what`: undo or commit."""
        return self._ask(Group, "POST", f"/v1/replica-groups/{part(group)}/{what}")
