"""Of what machines are moved with: providers, plans, migrations."""

from longshore.service.rules.rule import ADMIN, MEMBER, READER, Rule

RULES = (
    Rule("migration:me:get", READER, "See what one may do oneself.", ("GET /v1/me",)),
    Rule("migration:features:get", READER, "See what is refused here whatever one's roles.", ("GET /v1/features",)),
    Rule("migration:catalogue:get", READER, "See what codes of concerns and states mean.", ("GET /v1/catalogue",)),
    Rule(
        "migration:provider:get",
        READER,
        "List and show providers.",
        ("GET /v1/providers", "GET /v1/providers/{provider}"),
    ),
    Rule(
        "migration:provider:create",
        MEMBER,
        "Add a provider. The server connects to the host that is named: where tenants must not make it knock at hosts "
        "of their choice, leave this to operators, who share providers.",
        ("POST /v1/providers", "POST /v1/fingerprint"),
    ),
    Rule(
        "migration:provider:update",
        MEMBER,
        "Change a provider. The server connects to the host that is named then.",
        ("PATCH /v1/providers/{provider}",),
    ),
    Rule("migration:provider:check", READER, "Log in to a provider.", ("POST /v1/providers/{provider}/check",)),
    Rule("migration:provider:delete", MEMBER, "Remove a provider.", ("DELETE /v1/providers/{provider}",)),
    Rule(
        "migration:provider:share",
        ADMIN,
        "Let other projects use a provider, without seeing its settings.",
        (
            "GET /v1/providers/{provider}/shares",
            "PUT /v1/providers/{provider}/shares/{project}",
            "DELETE /v1/providers/{provider}/shares/{project}",
        ),
    ),
    Rule(
        "migration:machine:get",
        READER,
        "See the machines of a provider and where they are.",
        (
            "GET /v1/providers/{provider}/machines",
            "POST /v1/providers/{provider}/machines",
            "GET /v1/providers/{provider}/references",
            "GET /v1/providers/{provider}/machines/{machine:path}",
            "GET /v1/providers/{provider}/volumes",
            "GET /v1/providers/{provider}/inventory",
            "GET /v1/providers/{provider}/inventory/machines",
        ),
    ),
    Rule(
        "migration:machine:inspect",
        MEMBER,
        "Look into a machine's disks: a snapshot of it comes and goes.",
        ("POST /v1/inspections",),
    ),
    Rule(
        "migration:plan:get",
        READER,
        "List, show and check plans, and see what a target has to choose from.",
        (
            "GET /v1/plans",
            "GET /v1/plans/{name}",
            "GET /v1/plans/{name}/machines",
            "GET /v1/plans/{name}/states",
            "GET /v1/plans/{name}/migrations",
            "GET /v1/plans/{name}/report",
            "POST /v1/plans/{name}/check",
            "GET /v1/providers/{provider}/offer",
        ),
    ),
    Rule(
        "migration:plan:create",
        MEMBER,
        "Make, change and duplicate plans.",
        (
            "POST /v1/plans",
            "PUT /v1/plans/{name}",
            "PATCH /v1/plans/{name}",
            "PATCH /v1/plans/{name}/machines/{machine:path}",
            "POST /v1/plans/{name}/duplicate",
            "POST /v1/plans/{name}/keep",
        ),
    ),
    Rule("migration:plan:delete", MEMBER, "Delete a plan.", ("DELETE /v1/plans/{name}",)),
    Rule(
        "migration:plan:start",
        MEMBER,
        "Start a plan, or what of it has failed or was broken off.",
        (
            "POST /v1/plans/{name}/start",
            "POST /v1/plans/{name}/retry",
            "POST /v1/plans/{name}/resume",
            "POST /v1/migrations/retry",
        ),
    ),
    Rule("migration:plan:cutover", MEMBER, "Stop a plan's machines.", ("POST /v1/plans/{name}/cutover",)),
    Rule("migration:plan:cancel", MEMBER, "Cancel a plan's migrations.", ("POST /v1/plans/{name}/cancel",)),
    Rule(
        "migration:migration:get",
        READER,
        "List and show migrations, what happened in them and what they made.",
        (
            "GET /v1/migrations",
            "GET /v1/migration-counts",
            "GET /v1/migrations/{migration}",
            "GET /v1/migrations/{migration}/events",
            "GET /v1/migrations/{migration}/events/stream",
            "GET /v1/migrations/{migration}/ledger",
            "GET /v1/migrations/{migration}/report",
            "GET /v1/migrations/{migration}/bundle",
        ),
    ),
    # Guests print passwords and keys, too: as Nova has it, it takes more than to look
    Rule(
        "migration:migration:console",
        MEMBER,
        "Read what the server that a migration has made prints on its console.",
        ("GET /v1/migrations/{migration}/console",),
    ),
    Rule("migration:migration:create", MEMBER, "Start a migration.", ("POST /v1/migrations",)),
    Rule(
        "migration:migration:resume",
        MEMBER,
        "Go on with a migration that was broken off.",
        ("POST /v1/migrations/{migration}/resume", "POST /v1/migrations/resume"),
    ),
    Rule(
        "migration:migration:cutover",
        MEMBER,
        "Stop the machine of a warm migration.",
        ("POST /v1/migrations/{migration}/cutover", "POST /v1/migrations/cutover"),
    ),
    Rule(
        "migration:migration:convert",
        MEMBER,
        "Convert a machine that landed as it was.",
        ("POST /v1/migrations/{migration}/convert",),
    ),
    Rule(
        "migration:migration:cancel",
        MEMBER,
        "Cancel a migration, or remove what an ended one has left.",
        (
            "POST /v1/migrations/{migration}/cancel",
            "POST /v1/migrations/cancel",
            "POST /v1/migrations/{migration}/cleanup",
        ),
    ),
    Rule(
        "migration:migration:delete",
        MEMBER,
        "Forget a migration that has ended, with its logs and digests.",
        ("DELETE /v1/migrations/{migration}",),
    ),
)
