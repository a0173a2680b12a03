"""Who may do what: oslo.policy's rules, with the personas reader, member and admin.

A rule says which roles a caller needs. That callers reach only their own project's things is no rule: the store they
are given holds nothing else.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.errors import InvalidInput
from longshore.service.caller import Caller

if TYPE_CHECKING:
    from oslo_policy.policy import DocumentedRuleDefault, Enforcer, Operation, RuleDefault

ADMIN = "rule:migration:admin"
MEMBER = "rule:migration:member"
READER = "rule:migration:reader"
ALL_PROJECTS = "migration:all_projects"

_PERSONAS = {
    "migration:admin": ("role:admin", "Operators of the cloud."),
    "migration:member": (
        "(role:member and project_id:%(project_id)s) or rule:migration:admin",
        "Those who work in a project.",
    ),
    "migration:reader": (
        "(role:reader and project_id:%(project_id)s) or rule:migration:member",
        "Those who may look at a project.",
    ),
}


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    default: str
    description: str
    routes: tuple[str, ...]


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
    Rule(
        "migration:vault:get",
        READER,
        "List, show and check vaults, and the points in them.",
        (
            "GET /v1/vaults",
            "GET /v1/vaults/{vault}",
            "POST /v1/vaults/{vault}/check",
            "GET /v1/vaults/{vault}/points",
            "GET /v1/vaults/{vault}/contents",
            "GET /v1/vaults/{vault}/keys",
            "GET /v1/vaults/{vault}/points/{point:path}",
        ),
    ),
    Rule(
        "migration:vault:read-files",
        MEMBER,
        "List, find and fetch the files in points of a vault.",
        ("GET /v1/vaults/{vault}/files/{point:path}", "GET /v1/vaults/{vault}/file/{point:path}"),
    ),
    Rule(
        "migration:vault:keys",
        MEMBER,
        "Add and remove what opens an encrypted vault: pass phrases and recovery keys.",
        ("POST /v1/vaults/{vault}/keys", "DELETE /v1/vaults/{vault}/keys/{key}"),
    ),
    Rule("migration:vault:create", MEMBER, "Make a vault.", ("POST /v1/vaults",)),
    Rule(
        "migration:vault:keep",
        MEMBER,
        "Have a vault verified, pruned, recovered and copied into another one, and points in it held, released and"
        " deleted.",
        (
            "POST /v1/vaults/{vault}/verify",
            "POST /v1/vaults/{vault}/prune",
            "POST /v1/vaults/{vault}/copy",
            "POST /v1/vaults/{vault}/recover",
            "DELETE /v1/vaults/{vault}/points/{point:path}",
            "POST /v1/vaults/{vault}/points/{point:path}/hold",
            "POST /v1/vaults/{vault}/points/{point:path}/release",
        ),
    ),
    Rule("migration:backup:create", MEMBER, "Back a machine up.", ("POST /v1/backups", "POST /v1/backups/check")),
    Rule(
        "migration:backup-policy:get",
        READER,
        "List and show policies of backups, and why each of their points stays.",
        ("GET /v1/backup-policies", "GET /v1/backup-policies/{policy}"),
    ),
    Rule(
        "migration:backup-policy:change",
        MEMBER,
        "Make, change, run, pause and delete policies of backups, and bring them back from a vault.",
        (
            "POST /v1/backup-policies",
            "PATCH /v1/backup-policies/{policy}",
            "DELETE /v1/backup-policies/{policy}",
            "POST /v1/backup-policies/{policy}/check",
            "POST /v1/backup-policies/{policy}/run",
            "POST /v1/vaults/{vault}/import",
        ),
    ),
    Rule(
        "migration:restore:create",
        MEMBER,
        "Make a machine of a point in a vault; commit or undo one in place.",
        (
            "POST /v1/restores",
            "POST /v1/restores/check",
            "POST /v1/restores/{migration}/commit",
            "POST /v1/restores/{migration}/undo",
        ),
    ),
    Rule(
        "migration:replica:get",
        READER,
        "List and show replicas and their points, and what a target's marks tell of such.",
        (
            "GET /v1/providers/{provider}/replicas",
            "GET /v1/replicas",
            "GET /v1/replicas/{replica}",
            "GET /v1/replicas/{replica}/report",
            "GET /v1/replicas/{replica}/points",
            "GET /v1/replicas/{replica}/points/{number}",
            "GET /v1/replica-file",
        ),
    ),
    Rule(
        "migration:replica:create",
        MEMBER,
        "Make a replica of a machine, of a warm migration, or of a failover's server.",
        (
            "POST /v1/replicas",
            "POST /v1/replicas/check",
            "POST /v1/migrations/{migration}/keep-as-replica",
            "POST /v1/replicas/{replica}/reprotect",
        ),
    ),
    Rule(
        "migration:replica:apply",
        MEMBER,
        "Make and change replicas and their groups as a file says.",
        ("PUT /v1/replica-file",),
    ),
    Rule(
        "migration:replica:adopt",
        MEMBER,
        "Make records of replicas that are found at a target by their marks.",
        ("POST /v1/replicas/adopt",),
    ),
    Rule(
        "migration:replica:update",
        MEMBER,
        "Change, pause, resume, synchronise and audit a replica; hold and release its points.",
        (
            "PATCH /v1/replicas/{replica}",
            "POST /v1/replicas/{replica}/sync",
            "POST /v1/replicas/{replica}/audit",
            "POST /v1/replicas/{replica}/pause",
            "POST /v1/replicas/{replica}/resume",
            "POST /v1/replicas/{replica}/points/{number}/hold",
            "POST /v1/replicas/{replica}/points/{number}/release",
        ),
    ),
    Rule(
        "migration:replica:test",
        MEMBER,
        "Make a machine of a point beside the one that it is of, to try it.",
        ("POST /v1/replicas/{replica}/test",),
    ),
    Rule(
        "migration:replica:failover",
        MEMBER,
        "Fail over to a replica or back, undo that, or commit it; cut it over as a migration.",
        (
            "POST /v1/replicas/{replica}/failover",
            "POST /v1/replicas/{replica}/failback",
            "POST /v1/replicas/{replica}/migrate",
            "POST /v1/replicas/{replica}/undo",
            "POST /v1/replicas/{replica}/commit",
        ),
    ),
    Rule(
        "migration:replica:delete",
        MEMBER,
        "Delete points, or a replica with all that was made for it.",
        ("DELETE /v1/replicas/{replica}", "DELETE /v1/replicas/{replica}/points/{number}"),
    ),
    Rule(
        "migration:replica_group:get",
        READER,
        "List and show groups of replicas.",
        ("GET /v1/replica-groups", "GET /v1/replica-groups/{group}"),
    ),
    Rule(
        "migration:replica_group:update",
        MEMBER,
        "Make, change and delete groups of replicas.",
        (
            "POST /v1/replica-groups",
            "PATCH /v1/replica-groups/{group}",
            "DELETE /v1/replica-groups/{group}",
        ),
    ),
    Rule(
        "migration:replica_group:test",
        MEMBER,
        "Try a group of replicas: machines of their points beside those that they are of.",
        ("POST /v1/replica-groups/{group}/test",),
    ),
    Rule(
        "migration:replica_group:failover",
        MEMBER,
        "Fail over a group of replicas, undo that, or commit it.",
        (
            "POST /v1/replica-groups/{group}/failover",
            "POST /v1/replica-groups/{group}/undo",
            "POST /v1/replica-groups/{group}/commit",
        ),
    ),
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
        "migration:operation:get",
        ADMIN,
        "See how the whole installation stands: workers, the jobs of all projects, and what is left outside.",
        (
            "GET /v1/operation",
            "GET /v1/operation/workers",
            "GET /v1/operation/jobs",
            "GET /v1/operation/left-overs",
        ),
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

_OF_ROUTE = {route: rule.name for rule in RULES for route in rule.routes}


def rule_of(method: str, path: str) -> str | None:
    """The rule that a route stands under; None: nobody has decided that, so nobody may."""
    return _OF_ROUTE.get(f"{method} {path}")


class OsloPolicy:
    """`file`: the operator's own rules, read again when it changes."""

    def __init__(self, file: str | None = None) -> None:
        self._enforcer = enforcer(file)

    def allows(self, rule: str, caller: Caller) -> bool:
        return bool(
            self._enforcer.authorize(
                rule,
                {"project_id": caller.project_id, "user_id": caller.user_id},
                {
                    "project_id": caller.project_id,
                    "user_id": caller.user_id,
                    "roles": list(caller.roles),
                    "user_domain_id": caller.user_domain_id,
                    "project_domain_id": caller.project_domain_id,
                },
                do_raise=False,
            )
        )


def enforcer(file: str | None = None) -> "Enforcer":
    from oslo_config import cfg
    from oslo_policy import opts, policy

    if file is not None and not os.path.isfile(file):  # noqa: PTH113 oslo.policy would go on without it
        raise InvalidInput(f"There is no policy file {file}.")
    conf = cfg.ConfigOpts()
    conf([], project="longshore", default_config_files=[], default_config_dirs=[])
    # A policy file is read because the operator has named it, never because one happens to lie somewhere
    opts.set_defaults(conf, policy_file=file or os.devnull)
    conf.set_override("policy_dirs", [], group="oslo_policy")
    made = policy.Enforcer(conf, policy_file=file or os.devnull)
    made.suppress_default_change_warnings = True
    made.register_defaults(list(defaults()))
    return made


def defaults() -> "Iterable[RuleDefault | DocumentedRuleDefault]":
    from oslo_policy import policy

    for name, (check, description) in _PERSONAS.items():
        yield policy.RuleDefault(name, check, description)
    for rule in RULES:
        operations: list[Operation] = [
            {"method": method, "path": path} for method, _, path in (route.partition(" ") for route in rule.routes)
        ]
        yield policy.DocumentedRuleDefault(rule.name, rule.default, rule.description, operations)


def sample() -> str:
    """All rules as YAML, commented out: what an operator changes of it is put into a policy file."""
    lines = [
        "# Rules of Longshore's API, with their defaults. Put those that shall be others into a file and name it as"
    ]
    lines += ["# policy_file in the server's configuration.", ""]
    for name, (check, description) in _PERSONAS.items():
        lines += [f"# {description}", f'#"{name}": "{check}"', ""]
    for rule in RULES:
        lines += [f"# {description}" for description in _wrapped(rule.description)]
        lines += [f"#   {route}" for route in rule.routes]
        lines += [f'#"{rule.name}": "{rule.default}"', ""]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 110)
