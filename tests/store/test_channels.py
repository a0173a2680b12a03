"""Channels in both databases: what is noted, claimed and told, and what is looked at for that."""

from datetime import timedelta

import pytest

from longshore.configuration import QuotaSettings
from longshore.errors import Conflict, NotFound
from longshore.model.channel import ChannelKind, Message, Occasion
from longshore.model.status import Status
from longshore.store import NewMigration, Scope
from longshore.store.channels import NewChannel
from longshore.store.tables import utc_now


def new(name="oncall"):
    secrets = {"address": "https://hooks.example.org/x"}
    return NewChannel(name, ChannelKind.WEBHOOK, tuple(Occasion), 1800.0, None, 0.0, None, secrets)


def said(name, after=0.0, kind="migration"):
    return Message(Occasion.RPO, kind, "1", name, f"{name} is late.", after, f"{name} is in time.")


def test_one_process_has_a_channel_and_a_delivery_stays_as_it_is_until_it_is_told(store):
    id_ = store.channels.add(new()).id
    store.channels.note(id_, {"a": said("web"), "b": said("db", after=60.0)}, utc_now())
    assert [one.id for one in store.channels.due()] == [id_]
    first = store.channels.claim(id_, "one")
    assert [message["name"] for message in first.notice.messages] == ["web"]
    assert store.channels.claim(id_, "another") is None
    assert store.channels.due() == []
    store.channels.note(id_, {"a": said("web"), "b": said("db", after=60.0)}, utc_now() + timedelta(seconds=61))
    assert store.channels.claim(id_, "one").notice == first.notice
    store.channels.missed(first, "It was away.")
    assert store.channels.due() == []
    again = store.channels.claim(id_, "another")
    assert again.notice == first.notice
    store.channels.told(again)
    (rest,) = store.channels.due()
    assert (rest.waiting, rest.failures, rest.error) == (1, 0, None)
    second = store.channels.claim(id_, "one")
    assert [message["name"] for message in second.notice.messages] == ["db"]
    store.channels.told(second)
    store.channels.note(id_, {}, utc_now())
    ends = store.channels.claim(id_, "one").notice.messages
    assert sorted((message["state"], message["text"]) for message in ends) == [
        ("ends", "db is in time."),
        ("ends", "web is in time."),
    ]


def test_a_channel_goes_with_what_waits_and_its_secrets_outlive_a_change_of_the_key(store):
    id_ = store.channels.add(new()).id
    store.channels.note(id_, {"a": said("web")}, utc_now())
    store.providers.change_key()
    assert store.channels.secrets(id_) == {"address": "https://hooks.example.org/x"}
    store.channels.remove(id_)
    assert not store.channels.has_waiting()
    assert store.channels.claim(id_, "one") is None
    with pytest.raises(NotFound):
        store.channels.remove(id_)


def test_a_project_has_as_many_as_it_may(store):
    own = store.scoped(Scope("a", quotas=QuotaSettings(channels=1))).channels
    own.add(new())
    with pytest.raises(Conflict, match="may have 1"):
        own.add(new("another"))
    assert store.scoped(Scope("b")).channels.all() == []


def test_what_may_have_to_be_told_is_found(store):
    cloud = store.providers.add("cloud", "openstack", {}, {}).id
    plan = store.plans.add("shop", {}).id
    asked = [NewMigration(name, name, cloud, cloud, {"type": "cold"}, plan_id=plan, wave=1) for name in ("web", "db")]
    web, db = store.migrations.add_together(asked)
    store.migrations.update(web.id, status=Status.DONE, finished_at=utc_now())
    since = utc_now() - timedelta(hours=1)
    assert {one.machine_name: one.status for one in store.watched.moves(since, {""})} == {
        "web": Status.DONE,
        "db": Status.QUEUED,
    }
    assert store.watched.moves(since, {"another"}) == []
    assert store.watched.waves(since, [plan]) == []
    store.migrations.update(db.id, status=Status.FAILED, error="No.", finished_at=utc_now())
    (wave,) = store.watched.waves(since, [plan])
    assert (wave.plan, wave.wave, wave.rehearsal, wave.counts) == (
        "shop",
        1,
        False,
        {Status.DONE: 1, Status.FAILED: 1},
    )
    assert store.watched.waves(utc_now() + timedelta(hours=1), [plan]) == []
    assert store.watched.vaults(None) == []


@pytest.mark.parametrize("kind", ["replica", "vault", "backup policy"])
def test_what_was_deleted_while_something_was_wrong_with_it_is_gone_and_not_over(store, kind):
    id_ = store.channels.add(new()).id
    store.channels.note(id_, {"a": said("web", kind=kind)}, utc_now())
    store.channels.note(id_, {}, utc_now())
    begins, ends = store.channels.claim(id_, "one").notice.messages
    assert begins["text"] == "web is late."
    assert (ends["state"], ends["text"]) == ("ends", f"The {kind} of web is gone: no more is told of it.")
