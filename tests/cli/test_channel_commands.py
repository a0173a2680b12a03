"""longshore channel: made, listed, changed, tested and deleted."""

import json

import pytest

from in_process import longshore
from longshore.store import StateDirectory, Store
from receivers import MailServer


@pytest.fixture
def state(tmp_path):
    directory = tmp_path / "state"
    Store(StateDirectory(directory)).close()
    return directory


def test_a_channel_is_made_listed_changed_and_deleted(state, tmp_path):
    def run(*words):
        done = longshore(state, "channel", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    address, key = tmp_path / "address.txt", tmp_path / "key.txt"
    address.write_text("https://hooks.example.org/swordfish\n")
    key.write_text("marlin\n")
    made = run("create", "oncall", "--kind", "webhook", "--address", str(address), "--key", str(key), "-f", "json")
    assert (json.loads(made)["signed"], json.loads(made)["waits_after"]) == (True, "30 min")
    assert "swordfish" not in made
    run("set", "oncall", "--on", "failed", "--on", "waits", "--waits-after", "2h", "--digest", "15m")
    (row,) = json.loads(run("list", "-f", "json"))
    assert (row["Name"], row["Kind"], row["Occasions"], row["Waiting"]) == ("oncall", "webhook", "failed, waits", 0)
    assert json.loads(run("show", "oncall", "-f", "json"))["digest"] == "15 min"
    run("delete", "oncall")
    assert json.loads(run("list", "-f", "json")) == []


def test_a_test_goes_by_mail_and_what_goes_wrong_is_said(state):
    server = MailServer()
    words = ("--host", "127.0.0.1", "--port", str(server.port), "--from", "a@example.org", "--to", "b@example.org")
    try:
        done = longshore(state, "channel", "create", "mail", "--kind", "mail", *words, "--tls", "none")
        assert done.returncode == 0, done.stderr
        server.answers = ["554 Never"]
        done = longshore(state, "channel", "test", "mail")
        assert "The mail server answered with status 554." in done.stderr
        done = longshore(state, "channel", "test", "mail")
        assert "The receiver of mail has taken the test." in done.stdout + done.stderr
        assert len(server.taken) == 1
    finally:
        server.end()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("m m", "--host", "h", "--to", "d@example.org"), "name"),
        (("m", "--host", "h", "--to", "nobody"), "to"),
        (("m", "--host", "h", "--to", "d@example.org", "--port", "0"), "port"),
        (("m", "--to", "d@example.org"), "host"),
    ],
)
def test_what_is_no_channel_is_refused_in_a_sentence(state, words, said):
    done = longshore(state, "channel", "create", *words, "--kind", "mail", "--from", "a@example.org", "--tls", "none")
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert line.startswith("longshore: ")
    assert said in line.partition(":")[2]


def test_a_command_is_no_tenants_to_choose(state):
    done = longshore(state, "channel", "create", "x", "--kind", "command")
    assert done.returncode != 0
