"""Machines as callers are shown them."""

import re
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator

from longshore.model.machine import Machine

_NOT_SHOWN = re.compile(r"\(\d+ characters, not shown\)")


def _without_user_data(machine: Machine) -> Machine:
    """Return a machine with the length of its user data in place of the text.

    User data often holds passwords, and a cloud tells it to administrators alone: who may see a machine here needn't be
    one.
    """
    text = machine.server_settings.user_data
    if not text or _NOT_SHOWN.fullmatch(text):  # the latter where a client reads what a service has answered
        return machine
    return replace(
        machine, server_settings=replace(machine.server_settings, user_data=f"({len(text)} characters, not shown)")
    )


# What an answer holds: whichever route gives it, no user data goes out with it
ShownMachine = Annotated[Machine, AfterValidator(_without_user_data)]
