"""Providers that another project has shared and taken back: what would use them waits, and opens nothing of them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update
from test_backup_policies import Policy
from test_parking import AUTOMATIC, away, back, parked, wait_for
from test_second_copies import Twofold

import longshore
from longshore.errors import NotSharedAnyMore
from longshore.flows import workflows
from longshore.flows.backups.pruning_by_policy import prune_if_due
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.model.backup_policy import Stand
from longshore.model.job import JobKind
from longshore.model.status import Status
from longshore.store import NewMigration, Scope
from longshore.store.tables import BackupPolicyRow, JobRow, MigrationRow, ProviderRow
from longshore.vault.directory import Directory
from longshore.vault.points import points
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from point_in_vault import with_point

SOURCE = Path(longshore.__file__).parent
pytestmark = pytest.mark.long
CODE = "isn't shared with this project any more"


def lend(store):
    """All providers are the operator's from now on, who shares them with the project whose migrations all are."""
    with store.database.session() as session:
        session.execute(update(ProviderRow).values(project_id="operator"))
        for rows in (MigrationRow, JobRow):
            session.execute(update(rows).values(project_id="project-b"))
        session.execute(update(BackupPolicyRow).values(project_id="project-b"))
    share(store)


def share(store):
    share_with(store, "project-b")


def share_with(store, project_id):
    for provider in store.providers.all():
        store.scoped(Scope("operator")).providers.share(provider.id, project_id)


def take_back(store, *names):
    for name in names:
        store.scoped(Scope("operator")).providers.unshare(store.providers.get(name).id, "project-b")


@pytest.fixture
def lent(begin):
    def lent(**request):
        run = begin(**request)
        lend(run.store)
        return run

    return lent


def test_what_is_shared_is_used(lent):
    run = lent()
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    run.assert_moved()


@pytest.mark.parametrize("name", ["small-source", "small-target"])
def test_one_whose_provider_was_taken_back_waits_until_it_is_shared_again(lent, name):
    run = lent()
    take_back(run.store, name)
    life = run.start_engine()
    assert f"The provider {name} {CODE}" in parked(run, life).job.reason
    if name == "small-source":
        assert run.world.calls() == []
    share(run.store)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_one_that_had_begun_keeps_what_it_has_and_opens_nothing_more(lent):
    run = lent(**AUTOMATIC)
    away(run, "open_volume")
    life = run.start_engine()
    parked(run, life)
    take_back(run.store, "small-source", "small-target")
    back(run)
    wait_for(lambda: CODE in (run.record.job.reason or ""), life)
    there, called = run.world.read(), len(run.world.calls())
    wait_for(lambda: run.store.jobs.get(run.record.job.id).times_parked > 2, life)
    assert {kind: run.world.read()[kind] for kind in there} == there
    assert len(run.world.calls()) == called
    share(run.store)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_one_that_is_cancelled_takes_away_what_it_has_made_there(lent):
    run = lent(**AUTOMATIC)
    away(run, "open_volume")
    life = run.start_engine()
    parked(run, life)
    take_back(run.store, "small-source", "small-target")
    back(run)
    wait_for(lambda: CODE in (run.record.job.reason or ""), life)
    run.store.migrations.request_cancel(run.id)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


def test_whose_user_would_rather_have_it_back_is_told_why(lent):
    run = lent(when_stuck="take-back")
    take_back(run.store, "small-target")
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "not-shared-any-more")
    run.assert_as_before()


@pytest.mark.parametrize("found_by", ["reference", "instance"])
def test_a_source_that_was_taken_back_is_marked_no_more_and_marks_of_it_go(lent, found_by):
    run = lent()
    if found_by == "instance":
        (run.world.root / "tells-instance").touch()
    own, wanted = run.store.scoped(Scope("project-b")).migrations, {"mark_source": {"suffix": "-moved"}}
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    own.request_marks(run.id, wanted)
    take_back(run.store, "small-source")
    life = run.start_engine()
    wait_for(lambda: any(CODE in text for text in run.told), life)
    assert "marks" not in run.world.read()
    share(run.store)
    assert life.wait(timeout=60) == 0
    assert run.world.read()["marks"] == {"suffix": "-moved"}
    take_back(run.store, "small-source")
    with pytest.raises(NotSharedAnyMore):
        own.request_marks(run.id, {"mark_source": {"note": True}})
    own.request_marks(run.id, {"mark_source": {"note": False}})
    assert run.engine()[0] == 0
    assert run.world.read()["marks"] == {}


def lent_policy(backed_up):
    backup = backed_up()
    policy = Policy(backup, keep="last 9")
    lend(backup.store)
    return policy


@pytest.mark.parametrize("name", ["small-source", "small-vault"])
def test_a_policy_waits_for_what_it_backs_up_and_where_to(backed_up, name):
    policy = lent_policy(backed_up)
    [first] = policy.run_at_once()
    assert first.point is not None, first.error
    take_back(policy.store, name)
    called = len(policy.backup.world.calls())
    assert policy.run() == 0
    record = policy.store.migrations.get(policy.id)
    assert (record.status, CODE in record.job.reason) == (Status.PARKED, True)
    assert policy.now.asked
    assert len(policy.backup.world.calls()) == called
    assert [point.name for point in policy.backup.points] == [first.point]
    share(policy.store)
    policy.store.jobs.hasten(policy.id)
    [second] = policy.run_at_once()
    assert [point.name for point in policy.backup.points] == [first.point, second.point]


def test_a_policy_that_waits_can_be_deleted(backed_up):
    policy = lent_policy(backed_up)
    take_back(policy.store, "small-source")
    assert policy.run() == 0
    policy.store.backup_policies.remove(policy.id)
    assert policy.backup.engine()[0] == 0
    assert policy.store.migrations.get(policy.id).status is Status.CANCELLED


def test_points_of_a_lent_vault_say_who_has_made_them_and_backups_build_on_ones_own_alone(backed_up):
    """The same machine of a source that several projects use: each has a chain of points of its own."""
    policy = lent_policy(backed_up)
    policy.run_at_once()
    store = policy.store
    with store.database.session() as session:  # what was project-b's is another project's from now on
        session.execute(update(MigrationRow).values(project_id="project-c"))
        session.execute(update(JobRow).values(project_id="project-c"))
        session.execute(update(BackupPolicyRow).values(project_id="project-c"))
    share_with(store, "project-c")
    policy.run_at_once()
    policy.run_at_once()
    vault = store.providers.get("small-vault").id
    makers = {}
    for project in ("operator", "project-b", "project-c"):
        with Clouds(store, project_id=project).vault(vault, "read") as opened:
            makers[project] = [point.maker for point in points(opened)]
    assert makers == {
        "operator": ["project-b", "project-c", "project-c"],
        "project-b": ["project-b"],
        "project-c": ["project-c"] * 2,
    }
    backups = [one.result for one in store.migrations.all() if one.request["type"] == "backup"]
    assert [bool(result["base"]) for result in backups] == [False, False, True]


def test_a_prune_that_a_policy_begins_is_the_owners(backed_up):
    """It reads what all projects' points name, and says how much that is."""
    policy = lent_policy(backed_up)
    policy.run_at_once()
    store = policy.store
    [job] = [one for one in store.queue.records() if one.record_id == policy.id] or [None]
    context = MoveContext(store, policy.id, job.id if job else "", clouds=Clouds(store, project_id="project-b"))
    lost = replace(policy.now, run=replace(policy.now.run, backups=(replace(policy.last[0], deleted=("x",)),)))
    prune_if_due(context, lost)
    [begun] = [one for one in store.migrations.all() if one.request["type"] == "prune"]
    assert begun.project_id == "operator"
    assert policy.backup.engine()[0] == 0
    [done] = [one for one in store.migrations.all() if one.request["type"] == "prune"]
    assert (done.status, done.result["points"]) == (Status.DONE, 1)
    assert begun.id not in [one.id for one in store.scoped(Scope("project-b")).migrations.all()]


def test_a_replica_that_has_points_waits_too(protect):
    replica = protect()
    lend(replica.store)
    replica.sync()
    take_back(replica.store, "small-source")
    called = len(replica.world.calls())
    replica.sync()
    assert (replica.record.status, CODE in replica.record.job.reason) == (Status.PARKED, True)
    assert len(replica.world.calls()) == called
    assert len(replica.points) == 1
    share(replica.store)
    replica.store.jobs.hasten(replica.id)
    assert replica.engine()[0] == 0
    assert len(replica.points) == 2
    replica.assert_whole()


def test_every_kind_of_job_opens_what_its_project_may_use_now(backed_up):
    """Whatever it does: the clouds that it is given are all that it can open."""
    backup = backed_up()
    store, id_ = backup.store, ""
    workflows._use(store, "test")
    for kind in JobKind:
        request = {"type": "cold"}
        new = NewMigration(f"web-{kind}", f"vm-{kind}", backup.source.id, backup.target.id, request)
        [record] = store.migrations.add_together([new])
        with store.database.session() as session:
            session.execute(update(JobRow).where(JobRow.id == record.job.id).values(kind=kind.value))
        id_ = record.job.id
        lend(store)
        job = workflows._context(id_)
        with job.clouds.source(backup.source.id):
            pass
        take_back(store, "small-source", "small-target", "small-vault")
        for opened, *what in (
            (job.clouds.source, backup.source.id),
            (job.clouds.target, backup.target.id),
            (job.clouds.provider, backup.place.id),
            (job.clouds.vault, backup.place.id, "read"),
            (job.clouds.vault_store, backup.place.id),
        ):
            with pytest.raises(NotSharedAnyMore), opened(*what):
                pass
    assert set(workflows.KINDS) <= set(JobKind)


_OPENING = re.compile(
    r"""(?<!def )(?<!class )(?<!")\b(connect\((?:\w+\.)?kind|Vault\.open\(|VaultSource\(|store_of\()"""
)


def test_nothing_opens_a_provider_or_a_vault_beside_the_one_place():
    """What would need a judgement of its own, and be forgotten by somebody one day."""
    found = {
        f"{path.relative_to(SOURCE)} {call}"
        for path in SOURCE.rglob("*.py")
        for call in _OPENING.findall(path.read_text())
    }
    assert found == {
        "flows/clouds.py connect(record.kind",  # judged
        "providers/vault/declaration.py VaultSource(",
        "providers/vault/source.py Vault.open(",
        "providers/vault/source.py store_of(",
        "service/providers.py connect(kind",  # by what whoever adds or changes it says
        "service/vaults.py store_of(",  # where a new one is made
    }


def test_without_its_second_vault_a_policy_backs_up_and_says_what_fails(backed_up, tmp_path):
    policy = Twofold(backed_up(), tmp_path)
    lend(policy.store)
    assert policy.run_and_copy().points == 1
    take_back(policy.store, "second")
    copy = policy.run_and_copy()
    assert (policy.last[0].stand, copy.stand) == (Stand.DONE, Stand.FAILED)
    assert copy.error is not None
    assert f"The provider second {CODE}" in copy.error
    assert len(policy.copied) == 1


def test_a_copy_carries_ones_own_points_and_the_owners_all_with_their_makers(backed_up, tmp_path):
    backup = backed_up()
    other = Vault.create(Directory(tmp_path / "other"), None)
    backup.store.providers.add("other", "vault", {"directory": str(tmp_path / "other")}, {})
    lend(backup.store)
    vaults = [backup.store.providers.get(name).id for name in ("small-vault", "other")]
    names = {}
    for project in ("project-a", "project-b", "operator"):
        share_with(backup.store, project)
        with Clouds(backup.store, project_id=project).vault(vaults[0], "write") as vault:
            names[project] = with_point(vault, tmp_path, "same-machine", content_of_disk=project.encode() * 999)
    names["nobody"] = with_point(backup.vault, tmp_path, "same-machine")

    def copied_for(project):
        request = {"type": "vault-copy"}
        new = NewMigration("small-vault", vaults[1], *vaults, request)
        [record] = backup.store.scoped(Scope(project)).migrations.add_together([new])
        assert backup.engine()[0] == 0
        assert backup.store.migrations.get(record.id).status is Status.DONE, backup.store.migrations.get(
            record.id
        ).error
        with Clouds(backup.store, project_id="operator").vault(vaults[1], "read") as vault:
            return {point.name.rpartition("/")[2]: point.maker for point in points(vault)}

    ends = {project: name.rpartition("/")[2] for project, name in names.items()}
    assert copied_for("project-b") == {ends["project-b"]: "project-b"}
    all_of_them = {ends[project]: project for project in ("project-a", "project-b", "operator")}
    assert copied_for("operator") == all_of_them | {ends["nobody"]: "operator"}
    assert verify(other).faults == ()
