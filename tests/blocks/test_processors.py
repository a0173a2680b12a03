"""Threads that keep to a processor of their own."""

import os
import threading

import pytest

from longshore.blocks import processors
from longshore.blocks.processors import own_processor


def where_threads_run(of):
    """The processors that each of so many threads may use."""
    seen = {}

    def run(number):
        return own_processor(number, of, lambda: seen.update({number: os.sched_getaffinity(0)}))

    threads = [threading.Thread(target=run(number)) for number in range(of)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [seen[number] for number in range(of)]


@pytest.mark.parametrize("each", [1, 2])
def test_threads_share_the_processors_evenly_and_the_process_keeps_all(each):
    before = os.sched_getaffinity(0)
    assert where_threads_run(each * len(before)) == each * [{number} for number in sorted(before)]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("more", [-1, 1])
def test_fewer_or_more_threads_are_left_to_the_kernel(monkeypatch, more):
    chosen = []
    monkeypatch.setattr(processors.os, "sched_setaffinity", lambda *choice: chosen.append(choice))
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert len(where_threads_run(4 + more)) == 4 + more
    assert not chosen


def test_a_thread_that_may_not_choose_works_anyway(monkeypatch):
    def refuse(_pid, _mask):
        raise PermissionError

    before = os.sched_getaffinity(0)
    monkeypatch.setattr(processors.os, "sched_setaffinity", refuse)
    assert where_threads_run(len(before)) == [before] * len(before)
