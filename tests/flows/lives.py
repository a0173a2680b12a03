"""Engines of the small clouds, forked from a process that has everything imported, which takes 1.5 s each otherwise."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

# The process that forks is a new interpreter, which has to find this module
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
_ENGINES = multiprocessing.get_context("forkserver")
_NEEDED = ["lives", "dbos", "small_clouds", "longshore.flows.workflows", "longshore.guests"]
_ENGINES.set_forkserver_preload(_NEEDED)


class Life:
    """One engine process, as real as any: its own lock, event loop and database connections, and it can be killed."""

    def __init__(self, state, world):
        self._log = Path(state) / "engine.log"
        self._process = _ENGINES.Process(target=_live, args=(str(state), str(world), str(self._log)))
        self._process.start()

    def wait(self, timeout=60):
        """Its exit status: negative for the signal that ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"the engine has not ended within {timeout} s: {self.said}")
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def kill(self):
        os.kill(self._process.pid, signal.SIGKILL)
        return self.wait()

    @property
    def said(self):
        return self._log.read_text()


def _live(state, world, log):
    os.environ["SMALL_WORLD"] = world
    sys.argv = ["engine", state]
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import small_clouds

    from longshore.flows import engine

    small_clouds.install()
    engine.main()
