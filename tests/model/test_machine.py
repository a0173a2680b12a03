"""Machines as they are kept with what was moved: later releases read what earlier ones wrote."""

from longshore.model.forms import form
from longshore.model.machine import Machine, ServerSettings

# A server as release 0.1 of autumn 2026 wrote it into a migration's result
EARLIER = {
    **{"ref": "s-1", "name": "web", "power": "on", "cpus": 1, "memory_mib": 256, "disks": [], "nics": []},
    "platform": "openstack",
    "belongings": {"key_name": "ops", "metadata": {"team": "web"}, "tags": ["blue"]},
    "extra": {"flavor": "m1"},
}


def test_what_an_earlier_release_called_otherwise_is_read():
    found = form(Machine).validate_python(EARLIER)
    assert found.server_settings == ServerSettings("ops", metadata={"team": "web"}, tags=("blue",))
    assert form(Machine).validate_python(form(Machine).dump_python(found, mode="json")) == found
