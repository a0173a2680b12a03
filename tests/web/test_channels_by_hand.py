"""Channels in a browser: made, tested, deleted; and what a receiver doesn't take is seen."""

import pytest

from longshore.model.channel import Occasion
from receivers import Webhook, trusted

AT = "/ui/channels"


def test_one_is_made_tested_and_deleted(filled, tmp_path, monkeypatch):
    with trusted(tmp_path, monkeypatch) as context:
        webhook = Webhook(context)
    try:
        filled.get("/ui/")
        page = filled.click("Channels")
        assert "It didn't answer in time." in page.text, "of the one that is there"
        (there,) = filled.store.channels.all()
        filled.submit(AT, name="mine", kind="webhook", address=webhook.url, key="a key", digest="15m")
        (mine,) = (one for one in filled.store.channels.all() if one.id != there.id)
        assert (mine.name, mine.signed, mine.digest, len(mine.occasions)) == ("mine", True, 900.0, len(Occasion))
        assert "swordfish" not in filled.page.text
        filled.submit(f"{AT}/test", channel=mine.id)
        assert [message["occasion"] for message in webhook.messages] == ["test"]
        assert "The receiver has taken the test." in filled.page.text
        webhook.answers = [500]
        filled.submit(f"{AT}/test", channel=mine.id)
        assert "It answered with status 500." in filled.page.text
        filled.get(f"{AT}/remove?channel={mine.id}")
        filled.submit(f"{AT}/remove")
        assert filled.store.channels.all() == [there]
        assert filled.get(f"{AT}/remove?channel={mine.id}").status == 404
    finally:
        webhook.end()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "http://h/"}, "That is no address of a webhook."),
        ({"address": "https://h/", "quiet": "at night"}, "Those are no quiet hours."),
        ({"address": "https://h/", "waits_after": "soon"}, "soon"),
        ({"kind": "mail", "host": "h", "port": "many"}, "That isn't a port."),
    ],
)
def test_what_is_no_channel_is_said_where_it_stands(fleet, fields, said):
    fleet.get(AT)
    page = fleet.submit(AT, name="mine", **fields)
    assert (page.status, said in page.text) == (400, True), page.text
    assert fleet.store.channels.all() == []


def test_one_is_changed_and_what_isnt_said_of_it_stays(fleet):
    fleet.get(AT)
    fleet.submit(
        AT, name="mine", kind="webhook", address="https://hooks.example.org/x", key="a key", quiet="22:00-07:00 UTC"
    )
    fleet.click("Change …")
    assert dict(fleet.page.form(f"{AT}/change").fields)["waits_after"] == "1800s"
    page = fleet.submit(f"{AT}/change", waits_after="soon")
    assert (page.status, "soon" in page.text) == (400, True)
    fleet.submit(f"{AT}/change", waits_after="2h", quiet="", digest="15m")
    (mine,) = fleet.store.channels.all()
    assert (mine.name, mine.waits_after, mine.quiet, mine.digest) == ("mine", 7200.0, None, 900.0)
    assert (mine.signed, fleet.store.channels.secrets(mine.id)["address"]) == (True, "https://hooks.example.org/x")


def test_of_a_mail_channel_its_server_is_changed(fleet):
    fleet.get(AT)
    server = {"host": "mail.example.org", "sender": "longshore@example.org", "to": "team@example.org"}
    fleet.submit(AT, name="mine", kind="mail", **server)
    fleet.click("Change …")
    page = fleet.submit(f"{AT}/change", to="others@example.org", port="2525")
    assert page.status == 200, page.text
    (mine,) = fleet.store.channels.all()
    assert (mine.mail.host, mine.mail.port, mine.mail.to) == ("mail.example.org", 2525, "others@example.org")
