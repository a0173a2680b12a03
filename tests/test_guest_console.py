"""What the lab's guests say is read whatever their kernel says in between."""

import importlib.util
import sys
from pathlib import Path

import pytest

READER = Path(__file__).parents[1] / "lab" / "guests" / "console.py"
VERIFIED = "LONGSHORE-WRITER verified last=812 root=813 data=812 bad=0\r\n"
KERNEL = "[    7.120395] watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [ledgerd:1]\r\n"


@pytest.fixture(scope="module")
def console():
    found = importlib.util.spec_from_file_location("guest_console", READER)
    module = importlib.util.module_from_spec(found)
    sys.modules["guest_console"] = module
    found.loader.exec_module(module)
    yield module
    del sys.modules["guest_console"]


@pytest.mark.parametrize("at", range(len(VERIFIED) + 1))
def test_a_message_of_the_kernel_within_a_line_loses_nothing_of_it(console, at):
    said = VERIFIED[:at] + KERNEL + VERIFIED[at:] + "LONGSHORE-WRITER ready next=813\r\n"
    (boot,) = console.read(said).boots
    assert boot.verified == console.Verified(last=812, root=813, data=812, bad=0)
    assert boot.ready == 813


def test_a_line_behind_half_of_a_line_is_read(console):
    (boot,) = console.read("login: " + VERIFIED).boots
    assert boot.verified.last == 812


def test_a_line_that_is_still_being_written_is_left(console):
    assert console.read("LONGSHORE-WRITER ready next=81").boots == ()
