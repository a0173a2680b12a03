"""Whether a server has come up, as its console tells it."""

import time
from collections.abc import Callable

from longshore.errors import BootError
from longshore.model.expression import compiled

LOGIN_PROMPT = r"\blogin: *$"

# What firmware, boot loaders, kernels and initramfs print when they have given up.
_DEAD = (
    r"Kernel panic - not syncing|No bootable device|Boot failed: not a bootable disk|grub rescue>"
    r"|error: no such (?:device|partition)|Entering emergency mode|Give root password for maintenance"
    r"|ALERT! .* does not exist|dracut-initqueue.*timeout|You are in emergency mode|UEFI Interactive Shell"
)
_TAIL = 300  # characters of the console worth repeating in an error
_POLL = 2.0  # seconds between looks: Nova has no event for console output


def wait_until_up(console: Callable[[], str], *, mark: str | None, timeout: float, going_on: Callable[[], None]) -> str:
    """Look at the console until it shows `mark` (default: a login prompt); answers the whole console.

    Raises BootError when the guest has given up, or shows nothing of the kind within `timeout` seconds; InvalidInput
    for a mark that isn't a regular expression. `going_on` is called before each look and may raise to stop the waiting.
    """
    wanted, given_up = compiled(mark or LOGIN_PROMPT), compiled(_DEAD)
    end = time.monotonic() + timeout
    while True:
        going_on()
        asked = time.monotonic()
        text = console()
        end += time.monotonic() - asked  # a cloud that is slow to answer, or away for a while, isn't the guest's fault
        if wanted.find(text) is not None:
            return text
        if dead := given_up.find(text):
            raise BootError(f'The guest doesn\'t boot on the target: its console says "{dead[:_TAIL]}".')
        if time.monotonic() >= end:
            said = f'Its console ends with: "{text.strip()[-_TAIL:]}".' if text.strip() else "Its console is empty."
            awaited = mark or "a login prompt"
            raise BootError(
                f"The server runs but didn't show {awaited} on its console within {timeout:.0f} s. {said}",
                advice="If it is fine all the same, say what its console shows (--boot-mark) or allow more time "
                "(--boot-timeout).",
            )
        time.sleep(_POLL)
