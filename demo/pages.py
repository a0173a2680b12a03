#!/usr/bin/env python3
"""The demo's pages in a browser: `make demo-web`. Longshore runs inside the lab, where its clouds are, and the browser
doesn't: so a port of this machine's loopback leads to the same port of the lab's.

Ends with Ctrl-C. What was begun on the pages goes on.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LOOPBACK = "127.0.0.1"
HINT = "tiny01 can be moved there: it boots unchanged, and prints LONGSHORE-WRITER ready when it is up. Ctrl-C ends."


def enter(port: int) -> None:
    """The socket is of the network that it was made in, wherever the process goes from here."""
    listening = socket.create_server((LOOPBACK, port))
    own = listening.getsockname()[1]
    listening.set_inheritable(True)
    again = [PROJECT / ".venv/bin/python", __file__, "--inside", listening.fileno(), own]
    os.execv(PROJECT / "lab/lab", list(map(str, [PROJECT / "lab/lab", "run", *again])))


async def serve(listening: socket.socket, port: int) -> int:
    state = Path(os.environ["LONGSHORE_LAB"]) / "data" / "demo"
    if not state.is_dir():
        print("There is nothing to be seen yet. First: make demo", file=sys.stderr)
        return 1
    print(HINT, flush=True)
    words = [PROJECT / ".venv/bin/longshore", "--state", state, "web", "--port", str(port)]
    longshore = await asyncio.create_subprocess_exec(*words)
    try:
        async with await asyncio.start_server(lambda reader, writer: carry(reader, writer, port), sock=listening):
            return await longshore.wait()
    finally:
        if longshore.returncode is None:  # whoever ended this alone means both
            longshore.terminate()
            await longshore.wait()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        there, to_there = await asyncio.open_connection(LOOPBACK, port)
    except OSError:  # not yet, or not any more
        writer.close()
        return
    await asyncio.gather(copy(reader, to_there), copy(there, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while some := await reader.read(1 << 16):
            writer.write(some)
            await writer.drain()
    except OSError:  # one of the two has gone
        pass
    finally:
        writer.close()


def main(words: list[str]) -> int:
    if words[:1] != ["--inside"]:
        enter(int(words[0]) if words else 0)
    listening = socket.socket(fileno=int(words[1]))
    try:
        return asyncio.run(serve(listening, int(words[2])))
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
