"""Durable steps: done once for good, and given again as they were to a job that begins anew."""

import ast
import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dbos import DBOS

import longshore.flows
from longshore.engine.job_context import JobContext
from longshore.engine.parking import Parked
from longshore.errors import Conflict, LongshoreError, Unreachable

MOMENT = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    name: str
    at: datetime
    sizes: dict[str, int]


@pytest.fixture
def job(monkeypatch):
    """A job whose steps are recorded in memory, as the durable engine records them."""
    recorded = {}

    async def run_step(options, work):
        if options["name"] not in recorded:
            recorded[options["name"]] = json.dumps(await work())
        return json.loads(recorded[options["name"]])

    monkeypatch.setattr(DBOS, "run_step_async", run_step)
    made = JobContext(store=None, id="m-1")
    made.recorded = recorded
    return made


def make(name: str, *, size: int) -> Made:
    return Made(name, MOMENT, {"disk": size})


async def make_slowly(name: str, *, size: int) -> Made:
    await asyncio.sleep(0)
    return make(name, size=size)


def never() -> Made:
    raise AssertionError("it was done already")


@pytest.mark.parametrize("do", [make, make_slowly])
def test_a_result_comes_again_as_what_its_function_says_it_returns(job, do):
    first = asyncio.run(job.step("make", do, name="web", size=7))
    assert first == Made("web", MOMENT, {"disk": 7})
    assert asyncio.run(job.step("make", never)) == first


def test_a_method_is_done_on_its_object_and_may_return_nothing(job):
    class Disk:
        copies = 0

        def copy(self) -> None:
            self.copies += 1

    disk = Disk()
    for _ in range(2):
        assert asyncio.run(job.step("copy", disk.copy)) is None
    assert disk.copies == 1


def test_an_error_comes_again_without_trying_again(job):
    def fail() -> None:
        raise Conflict("It is in use.", advice="Free it.")

    for do in (fail, never):
        with pytest.raises(LongshoreError, match="It is in use") as caught:
            asyncio.run(job.step("fail", do))
        assert (caught.value.code, caught.value.advice) == (Conflict.code, "Free it.")


def test_a_bug_is_an_error_that_names_the_step(job):
    def fail() -> int:
        return 1 // 0

    with pytest.raises(LongshoreError, match=r"Step divide failed .* ZeroDivisionError") as caught:
        asyncio.run(job.step("divide", fail))
    assert caught.value.code == "internal"


def test_a_step_for_which_its_job_parks_is_not_recorded_and_is_done_later(job):
    def ask() -> str:
        raise Unreachable("The cloud doesn't answer.")

    def answer() -> str:
        return "here"

    with pytest.raises(Parked, match="doesn't answer"):
        asyncio.run(job.step("ask", ask))
    assert job.recorded == {}
    assert asyncio.run(job.step("ask", answer)) == "here"


def test_a_step_that_takes_a_module_of_debians_parks_its_job_until_that_is_there(job):
    def look() -> str:
        raise ModuleNotFoundError("No module named 'nbd'", name="nbd")

    with pytest.raises(Parked, match="libnbd for Python isn't installed"):
        asyncio.run(job.step("look", look))
    assert job.recorded == {}


def test_a_job_that_only_ends_does_not_park(job):
    def ask() -> str:
        raise Unreachable("The cloud doesn't answer.")

    job.only_end()
    with pytest.raises(LongshoreError, match="doesn't answer"):
        asyncio.run(job.step("ask", ask))


def test_all_steps_are_functions_that_an_editor_finds():
    """A lambda has no annotation to go by, and what a call returns is found by nobody who looks for the work."""
    found = 0
    for path in Path(longshore.flows.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
                found += 1
                assert isinstance(node.args[1], ast.Name | ast.Attribute), f"{path.name}:{node.lineno}"
    assert found > 150
