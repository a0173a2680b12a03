"""Logs of servers and workers."""

import json
import logging
import threading
import time

import pytest
import structlog
from dbos._logger import init_logger

from longshore.logs import seldom, write_json


@pytest.fixture
def logging_as_before():
    handlers, level, before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    logging.root.handlers.clear()  # setting up the log would close them
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


class Slow:
    """A stream that notes when it is written to by two at once."""

    def __init__(self):
        self.lines, self.at_once, self._writing = [], 0, 0

    def write(self, text):
        self._writing += 1
        self.at_once = max(self.at_once, self._writing)
        time.sleep(0.001)
        self.lines.append(text)
        self._writing -= 1
        return len(text)

    def flush(self):
        pass


@pytest.mark.usefixtures("logging_as_before")
def test_threads_write_one_line_after_the_other_whichever_library_they_log_by():
    stream = Slow()
    write_json(stream)
    ours, theirs = structlog.get_logger("longshore.service"), logging.getLogger("sqlalchemy")
    both = [lambda: ours.info("request"), lambda: theirs.warning("a pool is full")]
    threads = [threading.Thread(target=lambda say=say: [say() for _ in range(20)]) for say in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.at_once == 1
    assert sorted(json.loads(line)["event"] for line in stream.lines) == ["a pool is full"] * 20 + ["request"] * 20


@pytest.mark.usefixtures("logging_as_before")
def test_a_library_that_warns_with_each_try_is_told_once_in_a_while(monkeypatch):
    monkeypatch.setitem(logging.root.manager.loggerDict, "dbos", logging.Logger("dbos"))
    stream = Slow()
    write_json(stream)
    seldom("dbos")
    theirs = logging.getLogger("dbos")
    theirs.parent = logging.root
    for attempt in range(100):
        theirs.warning("Database connection failed: refused\n(Background on this error: …). attempt %d", attempt)
    theirs.warning("A queue is gone")
    theirs.error("It ends")
    theirs.error("It ends")
    said = [json.loads(line)["event"] for line in stream.lines]
    assert said == ["Database connection failed: refused", "A queue is gone", "It ends", "It ends"]


def test_dbos_has_no_handler_of_its_own_beside_ours(monkeypatch):
    theirs = logging.Logger("dbos")
    monkeypatch.setitem(logging.root.manager.loggerDict, "dbos", theirs)
    monkeypatch.setattr("dbos._logger.dbos_logger", theirs)
    seldom("dbos")
    init_logger()
    assert theirs.propagate
