"""Quantities of a vault: what it holds, how it grows, when it is full, and what a prune would remove."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from asking import asking

from longshore.model.request import MigrationType, VaultRequest
from longshore.model.status import Status
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.tables import utc_now
from longshore.vault.directory import Directory
from longshore.vault.holds import delete_point
from longshore.vault.points import point_names
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from point_in_vault import with_point

USAGE, DAY = "/v1/vaults/offsite/usage", 86400.0


@pytest.fixture
def vault(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    now = datetime.now(UTC)
    for name, ages in (("web", (3, 1)), ("db", (2,))):
        for age in ages:
            with_point(vault, tmp_path, name, now - timedelta(days=age), os.urandom(1 << 20))
    return vault


@pytest.fixture
def ask(tmp_path, vault, monkeypatch):
    store = Store(StateDirectory(tmp_path / "state"))
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    with asking(store, monkeypatch) as ask:
        ask.store = store
        yield ask
    store.close()


def files(vault):
    return [path for path in vault.store.root.rglob("*") if path.is_file() and not path.name.startswith(".")]


def made(path, days_ago):
    moment = path.stat().st_mtime - days_ago * DAY
    os.utime(path, (moment, moment))


def test_what_is_stored_is_counted_and_growth_is_that_of_the_last_month(ask, vault):
    assert ask("GET", USAGE).json()["per_day"] is None, "it is too young to tell"
    packs = [path for path in files(vault) if path.suffix == ".pack"]
    made(packs[0], 60)
    made(packs[1], 10)
    told = ask("GET", USAGE).json()
    sizes = {path: path.stat().st_size for path in files(vault)}
    assert 3 << 20 < told["stored"] <= sum(sizes.values())
    old = sizes[packs[0]]
    assert told["per_day"] == pytest.approx((told["stored"] - old) / 30, rel=0.01)
    free = os.statvfs(vault.store.root)
    assert told["free"] == pytest.approx(free.f_bavail * free.f_frsize, rel=0.2)
    in_days = (datetime.fromisoformat(told["full_at"]) - datetime.now(UTC)).total_seconds() / DAY
    assert in_days == pytest.approx(told["free"] / told["per_day"], rel=0.01)


def test_points_are_told_by_machine(ask, vault):
    found = ask("GET", USAGE).json()["machines"]
    assert [(one["machine"], one["points"]) for one in found] == [("db", 1), ("web", 2)]
    web = found[1]
    days = (datetime.fromisoformat(web["newest"]) - datetime.fromisoformat(web["oldest"])).total_seconds() / DAY
    assert days == pytest.approx(2, abs=0.01)


def test_the_last_verification_and_prune_are_told_with_how_they_ended(ask):
    assert ask("GET", USAGE).json()["verified_at"] is None
    vault = ask.store.providers.get("offsite").id
    for kind, status in ((MigrationType.VERIFICATION, Status.FAILED), (MigrationType.PRUNE, Status.DONE)):
        request = VaultRequest(kind).to_json()
        (record,) = ask.store.migrations.add_together([NewMigration("offsite", vault, vault, vault, request)])
        ask.store.migrations.update(record.id, status=status, finished_at=utc_now())
    told = ask("GET", USAGE).json()
    assert (told["verified_well"], bool(told["verified_at"]), bool(told["pruned_at"])) == (False, True, True)


def test_what_a_prune_would_remove_is_said_and_nothing_is_removed(ask, vault):
    at = "/v1/vaults/offsite/prunable"
    assert ask("GET", at).json()["deleted"] == 0
    delete_point(vault, point_names(vault)[-1])
    for path in files(vault):
        made(path, 3)
    prune(vault)  # condemns
    for path in (vault.store.root / "condemned").rglob("*.json"):
        made(path, 3)
    before = {path for path in files(vault) if path.suffix == ".pack"}
    told = ask("GET", at).json()
    assert (told["deleted"] > 0, told["freed"] > 1 << 20) == (True, True)
    assert {path for path in files(vault) if path.suffix == ".pack"} == before
