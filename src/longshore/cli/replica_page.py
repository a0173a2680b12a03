"""Reports of replicas as one page that needs nothing else: no script, nothing fetched, all texts escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from longshore.border.texts import html as escape
from longshore.cli import replica_rows as rows
from longshore.model.durations import duration
from longshore.wording.charts import ages, bars, stacks
from longshore.wording.figures import moment, size

if TYPE_CHECKING:
    from longshore.api.replica_reports import ReplicaReport

_SHOWN = (("24 hours", timedelta(hours=24)), ("7 days", timedelta(days=7)), ("30 days", timedelta(days=30)))
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a202c }
h1 { margin: 3rem 0 0.5rem; border-top: 3px solid #2b6cb0; padding-top: 1rem } h2 { margin: 1.5rem 0 0.3rem }
table { border-collapse: collapse; margin: 0.5rem 0 } td, th { padding: 0.15rem 0.8rem 0.15rem 0; text-align: left;
vertical-align: top; border-bottom: 1px solid #e2e8f0 } svg { max-width: 100%; height: auto }
svg text { font: 11px system-ui, sans-serif; fill: #4a5568 }
.said { border-left: 4px solid #d69e2e; padding-left: 0.8rem }
.bad { border-color: #c53030 }
@media print { h1 { break-before: page } h1:first-of-type { break-before: auto } }
"""
_BAD = ("rpo-breached", "suspect", "no-point")


def page(reports: Sequence[ReplicaReport]) -> str:
    """Return the whole page, as text of an HTML file."""
    lines = [line for report in reports for line in _of_replica(report)]
    overview = table(
        ("Machine", "Stage", "RPO now", "Required RPO", "RTO of the last test", "To be said"),
        [
            (
                one.replica.machine_name,
                one.replica.stage.value,
                rows.span(one.replica.rpo_now),
                rows.span(one.replica.rpo),
                rows.span(rows.rto(one, "test-failover")),
                ", ".join(condition.code for condition in one.replica.conditions),
            )
            for one in reports
        ],
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Replicas</title><style>{_STYLE}</style></head><body>\n"
        f"<p>{len(reports)} replica(s), {escape(moment(datetime.now(UTC)) or '')}</p>\n{overview}\n"
        + "\n".join(lines)
        + "\n</body></html>\n"
    )


def _of_replica(report: ReplicaReport) -> Iterator[str]:
    replica = report.replica
    yield f"<h1>{escape(replica.machine_name)}: {escape(replica.stage.value)}</h1>"
    for one in replica.conditions:
        bad = " bad" if one.code in _BAD else ""
        yield f'<p class="said{bad}"><b>{escape(one.code)}</b> {escape(one.text)}</p>'
    yield table((), [(name, value) for name, value in rows.facts(report) if value is not None])
    yield "<h2>RPO</h2>"
    yield table(("Over", "Worst", "Kept", "Without a point"), rows.spans(report))
    arrivals = [(_utc(one.moment), _utc(one.usable_at)) for one in report.arrivals]
    until, began = _utc(report.made_at), _utc(replica.created_at)
    for name, length in _SHOWN:
        yield f"<h2>Age of the newest point, {name}</h2>"
        yield ages(
            arrivals, max(until - length, min(began, until - timedelta(minutes=1))), until, replica.rpo, duration
        )
    changes = [sync for sync in replica.syncs if sync["number"]]
    named = [(f"{str(sync['at'])[:19]}", sync) for sync in changes]
    yield "<h2>Syncs: how long they took</h2>"
    yield bars("Seconds of syncs", [(name, float(sync.get("seconds") or 0)) for name, sync in named], duration)
    yield "<h2>Syncs: bytes written</h2>"
    yield bars("Bytes of syncs", [(name, float(sync.get("bytes_written") or 0)) for name, sync in named], size)
    yield "<h2>Machines made of points</h2>"
    up = [(f"{moment(one.asked_at)} {one.type}", one.seconds) for one in report.landings if one.seconds][-20:]
    yield stacks("Seconds until they were seen up", rows.PARTS, up, duration)
    if replica.audits:
        yield "<h2>Audits</h2>"
        yield table(("At (UTC)", "Point", "Took", "Found"), rows.audits(report))
    yield "<h2>Points</h2>"
    yield table(("Number", "Moment", "Consistency", "Proved", "Kept because"), rows.points(report))


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    named = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    cells = ("".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in line) for line in lines)
    body = "".join(f"<tr>{line}</tr>" for line in cells)
    return f"<table>{f'<tr>{named}</tr>' if head else ''}{body}</table>"


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
