"""Who opens a cloud right after another one has, needn't log in again; and nobody gets what isn't theirs, or is old."""

from types import SimpleNamespace

import pytest

from longshore.providers.openstack import lent
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.source import OpenstackSource
from longshore.providers.openstack.target import OpenstackTarget

SECRETS = {"password": "hunter2"}


def settings(**more):
    return OpenstackSettings(auth={"auth_url": "https://cloud.example:5000/v3", "username": "u"}, **more)


@pytest.fixture
def made(monkeypatch):
    """The connections that were made, each with whether it is closed."""
    connections = []

    def connect(settings, secrets):
        connection = SimpleNamespace(closed=False)
        connection.close = lambda: setattr(connection, "closed", True)
        connections.append(connection)
        return connection

    monkeypatch.setattr(lent, "connect", connect)
    monkeypatch.setattr(lent, "_kept", [])
    return connections


def use(settings, secrets=SECRETS):
    one = lent.lend(settings, secrets)
    one.close()
    return one.connection


def test_who_comes_next_has_the_connection_of_the_one_before(made):
    OpenstackSource(settings(), SECRETS).close()
    OpenstackTarget(settings(), SECRETS).close()
    assert [one.closed for one in made] == [False]


def test_two_at_once_have_one_each_also_when_the_first_was_closed_twice(made):
    first = lent.lend(settings(), SECRETS)
    first.close()
    second = lent.lend(settings(), SECRETS)
    first.close()
    third = lent.lend(settings(), SECRETS)
    assert second.connection is first.connection
    assert third.connection is not second.connection


@pytest.mark.parametrize(
    ("other", "secrets"),
    [
        (settings(), {"password": "another"}),
        (settings(region="south"), SECRETS),
        (settings(interface="internal"), SECRETS),
    ],
)
def test_others_have_their_own(made, other, secrets):
    assert use(settings()) is not use(other, secrets)


@pytest.mark.parametrize("limit", ["_OLD", "_IDLE"])
def test_what_is_old_or_has_waited_for_long_is_closed(made, monkeypatch, limit):
    monkeypatch.setattr(lent, limit, 0.0)
    use(settings())
    use(settings())
    assert [one.closed for one in made] == [True, True]


def test_only_so_many_are_kept(made):
    for number in range(lent._MOST + 2):
        use(settings(region=str(number)))
    assert [one.closed for one in made[:3]] == [True, True, False]


def test_no_secret_is_in_what_is_printed_of_one(made):
    assert "hunter2" not in repr(lent.lend(settings(), SECRETS))
