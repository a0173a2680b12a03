"""Settings from the file and the environment."""

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
