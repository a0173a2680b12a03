"""User data, first-boot scripts and keys reach the guest, and stand in clear in nothing that is kept."""

import pytest

from longshore.model.status import Status

pytestmark = pytest.mark.long

USER_DATA = "#cloud-config\npassword: correct horse\n"
KEY = "a cow jumps over the moon"
SCRIPT = "echo battery staple | passwd --stdin root\n"


def kept(run):
    """What is in the state directory, pages that a database has given up among it."""
    return {path.name: path.read_bytes() for path in run.store.state.root.rglob("*") if path.is_file()}


def assert_nowhere(run):
    files = kept(run)
    assert files["engine.db"]
    words = (b"correct", b"staple", b"jumps")
    assert [name for name, content in files.items() for word in words if word in content] == []


def test_what_was_asked_for_gets_there_also_after_a_restart(begin):
    run = begin(user_data=USER_DATA, first_boot=[SCRIPT], guest_keys=[KEY])
    run.world.plan_fault("create_server", 1, "before", "kill")
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    (server,) = run.world.read()["servers"].values()
    assert server["user_data"] == USER_DATA
    assert (run.world.root / "first-boot").read_text() == SCRIPT
    assert [(run.world.root / f"keys-to-{work}").read_text() for work in ("look", "convert")] == [KEY, KEY]
    assert_nowhere(run)


def test_what_the_source_has_gets_there(begin):
    run = begin()
    (run.world.root / "user-data").write_text(USER_DATA)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    (server,) = run.world.read()["servers"].values()
    assert server["user_data"] == USER_DATA
    assert "kept encrypted" in record.result["machine"]["server_settings"]["user_data"]
    assert_nowhere(run)


def test_a_later_conversion_runs_the_scripts_of_the_first_request(begin):
    run = begin(landing="as-is", user_data=USER_DATA, first_boot=[SCRIPT])
    assert run.to_the_end(lives=1).status is Status.DONE
    run.convert_later()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert (run.world.root / "first-boot").read_text() == SCRIPT
    (server,) = run.world.read()["servers"].values()
    assert server["user_data"] == USER_DATA
    assert_nowhere(run)
