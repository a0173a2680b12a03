"""longshore replica report: how well machines are protected, for people (Markdown, HTML) or programs (JSON)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from longshore.border.documents import as_json
from longshore.cli import replica_rows as rows
from longshore.cli.command import Command
from longshore.cli.report import plain, table_lines

if TYPE_CHECKING:
    from longshore.api.replica_reports import ReplicaReport


class ReportReplicas(Command):
    """Report how well machines are protected: RPO now, at worst and over time, syncs, points, and what tests took."""

    examples = ("longshore replica report web01", "longshore replica report -f html > replicas.html")

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("replica", nargs="*", help="id, the beginning of it, or name of its machine (default: all)")
        parser.add_argument(
            "-f",
            "--format",
            choices=("md", "json", "html"),
            default="md",
            help="default: %(default)s (Markdown); html: one file with charts, which needs nothing else",
        )

    def take_action(self, args: Namespace) -> None:
        from longshore.api.replica_reports import ReplicaReport
        from longshore.model.forms import form

        names = args.replica or [replica.id for replica in self.client.replicas()]
        reports = [self.client.replica_report(name) for name in names]
        if args.format == "json":
            sys.stdout.write(as_json(form(list[ReplicaReport]).dump_python(reports, mode="json")))
        elif args.format == "html":
            from longshore.cli.replica_page import page

            sys.stdout.write(page(reports))
        else:
            sys.stdout.write("\n".join(line for report in reports for line in of_replica(report)) + "\n")


def of_replica(report: ReplicaReport) -> Iterator[str]:
    """Yield lines of Markdown."""
    replica = report.replica
    yield f"# {plain(replica.machine_name)}: {replica.stage}\n"
    yield from table_lines(("", ""), rows.facts(report))
    if replica.conditions:
        yield "\n## To be said\n"
        yield from table_lines(("", ""), [(one.code, one.text) for one in replica.conditions])
    yield "\n## RPO\n"
    yield from table_lines(("Over", "Worst", "Kept", "Without a point"), rows.spans(report))
    yield "\n## Syncs\n"
    yield from table_lines(("At (UTC)", "Changed", "Written", "Took"), rows.syncs(report))
    if replica.audits:
        yield "\n## Audits\n"
        yield from table_lines(("At (UTC)", "Point", "Took", "Found"), rows.audits(report))
    if report.landings:
        yield "\n## Machines made of points\n"
        yield from table_lines(("At (UTC)", "What", "Point", "Result", *rows.PARTS, "all"), rows.landings(report))
    yield "\n## Points\n"
    yield from table_lines(("Number", "Moment", "Consistency", "Proved", "Kept by"), rows.points(report))
    yield ""
