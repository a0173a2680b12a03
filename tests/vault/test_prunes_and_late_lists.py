"""A prune waits for lists that come late only where something is to go."""

import pytest
from small_vault import Backup, InBucket, opened

from longshore.vault.bucket import Bucket
from longshore.vault.holds import delete_point
from longshore.vault.prune import prune
from longshore.vault.sealing import Plain


@pytest.mark.parametrize(
    ("endpoint", "late"),
    [
        ("", False),
        ("https://s3.eu-central-1.amazonaws.com", False),
        ("https://s3.example.org", True),
        ("https://amazonaws.com.example.org", True),
    ],
)
def test_lists_are_late_wherever_nobody_promises_that_they_are_not(endpoint, late):
    assert bool(Bucket("s3://vaults/one", endpoint, "eu-central-1", "key", "secret").lists_late) is late


@pytest.fixture
def waited(monkeypatch):
    seconds = []
    monkeypatch.setattr("longshore.vault.prune.sleep", seconds.append)
    return seconds


def test_a_prune_waits_for_late_lists_only_where_something_is_to_go(tmp_path, s3, waited):
    place = InBucket(s3, "s3://vaults/patient")
    vault = opened(place, Plain())
    names = []
    for number in range(2):
        backup = Backup(place, Plain(), tmp_path, number)
        backup.open()
        backup.write(0, bytes((number + 1,)) * 5000)
        names.append(backup.finish())
    delete_point(vault, names[0])

    assert prune(vault).condemned == 0, "it is younger than the grace"
    assert waited == []
    place.days_pass()
    assert prune(vault).condemned == 2
    assert len(waited) == 1
    assert prune(vault).condemned == 2
    assert len(waited) == 1, "what is on a list already waits for its time"
    place.days_pass()
    assert prune(vault).deleted == 2
    assert len(waited) == 2
