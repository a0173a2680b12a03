"""A project's networks, routers, groups and the rest as files, for who has the pages and the files to themselves."""

from collections import Counter
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.tenancy import TenancyJob
from longshore.client.calls import part
from longshore.errors import LongshoreError, NotFound
from longshore.web.forms import Form
from longshore.web.page import Page, declare_form
from longshore.web.rendering import render, show_form
from longshore.web.things import PROVIDER
from longshore.wording.texts import _, marked

_RULE = "migration:tenancy"
_KINDS = {  # what can be ticked, and the files that it stands for
    "networks": (marked("Networks, subnets and routers"), ("networks", "subnets", "routers", "router_interfaces")),
    "groups": (marked("Security groups and their rules"), ("security_groups", "security_group_rules")),
    "images": (marked("Images"), ("images",)),
    "keys": (marked("Key pairs"), ("keypairs",)),
    "flavors": (marked("Flavors"), ("flavors",)),
}
_ACTS = {"export": "exports", "compare": "diffs", "import": "imports"}
_LEFT = ("leave", "left")  # actions of what is as it should be
_CHANGES = ("make", "change")
# What templates translate where they show it, for the catalogues
WORDS = (
    *(marked("make"), marked("change"), marked("leave"), marked("skip")),
    *(marked("made"), marked("changed"), marked("left"), marked("skipped")),
)


async def opened(request: Request) -> Form:
    return Form({name: request.query_params.getlist(name) for name in ("directory", "kind")})


async def start(request: Request, said: Form) -> str:
    """Begin a comparison or an export; an import is offered below a comparison."""
    only = [file for kind in said.all("kind") for file in _KINDS.get(kind, ("", ()))[1]]
    body = {"provider": request.path_params["provider"], "directory": said["directory"], "only": only}
    body |= {"overwrite": bool(said["overwrite"])} if said["do"] == "export" else {}
    job = await request.state.asking.post(TenancyJob, f"/v1/tenancy/{_ACTS.get(said['do'], 'diffs')}", body)
    query = [("do", said["do"]), ("directory", said["directory"]), *(("kind", kind) for kind in said.all("kind"))]
    return f"{_at(request)}/{part(job.id)}?{urlencode(query)}"


async def _form(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    provider = await PROVIDER.read(request)
    if not request.app.state.door.alone:
        raise NotFound(_("A server reads and writes no files of yours."), advice=_("Use: longshore tenant."))
    kinds = [(kind, _(text)) for kind, (text, _files) in _KINDS.items()]
    return show_form(request, "tenants/form.html", said, trouble, ("directory",), provider=provider, kinds=kinds)


async def job(request: Request) -> Response:
    asked = request.query_params
    found = await request.state.asking.get(TenancyJob, f"/v1/tenancy/jobs/{part(request.path_params['job'])}")
    rows = found.report.rows if found.report else []
    return render(
        request,
        "tenants/job.html",
        live=found.state == "running",
        job=found,
        do=asked.get("do", ""),
        directory=asked.get("directory", ""),
        chosen=asked.getlist("kind"),
        rows=[row for row in rows if row.action not in _LEFT],
        counted=Counter(row.action for row in rows),
        changes=any(row.action in _CHANGES for row in rows),
        files=list(found.report.files.items()) if found.report else [],
        notes=found.report.notes if found.report else [],
        at=_at(request),
    )


async def stop(request: Request) -> Response:
    path = f"/v1/tenancy/jobs/{part(request.path_params['job'])}/stop"
    await request.state.asking.post(TenancyJob, path)
    return RedirectResponse(f"{_at(request)}/{part(request.path_params['job'])}?do=import", 303)


def _at(request: Request) -> str:
    return PROVIDER.address_of("tenant", request)


ROUTES = [
    *declare_form("/providers/{provider}/tenant", _RULE, _form, start, opened),
    Page("/providers/{provider}/tenant/{job}", job, "GET", _RULE),
    Page("/providers/{provider}/tenant/{job}/stop", stop, "POST", _RULE),
]
