from __future__ import annotations

import pytest

from ansible_collections.longshore.longshore.plugins.module_utils.client import Refused
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed
from ansible_collections.longshore.longshore.plugins.modules import plan_run

ASKED = {
    "name": "shop",
    "wave": None,
    "machines": None,
    "type": None,
    "accept": [],
    "state": "started",
    "wait": True,
    "timeout": 1,
}


class Service:
    """A plan of machines that stand so, which are done as soon as they are started."""

    def __init__(self, defaults=None, **statuses):
        self.statuses, self.defaults, self.did = statuses, defaults or {}, []

    def __call__(self, method, path, body=None):
        if method == "GET" and path.endswith("/migrations"):
            return [self.migration(name) for name in self.statuses]
        if method == "GET":
            machines = [{"machine": name} for name in self.statuses]
            states = [
                dict(machine=name, ref="vm-" + name, wave=wave, status=status, migration="m-" + name, error="It broke.")
                for wave, (name, status) in enumerate(self.statuses.items(), 1)
            ]
            plan = dict(machines=machines, defaults=self.defaults)
            return dict(plan=plan, machines=states, unreadable=None)
        self.did.append((path.rpartition("/")[2], body))
        if path.endswith("/start"):
            self.statuses.update(dict.fromkeys(body["machines"], "done"))
        if path.endswith("/check"):
            return []
        return [dict(id=id_, error=None) for id_ in body["ids"]] if body and "ids" in body else []

    def migration(self, name):
        over = self.statuses[name] in ("done", "failed", "rehearsed")
        return dict(
            id="m-" + name,
            status=self.statuses[name],
            type="warm",
            cancel_requested=False,
            cutover_requested=over,
        )


class Module:
    def __init__(self, check_mode=False, **asked):
        self.params, self.check_mode = dict(ASKED, **asked), check_mode


def test_only_what_is_left_is_started():
    service = Service(web="done", db="planned", app="failed", cache="cancelled")
    said = plan_run.do(Module(), service)
    assert service.did == [("start", dict(type=None, accept=[], machines=["db", "app", "cache"]))]
    assert said["changed"] is True
    assert said["counts"] == {"done": 4}
    assert said["diff"]["before"]["app"] == "failed"
    assert said["diff"]["after"] == dict(web="done", db="started", app="started", cache="started")


def test_what_kept_its_copy_tries_again_with_that():
    service = Service(web="done", db="waits-with-copy")
    assert plan_run.do(Module(check_mode=True), service)["diff"]["after"] == dict(web="done", db="started")
    assert not service.did
    assert plan_run.do(Module(wait=False), service)["changed"] is True
    assert service.did == [("retry", dict(ids=["m-db"]))]


def test_check_mode_tells_the_same_and_starts_nothing():
    service = Service(web="done", db="planned")
    said = plan_run.do(Module(check_mode=True), service)
    assert [verb for verb, _body in service.did] == ["check"]
    assert said["diff"]["after"] == dict(web="done", db="started")
    assert plan_run.do(Module(check_mode=True), Service(web="done"))["changed"] is False


@pytest.mark.parametrize(
    ("asked", "started"),
    [(dict(wave=2), ["db"]), (dict(machines=["vm-app", "web"]), ["web", "app"]), (dict(wave=2, machines=["web"]), None)],
)
def test_a_wave_or_some_machines(asked, started):
    service = Service(web="planned", db="planned", app="planned")
    if started is None:
        with pytest.raises(Failed, match="has no such machine"):
            plan_run.do(Module(**asked), service)
    else:
        plan_run.do(Module(**asked), service)
        assert service.did[0][1]["machines"] == started


def test_what_was_only_tried_is_moved_when_that_is_asked_for():
    assert plan_run.do(Module(type="dry-run"), Service(web="rehearsed"))["changed"] is False
    assert plan_run.do(Module(), Service(dict(type="dry-run"), web="rehearsed"))["changed"] is False
    assert plan_run.do(Module(type="cold"), Service(web="rehearsed"))["changed"] is True


def test_a_plan_that_another_playbook_has_started_is_waited_for():
    class Raced(Service):
        def __call__(self, method, path, body=None):
            if path.endswith("/start"):
                self.statuses["web"] = "done"
                raise Refused(409, "conflict", "Nothing is left to start.")
            return super().__call__(method, path, body)

    assert plan_run.do(Module(), Raced(web="planned"))["changed"] is False


def test_a_failure_is_told_with_what_failed():
    with pytest.raises(Failed, match=r"Plan shop: 1 of 2 aren't moved. db: It broke.") as failed:
        plan_run.do(Module(state="waited"), Service(web="done", db="failed"))
    assert failed.value.code == "not-moved"
    assert failed.value.answered["counts"] == {"done": 1, "failed": 1}


def test_what_isnt_started_is_nothing_to_wait_for():
    assert plan_run.do(Module(state="waited"), Service(web="done", db="planned"))["changed"] is False


def test_a_cutover_is_of_what_hasnt_got_one():
    service = Service(web="done", db="waits-for-cutover")
    said = plan_run.do(Module(state="cut_over", wait=False), service)
    assert service.did == [("cutover", dict(ids=["m-db"]))]
    assert said["diff"]["after"] == dict(web="done", db="cut_over")
    with pytest.raises(Failed, match="Nothing of app is under way to be cut over"):
        plan_run.do(Module(state="cut_over"), Service(web="done", app="planned"))
    assert plan_run.do(Module(check_mode=True, state="cut_over"), Service(app="planned"))["changed"] is True


def test_what_is_queued_behind_a_cutover_isnt_waited_for():
    service = Service(web="waits-for-cutover", db="queued")
    assert plan_run.do(Module(), service)["counts"] == {"waits-for-cutover": 1, "queued": 1}
    assert plan_run.do(Module(wave=2), service)["counts"] == {"queued": 1}


def test_the_wait_has_an_end_and_the_run_has_none():
    service = Service(web="running")
    service_of = dict(stranded=None, phase="copying")

    def ask(method, path, body=None):
        answer = service(method, path, body)
        if method == "GET" and isinstance(answer, dict):
            for one in answer["machines"]:
                one.update(service_of)
        return answer

    with pytest.raises(Failed, match="Plan shop goes on: web is copying") as failed:
        plan_run.do(Module(timeout=0), ask)
    assert failed.value.code == "timeout"
    assert [verb for verb, _body in service.did] == ["resume"], "an engine that was ended with its host goes on"
