"""Settings from the file and the environment."""

from pathlib import Path

import pytest

from longshore.configuration import read_configuration
from longshore.errors import InvalidInput
from longshore.store import StateDirectory

SECRET = "postgresql+psycopg://longshore:s3cret@db/longshore"


def written(path, text):
    path.write_text(text)
    return path


def test_the_environment_goes_before_the_file(tmp_path, monkeypatch):
    file = written(tmp_path / "c.toml", f'database_url = "{SECRET}"\nlabels = ["ceph-a", "ceph-b"]\nat_once = 5\n')
    monkeypatch.setenv("LONGSHORE_AT_ONCE", "7")
    configuration = read_configuration(file)
    assert (configuration.at_once, configuration.labels) == (7, ("ceph-a", "ceph-b"))
    assert StateDirectory.configured(configuration).database_url == SECRET
    assert "s3cret" not in repr(configuration) + repr(StateDirectory.configured(configuration))


def test_labels_from_the_environment(monkeypatch):
    monkeypatch.setenv("LONGSHORE_LABELS", "ceph-a,ceph-b")
    assert read_configuration().labels == ("ceph-a", "ceph-b")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('database_url = "mysql://longshore:s3cret@db/x"', "database_url"),
        ("at_once = 0", "at_once"),
        ("lease_ttl = 6\nlease_beat = 5", "lease_beat"),
        ("lease_tll = 6", "lease_tll"),
        ("this is no TOML, s3cret", "can't be read"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(tmp_path, text, named):
    with pytest.raises(InvalidInput, match=named) as caught:
        read_configuration(written(tmp_path / "c.toml", text))
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(InvalidInput, match="no configuration file"):
        read_configuration(tmp_path / "nowhere.toml")


def test_a_file_that_is_named_must_be_readable_for_who_asks(tmp_path):
    with pytest.raises(InvalidInput, match="can't be read: Is a directory"):  # or Permission denied, were this not root
        read_configuration(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at_once = 'many'", "The setting at_once is wrong: it has to be a whole number."),
        ("drain_for = -1", "The setting drain_for is wrong: it has to be 0 at least."),
        ("labels = 3", "The setting labels is wrong: it has to be a list."),
        ("state = 3", "The setting state is wrong: it has to be a path."),
        ("server = 3", "The setting server is wrong: it has to be a table of names and values."),
        ("database_url = 'x'", "The setting database_url is wrong: it has to begin with postgresql+psycopg://."),
        ("lease_tll = 6", "The setting lease_tll is wrong: nothing here has that name."),
        ("[server]\nport = 1", "The setting server.keystone is wrong: it is missing."),
        (
            "[server]\ntrusted_proxies = ['10.0.0.1/8']\nkeystone = {auth_url = 'x'}",
            "The setting server.trusted_proxies is wrong: one of them is neither an address nor a network, as "
            "192.0.2.0/24 is.",
        ),
        (
            "[server]\nkeystone = {auth_url = 'x'}\nweb = {sso = [{name = 'a', protocol = 'a b'}]}",
            "The setting server.web.sso.0.protocol is wrong: it has characters that can't be there.",
        ),
    ],
)
def test_a_wrong_setting_is_said_in_plain_words(tmp_path, text, said):
    with pytest.raises(InvalidInput) as caught:
        read_configuration(written(tmp_path / "c.toml", text))
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("LONGSHORE_AT_ONCE", "The setting at_once is wrong: it has to be a whole number. See {}."),
        ("LONGSHORE_SERVER__PORT", "The setting server.port is wrong: it has to be a whole number. See {}."),
        ("LONGSHORE_ALERT_COMMAND", "{} can't be read: it isn't JSON."),
    ],
)
def test_a_wrong_setting_of_the_environment_is_named_as_it_is_written_there(monkeypatch, variable, said):
    monkeypatch.setattr("longshore.configuration.FILE", Path("/nowhere"))
    monkeypatch.setenv("LONGSHORE_SERVER__KEYSTONE__AUTH_URL", "https://cloud:5000")
    monkeypatch.setenv(variable, "s3cret")
    with pytest.raises(InvalidInput) as caught:
        read_configuration()
    assert str(caught.value) == said.format(f"{variable} in the environment")


def test_a_configuration_file_that_is_no_text_is_said(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match=r"can't be read: it isn't text\.$"):
        read_configuration(tmp_path / "c.toml")
