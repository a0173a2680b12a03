"""A policy's clock of proofs: the newest good point is restored in the small cloud, seen up, and taken away again."""

from datetime import timedelta

import pytest
from test_backup_policies import Policy

from longshore.model.backup_policy import Proof, Stand
from longshore.model.status import Status
from longshore.service.migrations_shown import shown
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now, with_zone
from longshore.vault.points import point_names

pytestmark = pytest.mark.long

# A kill at the last of so many calls of a trial, where what it has made is the least known
KILLED = [
    ("create_volume", 2, "after"),
    ("create_isolated_network", 1, "after"),
    ("create_port", 1, "after"),
    ("create_server", 1, "after"),
    ("console", 1, "before"),
    ("delete_server", 1, "after"),
    ("delete_volume", 2, "before"),
]
FAILING = ("create_isolated_network", "create_server")


@pytest.fixture
def backup(backed_up):
    return backed_up()


def proved_policy(backup, **of_policy):
    """It has a point; nothing is due."""
    policy = Policy(backup, **of_policy)
    policy.run_at_once()
    (backup.world.root / "one-moment").touch()
    clock = {"prove": "every 7d", "prove_on": backup.target.id, "prove_due_at": NEVER}
    policy.store.backup_policies.change(policy.id, **clock, prove_networks={"VM Network": "private"})
    return policy


def prove(policy, due_at=None):
    """The exit status of an engine for which a proof is due."""
    policy.store.backup_policies.change(policy.id, prove_due_at=due_at or utc_now())
    return policy.backup.engine()[0]


def assert_only_the_point_is_left(backup, of_trials=1):
    state = backup.world.read()
    assert not any(state[kind] for kind in ("servers", "ports", "networks", "volumes"))
    assert backup.world.violations == []
    trials = [one for one in backup.store.migrations.page(50) if one.request["type"] == "dry-run"]
    assert len(trials) == of_trials
    for trial in trials:
        assert [entry for entry in backup.store.ledger.entries(trial.id) if entry.state == "present"] == []


def test_the_newest_good_point_is_restored_seen_up_and_taken_away_and_that_is_on_record(backup):
    policy = proved_policy(backup)
    (newest,) = policy.run_at_once()
    assert prove(policy) == 0
    proof = policy.now.proof
    (trial,) = proof.trials
    assert (trial.point, trial.stand, trial.error) == (newest.point, Stand.DONE, None)
    assert trial.shown_by
    assert proof.ended_at is not None
    assert {"prepare", "copy", "convert", "boot", "check", "all"} <= set(trial.seconds)
    assert trial.seconds["all"] == pytest.approx(sum(s for n, s in trial.seconds.items() if n != "all"), abs=0.5)
    assert backup.world.calls().count("create_isolated_network") == 1, "beside the machine, which goes on"
    assert policy.store.backup_policies.trials(backup.place.id)[newest.point].shown_by == trial.shown_by
    assert_only_the_point_is_left(backup)
    assert utc_now() < policy.now.prove_due_at <= utc_now() + timedelta(days=7)
    assert any("1 of 1 point(s)" in text for text in policy.told)


def test_a_missed_proof_is_made_up_for_once_and_a_paused_policy_proves_nothing(backup):
    policy = proved_policy(backup)
    policy.store.backup_policies.change(policy.id, paused=True)
    assert prove(policy, utc_now() - timedelta(days=30)) == 0
    assert policy.now.proof is None
    (record,) = policy.store.migrations.several([policy.id])
    assert not shown(policy.store, [record])[0].interrupted, "it waits for whoever paused it, not for an engine"
    policy.store.backup_policies.change(policy.id, paused=False)
    assert backup.engine()[0] == 0
    assert backup.engine()[0] == 0
    assert [trial.stand for trial in policy.now.proof.trials] == [Stand.DONE]
    assert_only_the_point_is_left(backup)


def test_what_a_verification_found_damaged_is_not_tried_and_no_good_point_is_said(backup):
    policy = proved_policy(backup)
    (bad,) = policy.last
    kept = {"id": "v", "begun_at": "2026-01-01T00:00:00Z", "stand": "failed", "error": "x", "suspect": [bad.point]}
    policy.store.backup_policies.change(policy.id, verification=kept)
    assert prove(policy) == 0
    assert "no good point" in policy.now.proof.error
    assert_only_the_point_is_left(backup, of_trials=0)
    (good,) = policy.run_at_once()
    assert prove(policy) == 0
    assert [(trial.point, trial.stand) for trial in policy.now.proof.trials] == [(good.point, Stand.DONE)]


@pytest.mark.parametrize("call", FAILING)
def test_one_that_fails_leaves_nothing_says_why_and_its_point_stays_good(backup, call):
    policy = proved_policy(backup)
    backup.world.plan_fault(call, backup.world.calls().count(call) + 1, "before", "error")
    assert prove(policy) == 0
    (trial,) = policy.now.proof.trials
    assert (trial.stand, trial.shown_by) == (Stand.FAILED, None)
    assert f"weakness in {call}" in trial.error
    assert policy.now.proof.failed
    assert any("failed" in text and trial.point in text for text in policy.told)
    assert f"weakness in {call}" in policy.store.backup_policies.trials(backup.place.id)[trial.point].error
    assert policy.reasons[trial.point][0] == "newest usable point"
    assert_only_the_point_is_left(backup)


def test_a_cloud_that_is_gone_is_a_failed_proof(backup):
    policy = proved_policy(backup)
    policy.store.backup_policies.change(policy.id, prove_on="nowhere")
    assert prove(policy) == 0
    (trial,) = policy.now.proof.trials
    assert (trial.stand, policy.now.proof.ended_at is not None) == (Stand.FAILED, True)
    assert "nowhere" in trial.error


@pytest.mark.turns
@pytest.mark.parametrize(("call", "number", "when"), KILLED)
def test_a_proof_that_is_killed_goes_on_and_leaves_nothing(backup, call, number, when):
    policy = proved_policy(backup)
    backup.world.plan_fault(call, backup.world.calls().count(call) + number, when, "kill")
    assert prove(policy) == -9
    assert backup.engine()[0] == 0
    (trial,) = policy.now.proof.trials
    assert (trial.stand, trial.error) == (Stand.DONE, None)
    assert_only_the_point_is_left(backup)


def test_a_policy_killed_between_choosing_and_queuing_begins_one_trial(backup, monkeypatch):
    policy = proved_policy(backup)
    real = policy.store.backup_policies.begin
    with monkeypatch.context() as patched:

        def begin_and_die(policy_id, part, **columns):
            real(policy_id, part, **columns)
            if isinstance(part, Proof):
                patched.undo()
                backup.kill()

        patched.setattr(policy.store.backup_policies, "begin", begin_and_die)
        assert prove(policy) == -9
    assert backup.engine()[0] == 0
    assert [trial.stand for trial in policy.now.proof.trials] == [Stand.DONE]
    assert_only_the_point_is_left(backup)


def test_a_second_proof_is_not_begun_while_one_runs_and_a_trial_keeps_its_point(backup):
    policy = proved_policy(backup, keep="last 1")
    backup.world.plan_fault("create_server", 1, "before", "kill")
    assert prove(policy) == -9
    begun = policy.now.proof
    (trial,) = begun.trials
    assert policy.store.backup_policies.points_in_use(backup.place.id)[trial.point], "no retention removes it"
    assert prove(policy) == 0
    first = policy.store.migrations.get(trial.id)
    assert first.status is Status.DONE
    assert policy.now.proof.begun_at >= with_zone(first.finished_at), "the other one was due all the time"
    assert [one.stand for one in policy.now.proof.trials] == [Stand.DONE]
    assert trial.point in point_names(backup.vault)
    assert_only_the_point_is_left(backup, of_trials=2)
