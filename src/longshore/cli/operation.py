"""longshore operation …: how the whole installation stands, for those who operate it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import Lister, ShowOne
from longshore.model.durations import duration
from longshore.wording.figures import moment


class ShowOperation(ShowOne):
    """Show how many workers live, what waits and moves, and how much was left outside, over all projects."""

    examples = ("longshore operation show",)

    def show(self, _args: Namespace) -> dict[str, Any]:
        found = self.client.operation()
        fields = found.model_dump()
        counts = fields.pop("queue")
        fields["oldest"] = moment(found.oldest)
        fields["kept"] = self.size_of(found.kept)
        return {**fields, **counts}


class ListWorkers(Lister):
    """List workers with their leases, and how many jobs each has."""

    examples = ("longshore operation worker list",)

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        columns = ("ID", "Host", "PID", "Flow version", "At once", "Jobs", "Labels", "Since", "Lease")
        return columns, [
            (
                *(one.id, one.host, one.pid, one.flow_version, one.capacity, one.jobs, " ".join(one.labels)),
                *(moment(one.started_at), self._lease(one.lease_ends_in)),
            )
            for one in self.client.workers()
        ]

    def _lease(self, ends_in: float | None) -> Any:
        if not self.for_people:
            return ends_in
        if ends_in is None:
            return "needs none"
        return f"ends in {duration(ends_in)}" if ends_in >= 0 else f"ended {duration(-ends_in)} ago"


class ListQueue(Lister):
    """List the jobs of all projects that wait for a worker or that one has, in the order of their turns."""

    examples = ("longshore operation queue list --stranded",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--worker", metavar="ID", help="only what this worker has")
        parser.add_argument("--stranded", action="store_true", help="only what no living worker can take")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns = ("Migration", "Machine", "Project", "Kind", "Status", "Phase", "Worker", "Requested", "Why not")
        return columns, [
            (
                *(one.migration, one.machine_name, one.project_id, one.kind.value, one.status.value, one.phase),
                *(one.worker, moment(one.asked_at), one.stranded or one.reason),
            )
            for one in self.client.queue(worker=args.worker, stranded=args.stranded)
        ]


class ListLeftOvers(Lister):
    """List what migrations of all projects have outside that somebody has to look at.

    What ended ones may have left: `migration cleanup` tries to remove it. And volumes of those that keep their copy and
    wait: `migration retry` or `migration cancel`.
    """

    examples = ("longshore operation left-over list",)

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        columns = ("Migration", "Machine", "Project", "Provider", "Kind", "Size", "Ref", "State", "Note")
        return columns, [
            (
                *(one.migration_id, one.machine_name, one.project_id, one.provider),
                *(one.kind, self.size_of(one.size), one.ref, one.state, one.note),
            )
            for one in self.client.left_overs()
        ]
