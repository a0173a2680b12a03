"""Groups of replicas: how ready they are, where their runs stand, and what they are told to do."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.groups import Group
from longshore.api.schemas import Migration
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.replica import IN_PLACE, Stage
from longshore.web.forms import Form, not_a_moment, told_of
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.wording.events import event_in_words
from longshore.wording.states import of_condition, of_gate, of_group, of_replica, of_status, of_tier
from longshore.wording.texts import _

AT = "/ui/replicas/groups"
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
    found = await request.state.asking.get(Group, path_of(request))
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


async def ask_to_test(request: Request) -> Response:
    return await _asked(request, "groups/test.html", Form({}), None)


async def test(request: Request) -> Response:
    said = request.state.form
    body = _landing(said)
    body |= {"isolated": not body["networks"], "clean_up_after": said["clean_up_after"] or None}
    return await _begun(request, "test", "groups/test.html", body)


async def ask_to_fail_over(request: Request) -> Response:
    return await _asked(request, "groups/failover.html", Form({}), None)


async def fail_over(request: Request) -> Response:
    said = request.state.form
    body = _landing(said) | {"planned": said["how"] == "planned"}
    return await _begun(request, "failover", "groups/failover.html", body)


def _landing(said: Form) -> dict[str, Any]:
    networks = {said.exact(f"network-{number}"): target for number, target in said.below("becomes-").items()}
    return {"at": said["at"] or None, "networks": networks}


async def _begun(request: Request, verb: str, template: str, body: dict[str, Any]) -> Response:
    try:
        await request.state.asking.post(Migration, f"{path_of(request)}/{verb}", body)
    except LongshoreError as error:
        return await _asked(request, template, request.state.form, error)
    return back(request)


async def _asked(request: Request, template: str, said: Form, trouble: LongshoreError | None) -> Response:
    found = await request.state.asking.get(Group, path_of(request))
    others = [one for one in found.members if one.stage not in IN_PLACE]
    return render(
        request,
        template,
        200 if trouble is None else 400,
        said=said,
        g=found,
        others=others,
        may_plan=all(one.stage is Stage.PROTECTED for one in others),
        unready=[one.unready for one in others if one.unready],
        networks=_networks(found),
        **told_of(trouble, _FIELDS, {"at": not_a_moment()}),
    )


def _networks(group: Group) -> list[tuple[str, str]]:
    """Return each network at the source, and what the replicas of its machines say that it becomes."""
    found: dict[str, set[str]] = {}
    for member in group.members:
        for source, target in member.networks.items():
            found.setdefault(source, set()).add(target)
    return [(source, ", ".join(sorted(targets))) for source, targets in sorted(found.items())]


# Undone, taken for good, deleted


async def ask_to_undo(request: Request) -> Response:
    found = await request.state.asking.get(Group, path_of(request))
    told = []
    if found.run and not found.run.status.ended:
        told.append(_("The run that is under way is stopped: no further tier begins."))
    told += [
        _("All servers that it has made are removed at once, in no order. Machines that were shut down run again."),
        _("What the servers have written since is lost."),
    ]
    up = [one.machine_name for one in found.members if one.stage is Stage.FAILED_OVER]
    if up:
        told.append(_("Servers that run now: %(names)s.") % {"names": ", ".join(up)})
    at = page_of(request)
    heading = _("Undo it for group %(name)s?") % {"name": found.name}
    return confirm(request, heading, told=told, does=f"{at}/undo", said=_("Undo it"), back=at, kind="danger")


async def ask_to_commit(request: Request) -> Response:
    found = await request.state.asking.get(Group, path_of(request))
    names = ", ".join(one.machine_name for one in found.members if one.stage is Stage.FAILED_OVER)
    told = [
        _("These servers are yours for good: %(names)s.") % {"names": names}
        if names
        else _("None of its machines has failed over: nothing changes."),
        _("Points stay until they are deleted."),
        _("It can't be undone any more."),
    ]
    at = page_of(request)
    heading = _("Commit it for group %(name)s?") % {"name": found.name}
    return confirm(request, heading, told=told, does=f"{at}/commit", said=_("Commit it"), back=at)


def _does(verb: str) -> Any:
    async def act(request: Request) -> Response:
        await request.state.asking.post(Group, f"{path_of(request)}/{verb}")
        return back(request)

    return act


async def ask_to_delete(request: Request) -> Response:
    found = await request.state.asking.get(Group, path_of(request))
    told = [
        _("Its machines aren't tried or failed over together any more; their tiers and gates are forgotten."),
        _("The replicas and their points stay, and syncs go on."),
    ]
    at = page_of(request)
    heading = _("Delete the group %(name)s?") % {"name": found.name}
    return confirm(request, heading, told=told, does=f"{at}/delete", said=_("Delete it"), back=at, kind="danger")


async def delete(request: Request) -> Response:
    await request.state.asking.ask(type(None), "DELETE", path_of(request))
    return RedirectResponse(AT, 303)


# Parts


def back(request: Request) -> RedirectResponse:
    return RedirectResponse(page_of(request), 303)


def page_of(request: Request) -> str:
    return f"{AT}/{part(request.path_params['group'])}"


def path_of(request: Request) -> str:
    return f"/v1/replica-groups/{part(request.path_params['group'])}"


_TESTS, _FAILS_OVER = "migration:replica_group:test", "migration:replica_group:failover"
ROUTES = [
    Page("/replicas/groups", listed, "GET"),
    Page("/replicas/groups/{group}", one, "GET"),
    Page("/replicas/groups/{group}/test", ask_to_test, "GET", _TESTS),
    Page("/replicas/groups/{group}/test", test, "POST", _TESTS),
    Page("/replicas/groups/{group}/failover", ask_to_fail_over, "GET", _FAILS_OVER),
    Page("/replicas/groups/{group}/failover", fail_over, "POST", _FAILS_OVER),
    Page("/replicas/groups/{group}/undo", ask_to_undo, "GET", _FAILS_OVER),
    Page("/replicas/groups/{group}/undo", _does("undo"), "POST", _FAILS_OVER),
    Page("/replicas/groups/{group}/commit", ask_to_commit, "GET", _FAILS_OVER),
    Page("/replicas/groups/{group}/commit", _does("commit"), "POST", _FAILS_OVER),
    Page("/replicas/groups/{group}/delete", ask_to_delete, "GET", CHANGES),
    Page("/replicas/groups/{group}/delete", delete, "POST", CHANGES),
]
