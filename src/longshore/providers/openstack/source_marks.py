"""Marks of servers that have moved: see `longshore.providers.contract.source_marks`.

A server that is locked can't be started by its project before somebody unlocks it.
"""

from typing import Any

from longshore.errors import InvalidInput
from longshore.model.source_marks import MarkKind
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import Part
from longshore.providers.openstack.power import get_server

LONGEST_DESCRIPTION = 255  # letters; Nova's


class NovaSourceMarks(Part):
    def before_mark(self, machine_ref: str, kind: MarkKind, text: str) -> str | None:
        server = get_server(self._connection, machine_ref)
        match kind:
            case MarkKind.NOTE:
                return None if text in _description(server) else ""
            case MarkKind.SUFFIX:
                return None if server.name.endswith(text) else str(server.name)
            case MarkKind.TAG:
                return None if text in server.tags else ""
            case MarkKind.DISCONNECT:
                return None if server.is_locked else ""
        raise InvalidInput("Servers of OpenStack are in no folders.", advice="Mark them by a tag or a suffix.")

    def mark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> None:
        server = get_server(self._connection, machine_ref)
        with explained(f"mark server {server.name}"):
            match kind:
                case MarkKind.NOTE:
                    if text not in (told := _description(server)):
                        self._describe_server(server, f"{told} {text}".strip())
                case MarkKind.SUFFIX:
                    self._rename(server, before, f"{before}{text}")
                case MarkKind.TAG:
                    self._connection.compute.add_tag_to_server(server, text)
                case MarkKind.DISCONNECT:
                    self._connection.compute.lock_server(server)

    def unmark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> bool:
        server = get_server(self._connection, machine_ref)
        with explained(f"take a mark from server {server.name}"):
            match kind:
                case MarkKind.NOTE:
                    if text not in (told := _description(server)):
                        return False
                    before_it, _, behind = told.partition(text)
                    self._describe_server(server, " ".join(filter(None, (before_it.strip(), behind.strip()))))
                    return True
                case MarkKind.SUFFIX:
                    return self._rename(server, f"{before}{text}", before)
                case MarkKind.TAG:
                    there = text in server.tags
                    if there:
                        self._connection.compute.remove_tag_from_server(server, text)
                    return there
                case MarkKind.DISCONNECT:
                    if server.is_locked:
                        self._connection.compute.unlock_server(server)
                    return bool(server.is_locked)
        return False

    def _describe_server(self, server: Any, description: str) -> None:
        """Nova takes one line of characters that can be printed."""
        if len(description) > LONGEST_DESCRIPTION:
            raise InvalidInput(f"The description of server {server.name} has no room for another sentence.")
        self._connection.compute.update_server(server, description=description)

    def _rename(self, server: Any, before: str, after: str) -> bool:
        if server.name != before:
            return False
        self._connection.compute.update_server(server, name=after)
        return True


def _description(server: Any) -> str:
    return server.description or ""
