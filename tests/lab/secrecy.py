"""Looking for passwords and tokens in places where none may be."""

import base64
import re
import threading
from pathlib import Path

_TOKEN = re.compile(rb"gAAAAA[\w-]{60,}")  # Keystone's, of whomever


def where_found(places, secrets):
    """Return those of these places, named with what they hold, that have a secret in it: in clear, or written as dumps
    write bytes.

    Tokens of Keystone's are found without being known.
    """
    wanted = {form for secret in secrets for form in _forms(secret.encode())}
    return [place for place, held in places.items() if _TOKEN.search(held) or any(form in held for form in wanted)]


def _forms(secret):
    return secret, secret.hex().encode(), base64.b64encode(secret)


def files(*directories):
    """Return what all files below them hold."""
    paths = [path for directory in directories for path in directory.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths}


def watch_processes(secrets):
    """Look at every process all the time; the answer, called, ends it and names those that showed a secret."""
    found, stop = [], threading.Event()

    def look():
        seen = set()  # what a process is called with and its environment change only when it becomes another program
        while not stop.wait(0.1):
            now = set()
            for directory in Path("/proc").glob("[0-9]*"):
                try:
                    words = (directory / "cmdline").read_bytes()
                    now.add((directory.name, words))
                    if (directory.name, words) in seen:
                        continue
                    environment, command = (directory / "environ").read_bytes(), (directory / "comm").read_text()
                except OSError:
                    continue
                for name, held in (("cmdline", words), ("environ", environment)):
                    if where_found({"": held}, secrets):
                        shown = re.sub(rb"[^ -~]", b" ", held)[:60]
                        found.append(f"{name} of {command.strip()}, {directory.name}: {shown!r}")
            seen = now

    thread = threading.Thread(target=look, daemon=True)
    thread.start()

    def answer():
        stop.set()
        thread.join()
        return found

    return answer
