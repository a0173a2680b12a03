"""longshore migration console: what a server prints alone on standard output, what is to be known of it beside that."""

import pytest

from in_process import longshore
from longshore.api.schemas import ServerConsole
from longshore.client.migrations import MigrationCalls


@pytest.mark.parametrize(
    ("text", "off", "printed", "told"),
    [
        ("web login:", False, "web login:\n", ""),
        ("web login:", True, "web login:\n", "The server is off.\n"),
        ("", False, "", "Nothing yet.\n"),
        (
            "",
            True,
            "",
            "The server is off.\nNothing: most clouds forget what a server has printed when it is switched off.\n",
        ),
    ],
)
def test_it_says_when_the_server_is_off_and_why_there_is_nothing(tmp_path, monkeypatch, text, off, printed, told):
    shown = ServerConsole(server_id="s-1", text=text, off=off)
    monkeypatch.setattr(MigrationCalls, "console", lambda *_asked: shown)
    done = longshore(tmp_path, "migration", "console", "m-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, told)
