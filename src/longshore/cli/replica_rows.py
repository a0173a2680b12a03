"""The report of a replica, in rows for people: the same in Markdown and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.model.durations import duration
from longshore.wording.figures import moment, size

if TYPE_CHECKING:
    from longshore.api.replica_reports import Landed, ReplicaReport

# Of a machine's time until it was seen up, in their order
PARTS = ("prepare", "clone", "look", "convert", "boot", "check")


def facts(report: ReplicaReport) -> list[tuple[str, Any]]:
    replica = report.replica
    return [
        ("Replica", replica.id),
        ("Machine", f"{replica.machine_name} ({replica.machine_ref})"),
        ("From, to", f"{replica.source}, {replica.target}"),
        ("Schedule", replica.schedule),
        ("Required RPO", span(replica.rpo)),
        ("RPO now", span(replica.rpo_now)),
        ("The next sync takes", span(replica.next_takes)),
        ("Usable points", replica.points),
        ("Last audit", moment(replica.audited_at)),
        ("RTO of the last test", span(rto(report, "test-failover"))),
        ("RTO of the last failover", span(rto(report, "failover"))),
        ("Report made", moment(report.made_at)),
    ]


def spans(report: ReplicaReport) -> list[tuple[Any, ...]]:
    return [
        (
            f"{one.hours} h" if one.hours <= 48 else f"{one.hours // 24} d",
            span(one.worst) or "no point",
            f"{one.kept:.1%}" if one.kept is not None else "",
            span(one.without),
        )
        for one in report.replica.figures
    ]


def syncs(report: ReplicaReport) -> list[tuple[Any, ...]]:
    return [
        (
            str(one["at"])[:19],
            "everything" if one["number"] == 0 else _bytes(one.get("bytes_changed")) or "compared",
            _bytes(one.get("bytes_written")),
            span(one.get("seconds")),
        )
        for one in report.replica.syncs[-20:]
    ]


def audits(report: ReplicaReport) -> list[tuple[Any, ...]]:
    rows = []
    for one in report.replica.audits:
        found = [f"{label}: {size(count)} hidden" for label, count in one["hidden"].items()]
        found += [f"{label}: {count} range(s) repaired" for label, count in one["repaired"].items()]
        rows.append((str(one["at"])[:19], one["point"], span(one["seconds"]), ", ".join(found) or "good"))
    return rows


def landings(report: ReplicaReport) -> list[tuple[Any, ...]]:
    return [
        (
            moment(one.asked_at),
            one.type,
            one.point,
            one.proof or one.error or one.status,
            *(span((one.seconds or {}).get(part)) for part in (*PARTS, "all")),
        )
        for one in report.landings[-20:]
    ]


def points(report: ReplicaReport) -> list[tuple[Any, ...]]:
    return [
        (
            f"{one.number} (suspect)" if one.suspect else one.number,
            moment(one.moment),
            one.consistency,
            moment(one.proved_at),
            "; ".join(one.kept),
        )
        for one in report.points
    ]


def last_up(report: ReplicaReport, kind: str) -> Landed | None:
    """Return the last of this kind that was seen up."""
    up = [one for one in report.landings if one.type == kind and one.seconds]
    return up[-1] if up else None


def rto(report: ReplicaReport, kind: str) -> float | None:
    last = last_up(report, kind)
    return (last.seconds or {}).get("all") if last else None


def span(seconds: float | None) -> str | None:
    return duration(seconds) if seconds is not None else None


def _bytes(count: int | None) -> str | None:
    return size(count) if count is not None else None
