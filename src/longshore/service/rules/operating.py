"""Rules about the whole installation, about telling people, and about projects as files."""

from longshore.service.rules.rule import ADMIN, ALL_PROJECTS, MEMBER, READER, Rule

RULES = (
    Rule(
        "migration:limit:get",
        READER,
        "List limits: the project's own, and those of all projects at providers that it sees.",
        ("GET /v1/limits",),
    ),
    Rule(
        "migration:limit:set",
        MEMBER,
        "Set and delete limits that count the project's own jobs.",
        ("PUT /v1/limits", "DELETE /v1/limits/{limit}"),
    ),
    Rule(
        "migration:channel:get",
        READER,
        "List and show the channels by which people are told what can't wait, and how that has gone.",
        ("GET /v1/channels", "GET /v1/channels/{channel}"),
    ),
    Rule(
        "migration:channel:set",
        MEMBER,
        "Create, change, test and delete channels.",
        (
            "POST /v1/channels",
            "PATCH /v1/channels/{channel}",
            "DELETE /v1/channels/{channel}",
            "POST /v1/channels/{channel}/test",
        ),
    ),
    Rule(
        "migration:wall-link:get",
        READER,
        "List the links that show the project's overview on walls.",
        ("GET /v1/wall-links",),
    ),
    Rule(
        "migration:wall-link:set",
        MEMBER,
        "Make links that show the project's overview to whoever has them, and take them back.",
        ("POST /v1/wall-links", "DELETE /v1/wall-links/{wall_link}"),
    ),
    Rule(
        "migration:operation:get",
        ADMIN,
        "See how the whole installation stands: workers, the queue of all projects, and what is left outside.",
        (
            "GET /v1/operation",
            "GET /v1/operation/workers",
            "GET /v1/operation/queue",
            "GET /v1/operation/left-overs",
            "GET /v1/nodes",
        ),
    ),
    Rule(
        "migration:node:delete",
        ADMIN,
        "Forget a machine of the installation that is gone for good.",
        ("DELETE /v1/nodes/{node}",),
    ),
    Rule(
        "migration:tenancy",
        MEMBER,
        "Carry a project's resources as files. A server on the network refuses it: the files are its own.",
        (
            "POST /v1/tenancy/exports",
            "POST /v1/tenancy/diffs",
            "POST /v1/tenancy/imports",
            "GET /v1/tenancy/jobs/{job}",
            "POST /v1/tenancy/jobs/{job}/stop",
        ),
    ),
    Rule(
        ALL_PROJECTS,
        ADMIN,
        "See and act on the things of all projects, and set limits that count the jobs of all.",
        ("any route with ?all_projects=true",),
    ),
)
