"""Engines of the small clouds, forked from a process that has everything imported, which takes 1.5 s each otherwise."""

import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path

# The process that forks is a new interpreter, which has to find this module
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
_ENGINES = multiprocessing.get_context("forkserver")
_NEEDED = ["lives", "dbos", "small_fleet", "longshore.engine.worker_process", "longshore.flows.workflows"]
_NEEDED += ["longshore.guests", "preloaded"]
_ENGINES.set_forkserver_preload(_NEEDED)


class Life:
    """One engine process, as real as any: its own lock, event loop and database connections, and it can be killed."""

    def __init__(self, state, world, log="engine.log", live=None, **more):
        self._log = Path(state) / log
        arguments = (str(state), str(world), str(self._log))
        self._process = _ENGINES.Process(target=live or _live, args=arguments, kwargs=more)
        self._process.start()

    @property
    def pid(self):
        return self._process.pid

    def wait(self, timeout=60):
        """Wait for its end. Returns its exit status: negative for the signal that ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"the engine has not ended within {timeout} s: {self.said}")
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    @property
    def said(self):
        return self._log.read_text()


class WorkerLife(Life):
    """One `longshore worker` of a fleet, with these settings."""

    def __init__(self, state, fleet, name, **settings):
        self.name = name
        super().__init__(state, fleet, log=f"{name}.log", live=_work, **settings)


class FleetLife(Life):
    """An engine that knows a fleet."""

    def __init__(self, state, fleet):
        super().__init__(state, fleet, live=_live_with_fleet)


class FailingLife(Life):
    """A worker in which each step of a migration fails once; `record` is a file that it names them in."""

    def __init__(self, state, world, record):
        super().__init__(state, world, live=_fail, record=str(record))


def _fail(state, world, log, record):
    os.environ["SMALL_WORLD"] = world
    _say_into(log)
    import small_clouds

    import failing_steps

    small_clouds.install()
    failing_steps.main(Path(state), Path(record))


def _work(state, fleet, log, **settings):
    _say_into(log)
    # What the worlds' stand-in for a conversion finds its place by
    os.environ["SMALL_WORLD"] = fleet
    import small_fleet

    from longshore.configuration import read_configuration
    from longshore.engine import worker_process
    from longshore.flows.workflows import FLOWS

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("longshore").setLevel(logging.INFO)
    small_fleet.install()
    worker_process.serve(read_configuration(state=state, **settings), FLOWS)


def _say_into(log):
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _live_with_fleet(state, fleet, log):
    import small_fleet

    # Where the worlds' stand-in for a conversion finds its place by
    os.environ["SMALL_WORLD"] = str(Path(fleet) / small_fleet.NAMES[0])
    sys.argv = ["engine", state]
    _say_into(log)

    from longshore.engine.embedded_process import main
    from longshore.flows.workflows import FLOWS

    small_fleet.install()
    main(FLOWS)


def _live(state, world, log):
    os.environ["SMALL_WORLD"] = world
    sys.argv = ["engine", state]
    _say_into(log)
    import small_clouds

    from longshore.engine.embedded_process import main
    from longshore.flows.workflows import FLOWS

    small_clouds.install()
    main(FLOWS)
