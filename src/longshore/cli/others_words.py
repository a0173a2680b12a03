"""The words of other products, and other words for a verb, with the commands that mean the same here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

# The first pattern that what was said begins with counts. Dashes are read as spaces, and a plural as its singular.
# Trilio's words for backups and for migrations, Coriolis', OS-Migrate's and openstackclient's
_MEANT = (
    (r"(workload|snapshot|restore|trust|job schedule).*restore", ["restore create"]),
    (r"(job schedul|workload.*schedul)", ["backup policy create"]),
    (r"(workload )?snapshot (list|show)", ["backup list", "backup show"]),
    (r"(workload )?snapshot", ["backup create"]),
    (r"workload (list|show|create|delete)", [r"backup policy \1"]),
    (r"workload (update|modify)", ["backup policy set"]),
    (r"workload", ["backup policy list"]),
    (
        r"(vcenter|endpoint|connection|cloud|source|target|hypervisor) (list|show|check|validate|test)",
        ["provider list"],
    ),
    (r"(vcenter|endpoint|connection|cloud|source|target|hypervisor) (add|create|register)", ["provider add"]),
    (r"add (file|openstack|vsphere|vault)", [r"provider add \1", r"provider add \1s"]),
    (r"migration (check|validate|verify|precheck|dry run|test)", ["migrate --type dry-run", "plan check"]),
    (r"(vm|instance|server|virtual machine|guest) (list|show)", [r"machine \2"]),
    (r"(instance|server|vm|virtual machine) (migrate|move|create)", ["migrate"]),
    (r"(migrate|move) (vm|instance|server|machine)", ["migrate"]),
    (r"migration plan discover", ["plan discover"]),
    (r"migration plan get by", ["plan find"]),
    (r"migration plan import (list|create)", [r"plan import \1"]),
    (r"migration plan get import", ["plan import list"]),
    (r"migration plan import", ["plan import create", "plan apply"]),
    (r"migration plan (list|create|show|delete|start|check)", [r"plan \1"]),
    (r"migration plan (modify|update)", ["plan set"]),
    (r"migration plan", ["plan list"]),
    (r"plan import", ["plan import create", "plan apply"]),
    (r"(plan|wave) (execute|run|migrate)", ["plan start"]),
    (r"migration deploy replica", ["replica test", "replica failover", "replica migrate"]),
    (r"migration (create|start|run|execute)", ["migrate", "plan start"]),
    (r"replica execution (list|show)", ["replica show"]),
    (r"replica (execute|execution|run|deploy)", ["replica sync"]),
    (r"replica (disable|stop)", ["replica pause"]),
    (r"replica (enable|start)", ["replica resume"]),
    (r"(failover|fail over)", ["replica failover"]),
    (r"(failback|fail back)", ["replica failback"]),
    (r"(project|tenant) (export|import|diff)", [r"tenant \2"]),
    (r"(export|import) (workload|network|subnet|router|project|tenant|security group)", [r"tenant \1"]),
    (r"(task|operation|activity) (list|show|cancel)", [r"job \2"]),
    (r"(network|datastore|cluster|folder|host) list", ["inventory list"]),
    (r"(repository|backup target|storage) (list|create|show|check)", [r"vault \2"]),
    (r"(volume|disk) (copy|move)", ["volume migrate"]),
)
# Verbs for the same thing: whichever of them a subject has is meant
_VERBS = (
    ("set", "modify", "update", "edit", "change", "configure"),
    ("create", "add", "new", "make", "register"),
    ("list", "ls", "all"),
    ("show", "get", "describe", "view", "info", "status", "details"),
    ("start", "run", "execute", "launch", "begin"),
    ("resume", "continue", "unpause", "enable"),
    ("pause", "suspend", "disable"),
    ("cancel", "abort", "stop", "kill"),
    ("delete", "remove", "rm", "del", "destroy", "forget", "revoke"),
    ("check", "validate", "verify", "precheck"),
    ("cutover", "switchover", "finalize", "complete"),
    ("events", "log", "logs", "history"),
)
_DESTROY = frozenset({"delete", "remove", "cancel", "cleanup", "commit", "undo", "prune", "release"})


def destroys(name: str) -> bool:
    """Tell whether a command takes something away, so that nobody is to come upon it by a slip."""
    return name.rsplit(maxsplit=1)[-1] in _DESTROY


def in_our_words(said: str, names: Collection[str]) -> list[str]:
    """Return the commands that mean what was said, one perhaps with an option; none where that isn't known. `names`: of
    all commands."""
    words = re.sub(r"[-_]", " ", said.lower()).split()
    singular = " ".join(word.removesuffix("s") if word.endswith("s") and len(word) > 2 else word for word in words)
    for pattern, commands in _MEANT:
        if found := re.match(rf"{pattern}\b", singular):
            ours = [found.expand(command) for command in commands]
            return [name for name in ours if _is_there(name.partition(" --")[0], names)]
    verb, *rest = singular.split() or [""]
    turned = [*rest[:1], verb, *rest[1:]]  # "list machines", as others have it
    return next((found for one in (words, turned) for found in _by_another_verb(one, names)), [])


def _is_there(name: str, names: Collection[str]) -> bool:
    return name in names or any(other.startswith(f"{name} ") for other in names)


def _by_another_verb(words: list[str], names: Collection[str]) -> Iterator[list[str]]:
    """Yield the commands whose subject was said, with another word for their verb."""
    for place in range(len(words) - 1, 0, -1):
        subject = " ".join(words[:place])
        for verbs in _VERBS:
            if words[place] in verbs:
                found = [f"{subject} {verb}" for verb in verbs if f"{subject} {verb}" in names]
                if found:
                    yield found
