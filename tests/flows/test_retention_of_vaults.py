"""A policy's points stay and go exactly as a replica's of the same moments would."""

import dataclasses
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.flows.backups.retention import decide_of_policy, suspects_of
from longshore.model.backup_policy import Stand, Verification
from longshore.model.point import Consistency
from longshore.model.replica import PointState
from longshore.model.retention import Retention
from longshore.planning.retention import decide, parse_retention, write_retention
from longshore.store import BackupPolicyRecord, PointRecord
from longshore.vault.points import Point

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = BEGIN + timedelta(days=60)
few = st.integers(0, 4)
rules = st.builds(
    Retention,
    last=st.integers(1, 4),
    daily=few,
    weekly=few,
    monthly=few,
    within=st.none() | st.integers(1, 200).map(lambda hours: timedelta(hours=hours)),
    zone=st.sampled_from(("UTC", "Europe/Berlin", "Asia/Kolkata")),
)
moments = st.lists(st.integers(0, 65 * 24).map(lambda hour: BEGIN + timedelta(hours=hour)), max_size=30, unique=True)


def policy_of(retention, suspect):
    verification = Verification("v", NOW, Stand.FAILED, "damaged", suspect)
    fields = {field.name: None for field in dataclasses.fields(BackupPolicyRecord)}
    return BackupPolicyRecord(
        **fields | {"id": "mine", "vault_id": "v", "retention": retention, "verification": verification}
    )


def in_vault(name, moment, policy="mine"):
    return Point(name, moment, {}, {"policy": policy, "consistency": "crash"})


def of_replica(number, moment, *, suspect, users):
    rest = {"changed": None, "written": None, "proved_at": None, "proof": None, "note": None}
    same = {"disks": (), "machine": {}, "holds": (), "users": users, "suspect": suspect, **rest}
    return PointRecord("r", number, PointState.USABLE, moment, moment, Consistency.CRASH, **same).point


@settings(max_examples=60, deadline=None)
@given(moments, rules, st.data())
def test_what_replicas_retention_says_is_said_of_points_in_a_vault(moments, retention, data):
    number_of = {f"web/{number:03}": number for number in range(len(moments))}
    some = st.sets(st.sampled_from(sorted(number_of)), max_size=4) if moments else st.just(set())
    suspect, used = data.draw(some), data.draw(some)
    written = write_retention(retention)
    there = [in_vault(name, moments[number]) for name, number in number_of.items()]
    others = [in_vault(f"db/{number:03}", NOW - timedelta(hours=number)) for number in range(3)]
    foreign = [in_vault("web/by-hand", NOW, None), in_vault("web/another", NOW, "theirs")]
    in_use = dict.fromkeys(used, ("restore 7",))
    policy, all_there = policy_of(written, tuple(suspect)), [*there, *others, *foreign]
    found = decide_of_policy(policy, all_there, in_use, {}, NOW, suspect=suspects_of(policy, "v"))
    replica = [
        of_replica(number, moments[number], suspect=name in suspect, users=("restore 7",) if name in used else ())
        for name, number in number_of.items()
    ]
    wanted = decide(replica, parse_retention(written), NOW)
    web = found.pop("web", None)
    kept = {number_of[kept.point.id]: kept.reasons for kept in web.kept} if web else {}
    assert kept == {int(kept.point.id): kept.reasons for kept in wanted.kept}
    going = {number_of[point.id] for point in web.going} if web else set()
    assert going == {int(point.id) for point in wanted.going}
    assert set(found) == {"db"}, "each machine's are judged by themselves"
