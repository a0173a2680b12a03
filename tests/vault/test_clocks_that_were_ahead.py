"""What a file server's clock has dated into the future holds nothing for ever, and nothing that is needed goes."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from small_vault import Backup, InDirectory, opened

from longshore.providers.vault.source import find_point
from longshore.vault.holds import delete_point
from longshore.vault.prune import PrunedInPart, prune
from longshore.vault.sealing import Plain
from longshore.vault.verify import verify
from longshore.vault.writers import register
from point_in_vault import with_point

YEAR = 365 * 86400.0


@pytest.fixture
def place(tmp_path):
    (tmp_path / "vault").mkdir()
    return InDirectory(tmp_path / "vault")


def date_all_ahead(place):
    for path in place.root.rglob("*"):
        os.utime(path, (0, time.time() + YEAR))


def grow_old(vault, path):
    assert abs(path.stat().st_mtime - time.time()) < 60, "a prune has dated it anew"
    os.utime(path, (0, time.time() - 2 * vault.grace))


def test_prunes_go_on_once_a_clock_that_was_ahead_is_right(place, tmp_path):
    vault = opened(place, Plain())
    gone, stays = with_point(vault, tmp_path, "gone"), with_point(vault, tmp_path, "stays")
    delete_point(vault, gone)
    register(vault, "killed", ())
    date_all_ahead(place)
    assert prune(vault).condemned == 0, "the killed writer is one that lives, from now on"
    grow_old(vault, place.root / "writers/killed.json")
    assert prune(vault).condemned == 1
    date_all_ahead(place)  # once more, for the list that there is now
    assert prune(vault).deleted == 0
    grow_old(vault, place.root / "condemned/1.json")
    assert prune(vault).deleted == 1
    assert verify(vault).faults == ()
    assert find_point(vault, stays).name == stays


def test_a_living_writers_packs_stay_whatever_they_are_dated(place, tmp_path):
    backup = Backup(place, Plain(), tmp_path, 1)
    backup.open()
    backup.write(0, b"boot" * 5000)
    backup.flush()
    date_all_ahead(place)
    for _ in range(3):
        assert prune(opened(place, Plain())).condemned == 0
    name = backup.finish()
    assert [fault for fault in verify(opened(place, Plain())).faults if fault.point == name] == []


def test_by_a_machines_name_a_point_of_the_future_is_the_last_to_be_taken(place, tmp_path):
    vault = opened(place, Plain())
    ahead = with_point(vault, tmp_path, "web", datetime.now(UTC) + timedelta(days=365))
    assert find_point(vault, "web").name == ahead, "there is no other"
    late = with_point(vault, tmp_path, "web")
    with_point(vault, tmp_path, "web", datetime.now(UTC) - timedelta(days=1))
    assert find_point(vault, "web").name == late


def test_packs_that_an_unreadable_point_may_need_stay_whatever_they_are_dated(place, tmp_path):
    vault = opened(place, Plain())
    with_point(vault, tmp_path, "web")
    packs = set(place.root.rglob("*.pack"))
    date_all_ahead(place)
    (point,) = place.root.rglob("*.point")
    point.write_bytes(b"spoiled")
    for _ in range(3):
        with pytest.raises(PrunedInPart):
            prune(vault)
        for listed in place.root.glob("condemned/*.json"):
            grow_old(vault, listed)
    assert set(place.root.rglob("*.pack")) == packs
