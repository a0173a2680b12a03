"""QMP, QEMU's control socket: commands answered by id, and block jobs watched until they have ended."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class QmpError(Exception):
    """QEMU refused a command, or a job ended in error."""


class QemuGone(QmpError):
    """The connection ended: QEMU has exited, or is about to."""


class Qmp:
    """One QMP connection. Raises OSError where nothing listens at the path."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rw")
        json.loads(self._stream.readline())  # the greeting
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._jobs: dict[str, list[dict[str, Any]]] = {}
        self._gone = False
        self._last_id = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.command("qmp_capabilities")

    def _read(self) -> None:
        try:
            for line in self._stream:
                message = json.loads(line)
                with self._changed:
                    if "event" in message:
                        data = message.get("data", {})
                        for job in {data.get("id"), data.get("device")} & set(self._jobs):
                            self._jobs[job].append(message)
                    else:
                        self._answers[message.get("id")] = message
                    self._changed.notify_all()
        except (OSError, ValueError):
            pass  # the end of QEMU, seen below
        with self._changed:
            self._gone = True
            self._changed.notify_all()
        self._socket.close()

    def wait_gone(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._gone)

    def command(self, name: str, arguments: dict[str, Any] | None = None, timeout: float = 120) -> Any:
        """The result of one command. Raises QmpError, QemuGone, TimeoutError."""
        with self._changed:
            self._last_id += 1
            number = self._last_id
            try:
                self._stream.write(json.dumps({"execute": name, "arguments": arguments or {}, "id": number}) + "\n")
                self._stream.flush()
            except (OSError, ValueError) as error:
                raise QemuGone(f"{name}: {error}") from error
            if not self._changed.wait_for(lambda: number in self._answers or self._gone, timeout):
                raise TimeoutError(f"QEMU did not answer {name} within {timeout:.0f} s")
            answer = self._answers.pop(number, None)
        if answer is None:
            raise QemuGone(f"QEMU went away during {name}")
        if "error" in answer:
            raise QmpError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def run_job(self, job: str, start: Callable[[], Any], timeout: float = 900) -> None:
        """Start a block job and wait for its end. Raises QmpError if it failed, QemuGone, TimeoutError.

        A job has ended when its status is "null"; how it ended is in BLOCK_JOB_COMPLETED alone.
        """
        with self._changed:
            events = self._jobs[job] = []
        try:
            start()
            end = time.monotonic() + timeout
            with self._changed:
                while not any(e["event"] == "JOB_STATUS_CHANGE" and e["data"]["status"] == "null" for e in events):
                    if self._gone:
                        raise QemuGone(f"QEMU went away during the job {job}")
                    if time.monotonic() > end:
                        raise TimeoutError(f"the job {job} did not end within {timeout:.0f} s")
                    self._changed.wait(1)
        finally:
            with self._changed:
                del self._jobs[job]
        ends = [e["data"] for e in events if e["event"] in ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED")]
        if not ends or ends[0].get("error"):
            raise QmpError(f"the job {job} failed: {ends}")
