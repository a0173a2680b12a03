"""What is said of a machine at its source arrives with its server."""

import pytest

from longshore.model.status import Status

pytestmark = pytest.mark.long


def test_tags_that_may_not_be_read_are_left_behind_and_that_is_said(begin):
    run = begin(carry={"attributes": False})
    (run.world.root / "no-tags").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    (server,) = run.world.read()["servers"].values()
    assert (server["description"], server["tags"]) == ("The shop's web server", [])
    assert server["metadata"] == {"longshore:source": "vm-1"}
    (warned,) = [e for e in run.store.events.of(run.id) if "The tags of web can't be read" in e.text]
    assert warned.level == "warning"
