"""Machines as they are kept with what was moved: later releases read what earlier ones wrote."""

from longshore.model.forms import form
from longshore.model.machine import LooseVolume, Machine, ServerSettings

# As they were written into a migration's result before settings and details had names of their own
EARLIER = {
    **{"ref": "s-1", "name": "web", "power": "on", "cpus": 1, "memory_mib": 256, "disks": [], "nics": []},
    "platform": "openstack",
    "belongings": {"key_name": "ops", "metadata": {"team": "web"}, "tags": ["blue"]},
    "extra": {"flavor": "m1"},
}
VOLUME = {**EARLIER, "extra": {"volume_status": "available", "bootable": "yes"}}


def read(kept):
    found = form(Machine).validate_python(kept)
    assert form(Machine).validate_python(form(Machine).dump_python(found, mode="json")) == found
    return found


def test_what_an_earlier_release_called_otherwise_is_read():
    found = read(EARLIER)
    assert found.server_settings == ServerSettings("ops", metadata={"team": "web"}, tags=("blue",))
    assert found.loose_volume == LooseVolume()
    assert read(VOLUME).loose_volume == LooseVolume("available", bootable=True)
