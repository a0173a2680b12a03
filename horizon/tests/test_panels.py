"""Longshore's pages in Horizon, with a server of Longshore's and Horizon's own log-in."""

import pytest

PROJECT = "/project/migration_"


@pytest.fixture
def ann(person):
    return person.logged_in("ann", "red")


def test_the_overview_and_the_migrations_of_the_project_stand_in_horizons_page(ann):
    overview = ann.get(f"{PROJECT}overview/")
    assert overview.status == 200
    assert "Waits for you" in overview.text and "app01" in overview.text
    listed = ann.get(f"{PROJECT}migrations/")
    assert listed.status == 200
    assert ("div", {"id": "longshore", "ng-non-bindable": None}) in listed.elements
    for name in ("app01", "app02", "db01", "web01"):
        assert name in listed.text
