"""Switching servers off and on where the lab's Nova doesn't hold still for long enough."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from openstack import exceptions as sdk

from longshore.errors import Conflict
from longshore.providers.openstack import power
from longshore.providers.openstack.floating import NeutronFloatingAddresses
from longshore.providers.openstack.power import NovaPower


def nova(*looks):
    """A Nova whose server is, at each look, in the next of these states: its status and what is being done to it."""
    connection = MagicMock()
    left = list(looks)

    def get_server(_id):
        status, task = left.pop(0) if len(left) > 1 else left[0]
        return SimpleNamespace(name="web", status=status, task_state=task)

    connection.compute.get_server.side_effect = get_server
    return connection


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(power, "_LOOK_EVERY", 0.0)


def test_a_server_that_is_being_stopped_is_waited_for_and_not_stopped_again():
    connection = nova(("ACTIVE", "powering-off"), ("ACTIVE", "powering-off"), ("SHUTOFF", None))
    NovaPower(connection).power_off("s")
    connection.compute.stop_server.assert_not_called()
    connection = nova(("ACTIVE", None), ("ACTIVE", "powering-off"), ("SHUTOFF", None))
    NovaPower(connection).power_off("s")
    connection.compute.stop_server.assert_called_once_with("s")


def test_a_server_that_is_being_started_is_waited_for_and_not_started_again():
    connection = nova(("SHUTOFF", "powering-on"), ("SHUTOFF", "powering-on"), ("ACTIVE", None))
    NovaPower(connection).power_on("s")
    connection.compute.start_server.assert_not_called()


@pytest.mark.parametrize(("before", "after"), [("SHUTOFF", "ACTIVE"), ("ACTIVE", "SHUTOFF")])
def test_a_server_of_which_an_image_is_made_is_switched_after_that(before, after):
    """Nova answers 409 until then, and a source would stay off after a roll-back."""
    connection = nova((before, "image_uploading"), (before, "image_uploading"), (before, None), (after, None))
    asked = connection.compute.start_server if after == "ACTIVE" else connection.compute.stop_server
    asked.side_effect = lambda _id: looks.append(connection.compute.get_server.call_count)
    looks = []
    (NovaPower(connection).power_on if after == "ACTIVE" else NovaPower(connection).power_off)("s")
    assert looks == [3]


def test_what_is_as_wanted_is_left_alone():
    connection = nova(("ACTIVE", None))
    NovaPower(connection).power_on("s")
    connection.compute.start_server.assert_not_called()
    connection = nova(("SHUTOFF", None))
    NovaPower(connection).power_off("s")
    connection.compute.stop_server.assert_not_called()


def test_a_server_that_is_neither_on_nor_off_is_not_started():
    connection = nova(("ERROR", None))
    with pytest.raises(Conflict, match="web can't be started: it is ERROR"):
        NovaPower(connection).power_on("s")
    connection.compute.start_server.assert_not_called()


@pytest.mark.parametrize(
    ("done", "mark"),
    [
        ([("create", "req-1", 1), ("stop", "req-2", 2)], ""),
        ([("stop", "req-4", 4), ("start", "req-3", 3), ("start", "req-1", 1)], "req-3"),
        ([("start", "req-1", 1), ("reboot", "req-5", 5)], "req-5"),
    ],
)
def test_the_last_start_is_the_newest_request_that_brought_it_to_run(done, mark):
    connection = MagicMock()
    connection.compute.server_actions.return_value = [
        SimpleNamespace(action=action, request_id=request, start_time=f"2026-01-01T00:00:0{second}.000000")
        for action, request, second in done
    ]
    assert NovaPower(connection).last_start("s") == mark


def test_a_nova_that_does_not_let_us_see_what_was_done_is_no_failure():
    connection = MagicMock()
    connection.compute.server_actions.side_effect = sdk.ForbiddenException("no")
    assert NovaPower(connection).last_start("s") is None


def test_a_floating_ip_that_somebody_has_taken_stays_his():
    connection = MagicMock()
    connection.network.get_ip.return_value = SimpleNamespace(port_id="his", floating_ip_address="203.0.113.7")
    with pytest.raises(Conflict, match=r"203\.0\.113\.7 leads to another port"):
        NeutronFloatingAddresses(connection).attach_floating_address("ip", "ours", None)
    connection.network.update_ip.assert_not_called()
    for free in (None, "ours"):
        connection.network.get_ip.return_value.port_id = free
        NeutronFloatingAddresses(connection).attach_floating_address("ip", "ours", None)
    assert connection.network.update_ip.call_count == 2


def test_a_floating_ip_that_somebody_has_led_elsewhere_is_not_taken_from_him():
    connection = MagicMock()
    found = connection.network.get_ip.return_value = SimpleNamespace(port_id="his")
    assert not NeutronFloatingAddresses(connection).detach_floating_address("ip", "ours")
    connection.network.update_ip.assert_not_called()
    found.port_id = "ours"
    assert NeutronFloatingAddresses(connection).detach_floating_address("ip", "ours")
    connection.network.update_ip.assert_called_once_with(found, port_id=None)
    connection.network.get_ip.side_effect = sdk.NotFoundException("gone")
    assert not NeutronFloatingAddresses(connection).detach_floating_address("ip", "ours")
