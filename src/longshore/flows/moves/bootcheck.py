"""Checks that a server has come up: the ways in which that may show, and waiting for the first of them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from longshore.errors import BootError, Cancelled, LongshoreError
from longshore.model.expression import compile_expression
from longshore.model.reach import Reach
from longshore.providers.reaching import open_socket

LOGIN_PROMPT = r"\blogin: *$"

# What firmware, boot loaders, kernels and initramfs print when they have given up.
_DEAD = (
    r"Kernel panic - not syncing|No bootable (?:option or )?device|Boot failed: not a bootable disk|grub rescue>"
    r"|error: no such (?:device|partition)|Entering emergency mode|Give root password for maintenance"
    r"|ALERT! .* does not exist|dracut-initqueue.*timeout|You are in emergency mode|UEFI Interactive Shell"
)
_TAIL = 300  # characters of the console worth repeating in an error
_MARK = 80  # and of what a mark has found
_POLL = 2.0  # seconds between looks: Nova has no event for console output
_ANSWERS_WITHIN = 2.0  # seconds for a connection to be taken
_AGENT_EVERY = 10.0  # seconds between two questions to the guest's agent, and before the first
STEADY = 180.0  # seconds without a restart after which a guest that restarts at its first boot is done with it
_AT_ONCE = 16  # connections that are tried side by side


def _line(text: str) -> str:
    """Return what a guest wrote as one line that can be printed."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


class ProofOfBoot(Protocol):
    """One way in which a guest may show that it is up."""

    @property
    def lacking(self) -> str:
        """Return a clause that says what didn't happen; empty when this way shows nothing any more."""

    def look(self) -> str | None:
        """Return the proof, in words for people; None: not yet. Raise BootError when the guest has given up."""


class Console:
    """The text that the server prints. It may also show that the guest has given up, whatever else is to
    be the proof."""

    def __init__(self, read: Callable[[], str], mark: str | None = None, *, proves: bool = True) -> None:
        """`mark`: a regular expression; None: a login prompt. Raises InvalidInput when it isn't one."""
        self._read = read
        self._mark = mark
        self._wanted = compile_expression(mark or LOGIN_PROMPT) if proves else None
        self._given_up = compile_expression(_DEAD)
        self.text = ""  # as it was last seen

    @property
    def lacking(self) -> str:
        return "" if self._wanted is None else f"it didn't show {self._mark or 'a login prompt'} on its console"

    def look(self) -> str | None:
        self.text = self._read()
        found = self._wanted.find(self.text) if self._wanted else None
        if found is not None:
            return f"console: {_line(found)[:_MARK]}" if self._mark else "console: login prompt"
        if dead := self._given_up.find(self.text):
            raise BootError(f'The guest doesn\'t boot on the target: its console says "{dead[:_TAIL]}".')
        return None

    @property
    def last_words(self) -> str:
        said = self.text.strip()
        return f'Its console ends with: "{said[-_TAIL:]}".' if said else "Its console is empty."


class AgentProbe:
    """The guest's qemu-guest-agent, as far as the cloud can be made to ask it."""

    def __init__(self, ask: Callable[[], bool], say: Callable[[str, str], None], *, only: bool) -> None:
        """`only`: nothing else is to be the proof, so that a cloud that can't ask it ends the waiting."""
        self._ask = ask
        self._say = say
        self._only = only
        self._out = False
        self._last: str | None = None
        self._next = time.monotonic() + _AGENT_EVERY

    @property
    def lacking(self) -> str:
        return "" if self._out else "its guest agent didn't answer"

    def look(self) -> str | None:
        if self._out or time.monotonic() < self._next:
            return self._last
        try:
            answered = self._ask()
        except LongshoreError as error:
            if self._only or error.code == Cancelled.code:
                raise
            self._say(f"Its guest agent can't be asked, so it won't show that the guest is up: {error}", "warning")
            self._out, self._last = True, None
            return None
        self._next = time.monotonic() + _AGENT_EVERY
        self._last = "agent" if answered else None
        return self._last


class PortProbe:
    """TCP ports of the guest: one that takes a connection shows that it is up. A refusal isn't enough: a firewall's, or
    a router's, looks the same."""

    def __init__(self, addresses: Sequence[str], ports: Sequence[int], reach: Reach | None) -> None:
        """`reach`: where may be connected to; None: anywhere."""
        self._reach = reach
        self._wanted = [(address, port) for address in addresses for port in ports]
        which = f"port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))} of {', '.join(addresses)}"
        self.lacking = f"{which} didn't answer" if self._wanted else ""

    def look(self) -> str | None:
        return next((f"port {port} on {address}" for address, port in self.answering()), None)

    def answering(self) -> list[tuple[str, int]]:
        """Return the addresses and ports that take a connection."""
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            answers = list(pool.map(self._answers, self._wanted))
        return [at for at, answered in zip(self._wanted, answers, strict=True) if answered]

    def _answers(self, at: tuple[str, int]) -> bool:
        try:
            open_socket(*at, _ANSWERS_WITHIN, self._reach).close()
        except (OSError, LongshoreError):
            return False
        return True


def wait_until_up(
    console: Console,
    further: Sequence[ProofOfBoot] = (),
    *,
    timeout: float,
    raise_if_cancelled: Callable[[], None],
    steady: float = 0.0,
) -> str | None:
    """Look at all ways side by side until one of them shows that the guest is up, and return what did.

    `steady`: for so many seconds without a break it has to be shown, by a guest that may restart. Each time it has been
    up and isn't any more, `timeout` begins anew. Return None when nothing has shown it within `timeout` seconds. Raise
    BootError when the guest has given up. `raise_if_cancelled` is called before each look.
    """
    end = time.monotonic() + timeout
    since: float | None = None  # when it was first seen up, without a break since then
    with ThreadPoolExecutor(max_workers=max(len(further), 1)) as pool:
        while True:
            raise_if_cancelled()
            asked = time.monotonic()
            looks = [pool.submit(way.look) for way in further]
            seen = [console.look()]
            end += (
                time.monotonic() - asked
            )  # a cloud that is slow to answer, or away for a while, isn't the guest's fault
            seen.extend(look.result() for look in looks)
            if proof := next(filter(None, seen), None):
                since = asked if since is None else since
                if time.monotonic() - since >= steady:
                    return proof
            elif since is not None:
                since, end = None, time.monotonic() + timeout
            if (since is None and time.monotonic() >= end) or not any(way.lacking for way in (console, *further)):
                return None
            time.sleep(_POLL)
