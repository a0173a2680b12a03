"""Groups of replicas: how ready they are, where their runs stand, and what they are told to do."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.groups import Group
from longshore.api.schemas import Migration
from longshore.errors import LongshoreError
from longshore.model.replica import IN_PLACE, Stage
from longshore.web.forms import Form, not_a_moment
from longshore.web.page import Page, Question, declare_form, declare_verb, deletes
from longshore.web.rendering import render, show_form
from longshore.web.things import GROUP
from longshore.wording.events import event_in_words
from longshore.wording.states import of_condition, of_gate, of_group, of_replica, of_status, of_tier
from longshore.wording.texts import _, marked

CHANGES = "migration:replica_group:update"
_FIELDS = ("at", "clean_up_after")  # where a refusal of a run can stand


async def listed(request: Request) -> Response:
    found = await request.state.asking.get(list[Group], "/v1/replica-groups")
    return render(
        request,
        "groups/list.html",
        live=bool(found),
        groups=found,
        of_group=of_group,
        of_status=of_status,
        faults=_faults,
    )


async def one(request: Request) -> Response:
    found = await GROUP.read(request)
    run = found.run
    at_work = run is not None and not run.status.ended
    there = [one for one in found.members if one.stage in IN_PLACE]
    undoable = [one for one in found.members if one.stage in (Stage.FAILING_OVER, Stage.FAILED_OVER)]
    return render(
        request,
        "groups/one.html",
        live=True,
        g=found,
        at_work=at_work,
        unready=[] if at_work else [one.unready for one in found.members if one.unready],
        goes_on=bool(there) and len(there) < len(found.members),
        may_land=bool(found.members) and not at_work and len(there) < len(found.members),
        may_test=bool(found.members) and not at_work,
        may_undo=at_work or bool(undoable),
        may_commit=bool(undoable) and not at_work and len(there) == len(found.members),
        of_group=of_group,
        of_replica=of_replica,
        of_status=of_status,
        of_tier=of_tier,
        of_gate=of_gate,
    )


def _faults(group: Group) -> list[str]:
    """Return a sentence on each machine of the group that isn't as it should be."""
    found = []
    for member in group.members:
        bad = [event_in_words(one.text) for one in member.conditions if of_condition(one.code) == "bad"]
        if said := member.unready or next(iter(bad), ""):
            found.append(f"{member.machine_name}: {said}")
    return found


# Tried, and failed over


async def show_test(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    return await _asked(request, "groups/test.html", said, trouble)


async def test(request: Request, said: Form) -> str:
    body = _landing(said)
    body |= {"isolated": not body["networks"], "clean_up_after": said["clean_up_after"] or None}
    await request.state.asking.post(Migration, f"{GROUP.path_of(request)}/test", body)
    return GROUP.page_of(request)


async def show_failover(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    return await _asked(request, "groups/failover.html", said, trouble)


async def fail_over(request: Request, said: Form) -> str:
    body = _landing(said) | {"planned": said["how"] == "planned"}
    await request.state.asking.post(Migration, f"{GROUP.path_of(request)}/failover", body)
    return GROUP.page_of(request)


def _landing(said: Form) -> dict[str, Any]:
    networks = {said.exact(f"network-{number}"): target for number, target in said.below("becomes-").items()}
    return {"at": said["at"] or None, "networks": networks}


async def _asked(request: Request, template: str, said: Form, trouble: LongshoreError | None) -> Response:
    found = await GROUP.read(request)
    others = [one for one in found.members if one.stage not in IN_PLACE]
    return show_form(
        request,
        template,
        said,
        trouble,
        _FIELDS,
        {"at": not_a_moment()},
        g=found,
        others=others,
        may_plan=all(one.stage is Stage.PROTECTED for one in others),
        unready=[one.unready for one in others if one.unready],
        networks=_networks(found),
    )


def _networks(group: Group) -> list[tuple[str, str]]:
    """Return each network at the source, and what the replicas of its machines say that it becomes."""
    found: dict[str, set[str]] = {}
    for member in group.members:
        for source, target in member.networks.items():
            found.setdefault(source, set()).add(target)
    return [(source, ", ".join(sorted(targets))) for source, targets in sorted(found.items())]


# Undone, taken for good, deleted


def _told_of_undo(group: Group) -> list[str]:
    told = []
    if group.run and not group.run.status.ended:
        told.append(_("The run that is under way is stopped: no further tier begins."))
    told += [
        _("All servers that it has made are removed at once, in no order. Machines that were shut down run again."),
        _("What the servers have written since is lost."),
    ]
    up = [one.machine_name for one in group.members if one.stage is Stage.FAILED_OVER]
    if up:
        told.append(_("Servers that run now: %(names)s.") % {"names": ", ".join(up)})
    return told


def _told_of_commit(group: Group) -> list[str]:
    names = ", ".join(one.machine_name for one in group.members if one.stage is Stage.FAILED_OVER)
    return [
        _("These servers are yours for good: %(names)s.") % {"names": names}
        if names
        else _("None of its machines has failed over: nothing changes."),
        _("Points stay until they are deleted."),
        _("It can't be undone any more."),
    ]


_UNDO = Question(marked("Undo it for group %(name)s?"), _told_of_undo, marked("Undo it"), "danger")
_COMMIT = Question(marked("Commit it for group %(name)s?"), _told_of_commit, marked("Commit it"))
_DELETE = Question(
    marked("Delete the group %(name)s?"),
    (
        marked("Its machines aren't tried or failed over together any more; their tiers and gates are forgotten."),
        marked("The replicas and their points stay, and syncs go on."),
    ),
    marked("Delete it"),
    "danger",
)
_TESTS, _FAILS_OVER = "migration:replica_group:test", "migration:replica_group:failover"
ROUTES = [
    Page("/replicas/groups", listed, "GET"),
    Page(GROUP.page, one, "GET"),
    *declare_form(GROUP.route_of("test"), _TESTS, show_test, test),
    *declare_form(GROUP.route_of("failover"), _FAILS_OVER, show_failover, fail_over),
    *declare_verb(GROUP, "undo", _FAILS_OVER, _UNDO),
    *declare_verb(GROUP, "commit", _FAILS_OVER, _COMMIT),
    *declare_verb(GROUP, "delete", CHANGES, _DELETE, deletes(GROUP, "/replicas/groups")),
]
