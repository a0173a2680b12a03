"""Addresses of each page, by what it is about and by a name: of a store with something of everything."""

from urllib.parse import quote


def addresses(ids):
    plan, replica = "/ui/plans/shop", f"/ui/replicas/{ids['replica']}"
    return {
        "providers": {
            "overview": "/ui/",
            "providers": "/ui/providers",
            "provider": "/ui/providers/vc",
            "remove-provider": "/ui/providers/vc/remove",
            "lent-provider": "/ui/providers/vc/shares",
            "vcenter": "/ui/providers/new/vsphere",
            "openstack": "/ui/providers/new/openstack",
            "files-provider": "/ui/providers/new/files",
            "change-provider": "/ui/providers/vc/edit",
            "change-openstack": "/ui/providers/cloud/edit",
            "machines": "/ui/providers/vc/machines",
            "unprotected": "/ui/providers/vc/unprotected",
            "no-machine-fits": "/ui/providers/vc/machines?q=nobody",
            "machine": "/ui/providers/vc/machines/vm-1",
            "volumes": "/ui/providers/cloud/volumes",
            "tenant": "/ui/providers/cloud/tenant",
        },
        "plans": {
            "plans": "/ui/plans",
            "plan": plan,
            "plan-report": f"{plan}/report",
            "no-machine-of-plan": f"{plan}?q=nobody",
            "cut-plan-over": f"{plan}/cutover",
            "take-cutover-of-plan-back": f"{plan}/take-back",
            "cancel-plan": f"{plan}/cancel",
            "retry-plan": f"{plan}/retry",
            "delete-plan": f"{plan}/delete",
            "plan-as-yaml": f"{plan}/yaml",
            "duplicate-plan": f"{plan}/duplicate",
            "keep-plan-in-vault": f"{plan}/keep-in",
            "machine-of-plan": f"{plan}/machines/app01",
            "new-plan": "/ui/new-plan?source=vc&which=all&q=app",
            "new-plan-of-none": "/ui/new-plan?source=vc&which=chosen",
            "mappings": f"{plan}/mappings",
            "concerns": f"{plan}/concerns",
        },
        "migrations": {
            "migrations": "/ui/migrations",
            "no-migration": "/ui/migrations?q=nobody",
            "migration": f"/ui/migrations/{ids['app02']}",
            "failed": f"/ui/migrations/{ids['db01']}",
            "done": f"/ui/migrations/{ids['web01']}",
            "console": f"/ui/migrations/{ids['web01']}/console",
            "migration-report": f"/ui/migrations/{ids['web01']}/report",
            "cutover": f"/ui/migrations/{ids['app01']}/cutover",
            "cancel": f"/ui/migrations/{ids['app02']}/cancel",
            "commit-restore": f"/ui/migrations/{ids['web01']}/commit",
            "undo-restore": f"/ui/migrations/{ids['web01']}/undo",
            "convert": f"/ui/migrations/{ids['web01']}/convert",
            "cancel-chosen": f"/ui/chosen-migrations/cancel?migration={ids['app02']}",
            "cut-chosen-over": f"/ui/chosen-migrations/cutover?migration={ids['app01']}",
            "go-on-with-chosen": f"/ui/chosen-migrations/resume?migration={ids['app01']}",
            "retry-chosen": f"/ui/chosen-migrations/retry?migration={ids['db01']}",
            "take-failed-away": f"/ui/migrations/{ids['db01']}/delete",
            "keep-as-replica": f"/ui/migrations/{ids['app01']}/keep",
        },
        "replicas": {
            "replicas": "/ui/replicas",
            "replicas-report": "/ui/replicas/report",
            "replica": replica,
            "replica-of-a-month": f"{replica}?days=30",
            "failover": f"{replica}/failover",
            "undo-failover": f"{replica}/undo",
            "commit-failover": f"{replica}/commit",
            "protect": "/ui/replicas/new?source=vc&machine=vm-1&machine=vm-2",
            "protect-one": "/ui/replicas/new?source=vc&machine=vm-1",
            "replica-point": f"{replica}/points/3",
            "delete-replica-point": f"{replica}/points/3/delete",
            "change-replica": f"{replica}/edit",
            "migrate-replica": f"{replica}/migrate",
            "delete-replica": f"{replica}/delete",
            "failback": f"{replica}/failback",
            "reprotect": f"{replica}/reprotect",
        },
        "groups": _groups("/ui/replicas/groups/rack"),
        "backups": _backups(ids),
        "vaults": _vaults(ids),
        "jobs": {"jobs": "/ui/jobs", "jobs-of-a-type": "/ui/jobs?type=backup"},
        "administration": {
            "administration": "/ui/administration",
            "queue": "/ui/administration/queue",
            "left-overs": "/ui/administration/left-overs",
            "limits": "/ui/administration/limits",
            "change-limit": f"/ui/administration/limits?limit={ids['limit']}",
            "remove-limit": f"/ui/administration/limits/remove?limit={ids['limit']}",
        },
        "walls": {"wall": "/ui/wall", "wall-links": "/ui/wall-links"},
        "channels": {
            "channels": "/ui/channels",
            "change-channel": f"/ui/channels/change?channel={ids['channel']}",
            "delete-channel": f"/ui/channels/remove?channel={ids['channel']}",
        },
    }


def _groups(group):
    return {
        "groups": "/ui/replicas/groups",
        "group": group,
        "new-group": "/ui/replicas/new-group",
        "change-group": f"{group}/edit",
        "test-group": f"{group}/test",
        "fail-group-over": f"{group}/failover",
        "undo-group": f"{group}/undo",
        "commit-group": f"{group}/commit",
        "delete-group": f"{group}/delete",
    }


def _backups(ids):
    vault, point = "/ui/backups/vaults/offsite", quote(ids["point"], safe="")
    return {
        "backups": "/ui/backups",
        "back-up": "/ui/backups/new?source=vc&machine=vm-1&machine=vm-2",
        "policy": "/ui/backups/policies/nightly",
        "new-policy": "/ui/backups/new-policy",
        "runs-of-policy": "/ui/backups/policies/nightly/runs",
        "change-policy": "/ui/backups/policies/nightly/edit",
        "delete-policy": "/ui/backups/policies/nightly/delete",
        "point": f"{vault}/points/{point}",
        "files": f"{vault}/files/{point}",
        "files-found": f"{vault}/files/{point}?find=host*",
        "hold": f"{vault}/hold/{point}",
        "release": f"{vault}/release/{point}",
        "delete-point": f"{vault}/delete/{point}",
        "restore": f"{vault}/restore/{point}",
    }


def _vaults(ids):
    vault, safe = "/ui/backups/vaults/offsite", "/ui/backups/vaults/safe"
    return {
        "vault": vault,
        "no-point-fits": f"{vault}?q=nobody",
        "empty-vault": safe,
        "new-vault": "/ui/backups/new-vault",
        "copy-vault": f"{vault}/copy",
        "policies-back": f"{vault}/import",
        "vault-usage": f"{vault}/usage",
        "plans-in-vault": f"{vault}/plans",
        "prune": f"{vault}/prune",
        "prunable": f"{vault}/prune?look=yes",
        "recover": f"{vault}/recover",
        "forget-vault": f"{vault}/forget",
        "keys": f"{safe}/keys",
        "remove-key": f"{safe}/keys/remove?key={ids['key']}",
        "no-keys": f"{vault}/keys",
    }


# Before anything was done: each says what to do next
EMPTY = {
    "empty-overview": "/ui/",
    "empty-providers": "/ui/providers",
    "empty-plans": "/ui/plans",
    "empty-migrations": "/ui/migrations",
    "empty-jobs": "/ui/jobs",
    "empty-replicas": "/ui/replicas",
    "empty-groups": "/ui/replicas/groups",
    "empty-new-group": "/ui/replicas/new-group",
    "empty-replica": "/ui/replicas/new",
    "empty-replicas-report": "/ui/replicas/report",
    "empty-backups": "/ui/backups",
    "empty-backup": "/ui/backups/new",
    "empty-new-policy": "/ui/backups/new-policy",
    "empty-new-plan": "/ui/new-plan",
    "empty-administration": "/ui/administration",
    "empty-queue": "/ui/administration/queue",
    "empty-left-overs": "/ui/administration/left-overs",
    "empty-limits": "/ui/administration/limits",
    "empty-channels": "/ui/channels",
}
DOOR = {
    "log-in": "/ui/login?to=/ui/",
    "log-in-by-credential": "/ui/login?by=credential&to=/ui/",
    "log-in-by-token": "/ui/login?by=token&to=/ui/",
}
# Files, and a page of what runs outside the store: its own test makes one
NO_PAGES = ("/tenant/{job}", "/report/csv", ".csv", "/report/json", "/bundle", "/yaml/file", "/iac/{format}")
NO_PAGES += ("/file/{point:path}",)
