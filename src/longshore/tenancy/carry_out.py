"""Doing what a plan says: what doesn't depend on each other side by side, and one failure stops only what needs it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event
from typing import Any

from longshore.errors import LongshoreError
from longshore.providers.openstack.faults import explained
from longshore.tenancy.cloud import Cloud, Progress
from longshore.tenancy.kind import Scope
from longshore.tenancy.operations import WORKERS
from longshore.tenancy.plan import Action, Plan, Verdict


@dataclass(slots=True, eq=False)
class _Step:
    """The whole of an action, or what comes after everything that belongs to it."""

    action: Action
    last: bool
    waits_for: set[_Step] = field(default_factory=set)
    holds_up: list[_Step] = field(default_factory=list)


class CarryingOut:
    """Does what a plan says, once. `stop` ends it between requests."""

    def __init__(self, cloud: Cloud, plan: Plan, progress: Progress, stop: Event) -> None:
        self._cloud = cloud
        self._progress = progress
        self._stop = stop
        self._failed: dict[Action, str] = {}
        if any(kind.name == "security group rule" for kind in plan.kinds):
            cloud.rules_to_come = {a.resource.name: [] for a in plan.of(Verdict.MAKE) if _is_group(a)}
            for action in plan.of(Verdict.MAKE):
                if action.parent and _is_group(action.parent):
                    cloud.rules_to_come.get(action.parent.resource.name, []).append(action.values)
        self._steps = self._order(plan)

    def _order(self, plan: Plan) -> list[_Step]:
        todo = [*plan.of(Verdict.MAKE), *plan.of(Verdict.CHANGE)]
        first = {action: _Step(action, last=False) for action in todo}
        last = {action: _Step(action, last=True) for action in todo if action.late}
        of_kind: dict[str, set[_Step]] = defaultdict(set)
        for action, step in first.items():
            of_kind[action.resource.kind.name].add(step)
        for action, step in first.items():
            step.waits_for |= {first[other] for other in action.needs if other in first}
            for kind in action.resource.kind.after:
                step.waits_for |= of_kind[kind]
            if action.resource.kind.scope is not Scope.CLOUD:
                step.waits_for |= of_kind["quota"]  # which may have to be raised first
            if action in last:
                last[action].waits_for.add(step)
            if action.parent in last:
                last[action.parent].waits_for.add(last.get(action, step))
        for before, after in _in_turn(first):
            first[after].waits_for.add(first[before])
        steps = [*first.values(), *last.values()]
        for step in steps:
            for other in step.waits_for:
                other.holds_up.append(step)
        return steps

    def run(self) -> dict[Action, str]:
        """Return why actions failed or weren't tried; all others are done."""
        open_ = {step: len(step.waits_for) for step in self._steps}
        ready = [step for step, count in open_.items() if not count]
        running: dict[Future[None], _Step] = {}
        done, sent = 0, 0

        def moved(count: int) -> None:
            nonlocal sent
            sent += count
            self._progress(done, len(self._steps), f"{sent >> 20} MiB of images sent")

        self._cloud.moved = moved
        with ThreadPoolExecutor(WORKERS) as pool:
            while ready or running:
                # Not all at once: what is asked to stop shall not have to wait for a long queue
                while ready and len(running) < WORKERS:
                    step = ready.pop(0)
                    running[pool.submit(self._do, step)] = step
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    step = running.pop(future)
                    future.result()
                    done += 1
                    self._progress(
                        done, len(self._steps), f"{step.action.resource.kind.name} {step.action.resource.name}"
                    )
                    for held in step.holds_up:
                        open_[held] -= 1
                        if not open_[held]:
                            ready.append(held)
        return self._failed

    def _do(self, step: _Step) -> None:
        action = step.action
        if self._stop.is_set():
            self._failed.setdefault(action, "Not tried: stopped before.")
            return
        if action in self._failed:
            return
        needed = {*action.needs}
        if step.last and any(f.whole and f.attribute in action.late for f in action.resource.kind.fields):
            needed |= {other.action for other in step.waits_for}
        broken = next((other for other in needed if other in self._failed), None)
        if broken is not None:
            name = f"{broken.resource.kind.name} {broken.resource.name}"
            self._failed[action] = f"Not tried: it needs {name}, which failed."
            return
        kind, name = action.resource.kind.name, action.resource.name
        try:
            with explained(f"{'make' if action.what is Verdict.MAKE else 'change'} {kind} {name}"):
                self._last(action) if step.last else self._first(action)
        except LongshoreError as error:
            self._failed[action] = str(error)
        except Exception as error:  # noqa: BLE001 one resource's surprise isn't the end of the others
            self._failed[action] = f"A {type(error).__name__}, which Longshore didn't foresee: {error}"

    def _first(self, action: Action) -> None:
        operations = self._cloud.operations(action.resource.kind)
        values = _known(action.values)
        if action.what is Verdict.MAKE:
            action.identity = operations.create(values, action.resource)
        else:
            if values:
                operations.update(action.raw, values)
            operations.complete(action.raw, action.resource)

    def _last(self, action: Action) -> None:
        self._cloud.operations(action.resource.kind).finish(str(action.identity), _known(action.late))


def _in_turn(actions: Iterable[Action]) -> Iterator[tuple[Action, Action]]:
    """Yield neighbours among those that have to be made one after the other."""
    of_parent: dict[Any, list[tuple[int, Action]]] = defaultdict(list)
    for action in actions:
        kind = action.resource.kind
        if kind.in_turn and kind.parent:
            parent = action.values.get(kind.by_name[kind.parent].attribute)
            of_parent[kind.name, parent].append((action.resource.params.get(kind.in_turn) or 0, action))
    for siblings in of_parent.values():
        yield from pairwise(action for _, action in sorted(siblings, key=lambda each: each[0]))


def _is_group(action: Action) -> bool:
    return action.resource.kind.name == "security group"


def _known(value: Any) -> Any:
    """Put in the ids of what was made meanwhile."""
    if isinstance(value, Action):
        return value.identity
    if isinstance(value, Mapping):
        return {name: _known(each) for name, each in value.items()}
    return [_known(each) for each in value] if isinstance(value, list) else value
