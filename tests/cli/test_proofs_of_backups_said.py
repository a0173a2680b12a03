"""What commands say of the copies and proofs of a backup policy, and of its points' trials."""

from datetime import UTC, datetime

import pytest

from in_process import longshore
from longshore.model.status import Status
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.backup_policies import NewBackupPolicy
from longshore.store.jobs import NEVER
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point


@pytest.fixture
def point(tmp_path):
    """That a policy has proved, and whose proof failed before that."""
    store = Store(StateDirectory(tmp_path / "state"))
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    (tmp_path / "images").mkdir()
    source = store.providers.add("images", "files", {"url": f"file://{tmp_path}/images"}, {}).id
    place = store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {}).id
    cloud = store.providers.add("cloud", "openstack", {}, {}).id
    clocks = {"prove": "weekly saturday 03:00 UTC", "prove_on": cloud, "prove_due_at": NEVER}
    Vault.create(Directory(tmp_path / "second"), None)
    second = store.providers.add("second", "vault", {"directory": str(tmp_path / "second")}, {}).id
    policy = NewBackupPolicy(
        "nightly", ("web",), None, "every 1d", "last 2", None, NEVER, None, copy_to=second, **clocks
    )
    new = NewMigration("nightly", "policy:1", source, place, {"type": "backup-policy"}, policy=policy)
    (record,) = store.migrations.add_together([new])
    point = with_point(vault, tmp_path, policy=record.id)
    for ended in (
        {"status": Status.FAILED, "error": "No room."},
        {"status": Status.DONE, "result": {"proof": "console"}},
    ):
        (trial,) = store.migrations.add_together([NewMigration("web", point, place, cloud, {"type": "dry-run"})])
        store.migrations.end_job(trial.id, trial.job.id, **ended)
    seconds = {"copy": 20.0, "boot": 5.0, "all": 25.0}
    told = {"machine_name": "web", "point": point, "id": trial.id, "stand": "done", "shown_by": "console"}
    at = datetime.now(UTC).isoformat()
    proof = {"begun_at": at, "ended_at": at, "trials": [{**told, "seconds": seconds}]}
    copy = {"id": "c", "begun_at": at, "stand": "done", "points": 4, "deleted": ["web/1"]}
    store.backup_policies.change(record.id, copy=copy, proof=proof)
    store.close()
    return point


def test_a_policy_and_a_point_say_what_was_proved_and_in_which_time(point, tmp_path):
    shown = longshore(tmp_path / "state", "backup", "policy", "show", "nightly")
    assert shown.returncode == 0, shown.stderr
    said = " ".join(shown.stdout.replace("|", " ").split())
    for words in ("weekly saturday 03:00 UTC", "1 of 1 seen up", "shown by console", "25 s (copy 20 s, boot 5 s)"):
        assert words in said
    assert "copy_to second" in said
    assert "4 point(s) copied, 1 old point(s) deleted" in said
    shown = longshore(tmp_path / "state", "backup", "show", point, "--vault", "offsite")
    assert "shown by console" in shown.stdout, "the last one counts"
    assert "No room." not in shown.stdout
    assert "Proved" in longshore(tmp_path / "state", "backup", "list", "--vault", "offsite").stdout


def test_a_proof_without_a_place_is_refused(point, tmp_path):
    words = ("backup", "policy", "create", "other", "--source", "images", "--vault", "offsite", "--name", "*")
    clocks = ("--schedule", "every 1d", "--keep", "last=2", "--prove", "every 7d")
    refused = longshore(tmp_path / "state", *words, *clocks)
    assert refused.returncode == 1
    assert "--prove-on CLOUD" in refused.stderr
    assert "other" not in longshore(tmp_path / "state", "backup", "policy", "list").stdout
