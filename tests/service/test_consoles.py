"""What a migration's server prints: for those who work in its project, as text that no terminal acts on."""

import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from test_tenants import MIGRATION

from longshore.errors import NotFound
from longshore.model.target import Server
from longshore.service.migrations import plain


class Printing(Cloud):
    status = "ACTIVE"
    said = "first\r\n\x1b[1;32mgreen\x1b[0m \x1b]0;a title\x07up\nlast: \x9bJ$"

    def server(self, server_id):
        return Server(server_id, "web", self.status)

    def console(self, server_id):
        if server_id == "gone":
            raise NotFound("There is no server gone.")
        return self.said


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Printing) as api:
        yield api


def test_its_end_is_read_once_there_is_a_server(api):
    made = api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"]
    path = f"/v1/migrations/{made}/console"
    assert api("ann", "GET", path).status_code == 404
    api.store.migrations.update(made, server_id="s-1")
    assert api.did("ann", "GET", path) == {"server_id": "s-1", "text": "first\ngreen up\nlast: J$", "off": False}
    assert api.did("ann", "GET", f"{path}?lines=1")["text"] == "last: J$"
    assert api("ann", "GET", f"{path}?lines=0").status_code == 400
    assert api("ann-reader", "GET", path).status_code == 403, "a console may show passwords"
    assert api("bob", "GET", path).status_code == 404
    api.store.migrations.update(made, server_id="gone")
    assert api("ann", "GET", path).status_code == 404


def test_a_server_that_is_off_is_said_to_be(api, monkeypatch):
    made = api.did("ann", "POST", "/v1/migrations", MIGRATION)["id"]
    api.store.migrations.update(made, server_id="s-1")
    monkeypatch.setattr(Printing, "status", "SHUTOFF")
    assert api.did("ann", "GET", f"/v1/migrations/{made}/console")["off"] is True


@pytest.mark.parametrize("harmful", ["\x1b[2J", "\x1b]52;c;aGk=\x1b\\", "\x1bc", "\x9b6n", "\x07", "\x00", "\x1b(0"])
def test_nothing_is_left_that_a_terminal_acts_on(harmful):
    said = plain(f"before{harmful}after\n")
    assert not [one for one in said if one != "\n" and not one.isprintable()]
    assert said.startswith("before") and said.endswith("after\n")
