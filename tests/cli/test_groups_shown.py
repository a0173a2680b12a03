"""`longshore replica group show`: the group's machines, and its run, on a terminal's few lines."""

from longshore.api.groups import Group
from longshore.cli.groups import ShowGroup

MEMBER = {"replica": "r1", "machine_name": "db", "tier": 1, "stage": "protected", "newest": "2026-11-24T03:00:00Z"}
MEMBER |= {"rpo": 900, "rpo_now": 1200.0, "conditions": [{"code": "rpo-breached", "text": "Too old."}], "unready": None}
MEMBER |= {"networks": {}, "migration": None, "status": None, "phase": None, "up_at": None, "error": None}
RUN = {"id": "m1", "type": "group-failover", "status": "failed", "phase": "stopped", "error": "The gate is closed."}
RUN |= {"pause_until": None, "remove_at": None, "created_at": "2026-11-24T03:00:00Z", "finished_at": None}
RUN |= {
    "tiers": [
        {"tier": 1, "state": "stopped", "gate": "not-passed"},
        {"tier": 2, "state": "not-begun", "gate": "not-reached"},
    ]
}
GROUP = {"id": "g1", "project_id": "", "name": "shop", "members": [MEMBER], "gates": {}, "run": RUN}
GROUP |= {"created_at": "2026-11-24T03:00:00Z"}


class _Client:
    def group(self, name):
        return Group.model_validate({**GROUP, "name": name})


def test_its_machines_and_its_run_are_told_in_lines(monkeypatch):
    command = ShowGroup(None, None)
    monkeypatch.setattr(ShowGroup, "client", _Client())
    monkeypatch.setattr(ShowGroup, "for_people", True)
    told = command.show(command.get_parser("show").parse_args(["shop"]))
    newest = "newest point 2026-11-24T03:00:00Z, RPO 20 min of 15 min; rpo-breached"
    assert told["members"] == f"1: db, protected, {newest}"
    assert told["tiers"] == "1: stopped, gate not-passed\n2: not-begun, gate not-reached"
    assert told["error"] == "The gate is closed."
