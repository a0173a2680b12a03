"""longshore tenant …: an OpenStack project's resources as files that people edit."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Lister
from longshore.cli.counting import following
from longshore.errors import LongshoreError

if TYPE_CHECKING:
    from longshore.api.tenancy import TenancyJob, TenancyReport

_POLL = 0.2  # seconds


class _WithSelection(Lister):
    """Takes a directory, a provider and what of it is meant."""

    awaits = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", metavar="DIR", help="where the files are")
        parser.add_argument("--cloud", metavar="PROVIDER", required=True, help="the OpenStack provider's name")
        parser.add_argument(
            "--only",
            metavar="KINDS",
            action="append",
            default=[],
            help="only these kinds, as their files are called, with commas between them: networks,subnets",
        )
        parser.add_argument(
            "--filter",
            metavar="FILTER",
            action="append",
            default=[],
            dest="filters",
            help="only what fits: name=WORD, name~REGEX, tag=WORD, tag~REGEX; with ! before = or ~ what doesn't. "
            "What belongs to it comes along. May be given several times, and all must fit",
        )

    def _body(self, args: Namespace) -> dict[str, Any]:
        directory = str(Path(args.directory).absolute())
        return {"provider": args.cloud, "directory": directory, "only": args.only, "filters": args.filters}

    def _report(self, started: TenancyJob) -> TenancyReport:
        """Wait for a job, showing how far it is. Ctrl-C ends it, after the requests to a cloud that are under way."""
        job = started
        with following() as show:
            try:
                while job.state == "running":
                    time.sleep(_POLL)
                    job = self.client.tenancy_job(job.id)
                    show(job.done, job.total, job.doing)
            except KeyboardInterrupt:
                self.client.stop_tenancy_job(job.id)
                while self.client.tenancy_job(job.id).state == "running":
                    time.sleep(_POLL)
                raise
        if job.report is None:
            raise LongshoreError(job.error or "It failed without a word.", code=job.error_code)
        for note in job.report.notes:
            print(note, file=sys.stderr)
        return job.report


class ExportTenant(_WithSelection):
    """Write a project's resources to YAML files (and as administrator the cloud's), with the bytes of its images."""

    examples = (
        "longshore tenant export project/ --cloud cloud",
        "longshore tenant export project/ --cloud cloud --only networks --filter name=shop",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        report = self._report(self.client.start_tenancy("exports", self._body(args) | {"overwrite": args.overwrite}))
        if report.rows:
            self.fault = (
                "Not everything could be exported. The rest is written. Run it again with --overwrite when the reasons "
                "are gone."
            )
        return ("File", "Resources"), list(report.files.items())


class ValidateTenant(Lister):
    """Look for faults in the files of a directory, without any cloud: exit code 1 when there are some."""

    examples = ("longshore tenant validate project/",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", metavar="DIR", help="where the files are")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.tenancy import validate

        resources, faults = validate(Path(args.directory))
        serious = sum(not fault.warning for fault in faults)
        kinds = len({resource.kind.name for resource in resources})
        if serious:
            self.fault = f"{_count(serious, 'error')}."
        else:
            print(f"{_count(len(resources), 'resource')} of {_count(kinds, 'kind')}: no errors.", file=sys.stderr)
        rows = [(f.place.file, f.place.line, "warning" if f.warning else "error", f.sentence) for f in faults]
        return ("File", "Line", "Level", "What"), rows


class DiffTenant(_WithSelection):
    """Say what an import would make, change, leave and can't do. Nothing is changed."""

    examples = ("longshore tenant diff project/ --cloud cloud",)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _table(self._report(self.client.start_tenancy("diffs", self._body(args))))


class ImportTenant(_WithSelection):
    """Make a cloud have what the files say. What is there already stays, so it may be run again at any time."""

    examples = ("longshore tenant import project/ --cloud cloud",)

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--passwords",
            metavar="FILE",
            help="give users who are made new passwords and write them to this file, for its owner's eyes only; "
            "without it nobody can log in as one of them until an administrator sets a password",
        )

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        body = self._body(args)
        if args.passwords:
            body["passwords"] = str(Path(args.passwords).absolute())
        report = self._report(self.client.start_tenancy("imports", body))
        if failed := sum(row.action == "failed" for row in report.rows):
            self.fault = (
                f"{_count(failed, 'resource')} could not be imported. What was made stays; run it again when the "
                "reasons are gone."
            )
        if report.rows and all(row.action in ("left", "skipped") for row in report.rows):
            print("Nothing had to be changed.", file=sys.stderr)
        return _table(report)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _table(report: TenancyReport) -> tuple[Any, Any]:
    counts = Counter(row.action for row in report.rows)
    print(", ".join(f"{count} {action}" for action, count in counts.items()) or "There is nothing.", file=sys.stderr)
    return ("Action", "Kind", "Name", "What"), [(r.action, r.kind, r.name, r.said) for r in report.rows]
