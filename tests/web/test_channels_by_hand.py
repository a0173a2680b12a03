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
