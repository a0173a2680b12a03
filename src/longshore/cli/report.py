"""longshore migration report and longshore plan report: what became of it, for people (Markdown) or programs (JSON)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from longshore.border.documents import as_json
from longshore.border.texts import markdown
from longshore.cli.command import Command
from longshore.cli.given_files import put_text
from longshore.cli.migrations import with_id
from longshore.cli.plans import with_plan
from longshore.cli.replica_rows import span
from longshore.model.durations import duration
from longshore.wording.figures import moment, size
from longshore.wording.guest import guest_rows

if TYPE_CHECKING:
    from longshore.api.reports import PlanReport, Report, ReportedMachine


def _with_format(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--format", choices=("md", "json"), default="md", help="default: %(default)s (Markdown)")


class ReportMigration(Command):
    """Report what was copied, verified, changed and said in a migration, ended or running."""

    examples = ("longshore migration report 1f6e0c52 -f md > web01.md",)
    options = (with_id, _with_format)

    def take_action(self, args: Namespace) -> None:
        report = self.client.migration_report(args.migration)
        _write(args, report, "\n".join(of_migration(report)))


class BundleMigration(Command):
    """Write all that is on record of a migration as JSON, for those who help: what was asked for, what happened, what
    was made and what is left. Nothing secret is in it; names of machines, networks and hosts are.
    """

    examples = ("longshore migration bundle 1f6e0c52 web01.json",)

    options = (with_id,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", help="default: standard output")

    def take_action(self, args: Namespace) -> None:
        put_text(args.file, as_json(self.client.bundle(args.migration)))


class ReportPlan(Command):
    """Report what became of all machines of a plan."""

    examples = ("longshore plan report weekend -f md > weekend.md",)
    options = (with_plan, _with_format)

    def take_action(self, args: Namespace) -> None:
        report = self.client.plan_report(args.plan)
        _write(args, report, "\n".join(of_plan(report)))


def of_plan(report: PlanReport) -> Iterator[str]:
    """Yield lines of Markdown."""
    yield f"# Plan {plain(report.name)}\n"
    if report.description:
        yield f"{plain(report.description)}\n"
    states = ", ".join(f"{count} {status}" for status, count in report.states.items())
    yield from table_lines(
        ("", ""),
        [
            ("From, to", f"{report.source}, {report.target}"),
            ("Machines", states),
            ("Started", moment(report.started_at)),
            ("Finished", moment(report.finished_at)),
            ("Took", span(report.seconds)),
            ("Read", size(report.bytes_read)),
            ("Verified on the target", size(report.bytes_verified)),
            ("Longest downtime", span(report.longest_downtime_seconds)),
        ],
    )
    yield "\n## Machines\n"
    yield from table_lines(
        ("Machine", "Wave", "Type", "Status", "Downtime", "Read", "Tries", "Migration"), map(_row, report.machines)
    )
    for machine in report.machines:
        for attempt in machine.earlier:
            why = f". {plain(attempt.error)}" if attempt.error else "."
            yield f"\n{plain(machine.machine)}, an earlier try ({attempt.id}): {attempt.status}{why}"
        if machine.report is not None:
            yield "\n---\n"
            yield from of_migration(machine.report)


def of_migration(report: Report) -> Iterator[str]:
    """Yield lines of Markdown."""
    yield f"# {plain(report.machine)}: {report.type}, {report.status}\n"
    where = f"{report.plan}, wave {report.wave}" if report.plan else None
    yield from table_lines(
        ("", ""),
        [
            ("Migration", report.id),
            ("Machine", f"{report.machine} ({report.machine_ref})"),
            ("From, to", f"{report.source}, {report.target}"),
            ("Plan", where),
            ("Phase", None if report.phase in (report.status, "rolled-back") else report.phase),
            ("Landing", report.landing),
            ("Server", report.server_id),
            ("Started", moment(report.started_at)),
            ("Source seen off", moment(report.source_off_at)),
            ("Target seen up", moment(report.target_up_at)),
            ("Boot proof", report.proof),
            ("Finished", moment(report.finished_at)),
            ("Took", span(report.seconds)),
            ("Downtime", _away(report)),
            ("Error", report.error),
            ("Accepted", ", ".join(report.accepted)),
        ],
    )
    yield from _copies(report)
    if report.ports:
        yield "\n## Network\n"
        yield from table_lines(("MAC", "Addresses"), [(p["mac"], " ".join(p["addresses"])) for p in report.ports])
    yield from _found(report.guest)
    yield from _conversion(report.conversion)
    yield from _list("Concerns", report.concerns)
    yield from _list("Left behind", [f"{e.kind} {e.ref or ''}: {e.note or ''}" for e in report.left])
    yield "\n## Events\n"
    yield from table_lines(
        ("At", "Level", "Phase", "What"), [(moment(e.at), e.level, e.phase, e.text) for e in report.events]
    )


def _copies(report: Report) -> Iterator[str]:
    yield "\n## Disks\n"
    disks = [(d.label, size(d.size), d.state, d.root_digest, d.volume_id) for d in report.disks]
    yield from table_lines(("Disk", "Size", "Copy", "Root digest (BLAKE3)", "Volume"), disks)
    copied = report.copied
    if copied is not None:
        rate = f" ({size(copied.rate)}/s at first)" if copied.rate else ""
        yield (
            f"\n{size(copied.read)} read, {size(copied.written)} written in {duration(copied.seconds)}{rate}; "
            f"{size(copied.verified)} read back from the target and compared (verify: {report.verify})."
        )
    if report.syncs:
        yield "\n## Copies of the running machine\n"
        yield from table_lines(
            ("Number", "At (UTC)", "Changed", "Written", "Verified", "Took", ""), [_sync(sync) for sync in report.syncs]
        )


def _sync(sync: dict[str, Any]) -> tuple[Any, ...]:
    changed = sync.get("bytes_changed")
    return (
        sync["number"],
        str(sync.get("at", ""))[:19],
        "everything" if sync["number"] == 0 else "compared" if changed is None else size(changed),
        size(sync.get("bytes_written", 0)),
        size(sync.get("bytes_verified", 0)),
        span(sync.get("seconds")),
        "machine off" if sync.get("final") else "",
    )


def _found(guest: dict[str, Any] | None) -> Iterator[str]:
    """Yield what its disks told before anything on them was changed."""
    if rows := list(guest_rows(guest)):
        yield "\n## Guest, as it was found\n"
        yield from table_lines(("", ""), rows)


def _conversion(conversion: dict[str, Any] | None) -> Iterator[str]:
    """Yield what was found in the guest and changed in it; nothing when nobody looked."""
    found = conversion or {}
    hardware = found.get("hardware") or {}
    rows = [
        ("System", (found.get("system") or {}).get("product")),
        ("Hardware", ", ".join(f"{name} {value}" for name, value in hardware.items() if isinstance(value, str))),
        ("Took", span(found.get("seconds"))),
    ]
    if any(value for _, value in rows):
        yield "\n## Guest\n"
        yield from table_lines(("", ""), rows)
    said = [(what, sentence) for what in ("changes", "warnings", "messages") for sentence in found.get(what) or ()]
    if said:
        yield ""
    for what, sentence in said:
        yield f"- {'' if what == 'changes' else what[:-1] + ': '}{plain(sentence)}"


def _row(machine: ReportedMachine) -> tuple[Any, ...]:
    report = machine.report
    if report is None:
        return (machine.machine, machine.wave, None, "planned", None, None, 0, None)
    read = size(report.copied.read) if report.copied else None
    off = span(report.downtime_seconds)
    tries = len(machine.earlier) + 1
    return (machine.machine, machine.wave, report.type, report.status, off, read, tries, report.id)


def _list(title: str, sentences: list[str]) -> Iterator[str]:
    if sentences:
        yield f"\n## {title}\n"
        yield from (f"- {plain(sentence)}" for sentence in sentences)


def _away(report: Report) -> str | None:
    words = (span(report.downtime_seconds), report.downtime_note)
    return ". ".join(word for word in words if word) or None


def _write(args: Namespace, report: Report | PlanReport, text: str) -> None:
    if args.format == "json":
        sys.stdout.write(as_json(TypeAdapter(dict[str, Any]).dump_python(asdict(report), mode="json")))
    else:
        sys.stdout.write(text + "\n")


def table_lines(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    """Yield a table's lines, without rows of which nothing is known; in a table of two columns, without those whose
    value isn't."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        if len(row) > 2 or row[1] not in (None, ""):
            yield f"| {' | '.join(plain(cell) for cell in row)} |"


def plain(cell: object) -> str:
    return "" if cell is None else markdown(cell)
