"""The client of the REST API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError

from longshore.api.adoption import FoundReplica, NewAdoption
from longshore.api.backup_policies import (
    BackupPolicy,
    BackupPolicyChange,
    BackupPolicyDetails,
    ImportedPolicy,
    NewBackupPolicy,
)
from longshore.api.backups import (
    DeletedPoint,
    MadeVaultKey,
    NewBackup,
    Vault,
    VaultCheck,
    VaultKey,
    VaultPoint,
    VaultPointDetails,
    VaultRecovery,
)
from longshore.api.features import Features
from longshore.api.files import TAR, PointFiles
from longshore.api.groups import Group, GroupChange, GroupLanding, NewGroup
from longshore.api.inventories import MachinePage, TargetOffer
from longshore.api.operation import Job, LeftOver, Operation, Worker
from longshore.api.replica_reports import ReplicaReport
from longshore.api.replicas import Applied, KeptMigration, NewHold, NewReplica, NewTest, Point, Replica, ReplicaChange
from longshore.api.reports import PlanReport, Report
from longshore.api.schemas import (
    ChosenAnswer,
    Cleanup,
    Event,
    Fingerprint,
    FoundMachine,
    LedgerEntry,
    Limit,
    LimitChange,
    ListedMigration,
    Migration,
    MigrationCounts,
    NewPlan,
    PlanAnswer,
    PlanChanged,
    PlanConcern,
    PlanCopy,
    PlannedProgress,
    PlanStart,
    PlanStates,
    PlanSummary,
    PlanView,
    Provider,
    ProviderCheck,
    ServerConsole,
)
from longshore.api.tenancy import TenancyJob
from longshore.client.in_process import BAD, Take
from longshore.client.wires import Wire, fault_of
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.model.selection import EVERY, MachineFilter

T = TypeVar("T")
_MACHINES_AT_ONCE = 1000
_PAGE = 1000
_FILES = 10_000
_PATHS = ("cacert", "ca_file")  # settings that name files of this machine, which another has no use for


class Client:
    """Every call raises LongshoreError with the service's own sentence and code when it is refused."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def remote(self) -> bool:
        """Whether a server is asked, rather than this process."""
        return self._wire.remote

    def close(self) -> None:
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Providers

    def add_provider(
        self, name: str, kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> ProviderCheck:
        """A server has authorities of its own to trust: files that name some here stay here."""
        sent = {key: value for key, value in settings.items() if not (self._wire.remote and key in _PATHS)}
        body = {"name": name, "kind": kind, "settings": sent, "secrets": dict(secrets)}
        return self._ask(ProviderCheck, "POST", "/v1/providers", body)

    def fingerprint(self, host: str, port: int) -> str:
        """SHA-256 of the certificate that the server shows to the service."""
        return self._ask(Fingerprint, "POST", "/v1/fingerprint", {"host": host, "port": port}).sha256

    def providers(self, *, all_projects: bool = False) -> list[Provider]:
        return self._all(Provider, "/v1/providers", lambda p: p.id, _of_all(all_projects))

    def provider(self, name: str) -> Provider:
        return self._ask(Provider, "GET", f"/v1/providers/{_part(name)}")

    def check_provider(self, name: str) -> ProviderCheck:
        return self._ask(ProviderCheck, "POST", f"/v1/providers/{_part(name)}/check")

    def change_provider(self, name: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> ProviderCheck:
        """What isn't named stays as it is; null is as if it had never been said."""
        sent = {key: value for key, value in settings.items() if not (self._wire.remote and key in _PATHS)}
        body = {"settings": sent, "secrets": dict(secrets)}
        return self._ask(ProviderCheck, "PATCH", f"/v1/providers/{_part(name)}", body)

    def remove_provider(self, name: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/providers/{_part(name)}")

    def share_provider(self, name: str, project: str) -> None:
        """`project`: its id, or * for every project."""
        self._ask(type(None), "PUT", f"/v1/providers/{_part(name)}/shares/{_part(project)}")

    def unshare_provider(self, name: str, project: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/providers/{_part(name)}/shares/{_part(project)}")

    # Machines

    def machines(
        self, provider: str, wanted: MachineFilter = EVERY, told: Callable[[int, int], None] = lambda _done, _all: None
    ) -> list[Machine]:
        """Those that fit, without tags, some at a time; `told` hears how many of how many have been read."""
        path = f"/v1/providers/{_part(provider)}"
        said = {name: str(value) for name, value in asdict(wanted).items() if value is not None}
        refs = self._ask(list[str], "GET", f"{path}/references{f'?{urlencode(said)}' if said else ''}")
        found: list[Machine] = []
        for start in range(0, len(refs), _MACHINES_AT_ONCE):
            told(start, len(refs))
            page = refs[start : start + _MACHINES_AT_ONCE]
            found.extend(self._ask(list[Machine], "POST", f"{path}/machines", {"refs": page}))
        return found

    def inventory(self, provider: str) -> Inventory:
        return self._ask(Inventory, "GET", f"/v1/providers/{_part(provider)}/inventory")

    def search(self, provider: str, words: str) -> list[Machine]:
        """Those that fit, as words and field:value, without tags; as the source had them five minutes ago at most."""
        found: list[Machine] = []
        while True:
            asked = urlencode({"q": words, "limit": _PAGE, "offset": len(found)})
            path = f"/v1/providers/{_part(provider)}/inventory/machines?{asked}"
            page = self._ask(MachinePage, "GET", path)
            found.extend(page.machines)
            if len(page.machines) < _PAGE:
                return found

    def offer(self, provider: str) -> TargetOffer:
        """What the target has to choose from."""
        return self._ask(TargetOffer, "GET", f"/v1/providers/{_part(provider)}/offer")

    def volumes(self, provider: str) -> list[Machine]:
        """Those that no machine has, each as a machine of this one disk."""
        return self._ask(list[Machine], "GET", f"/v1/providers/{_part(provider)}/volumes")

    def machine(self, provider: str, machine: str) -> Machine:
        return self._ask(Machine, "GET", f"/v1/providers/{_part(provider)}/machines/{_part(machine)}")

    def inspect(self, source: str, machine: str) -> Migration:
        """Its disks looked into; what was found is in the result of what this answers, once that has ended."""
        return self._ask(Migration, "POST", "/v1/inspections", {"source": source, "machine": machine})

    # Plans: their content is as in a plan's file, see longshore.planning.planfile

    def create_plan(self, wanted: NewPlan) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", "/v1/plans", wanted.model_dump(mode="json"))

    def apply_plan(self, plan: Mapping[str, Any], version: str | None = None) -> PlanAnswer:
        """`version`: only if the plan that is there is of it still."""
        return self._ask(PlanAnswer, "PUT", f"/v1/plans/{_part(plan['name'])}", dict(plan), version)

    def keep_plan(self, name: str) -> PlanChanged:
        """A draft is a plan from now on."""
        return self._ask(PlanChanged, "POST", f"/v1/plans/{_part(name)}/keep")

    def duplicate_plan(self, name: str, copy: PlanCopy) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", f"/v1/plans/{_part(name)}/duplicate", copy.model_dump(mode="json"))

    def plans(self, machine: str | None = None) -> list[PlanSummary]:
        return self._all(PlanSummary, "/v1/plans", lambda p: p.name, {} if machine is None else {"machine": machine})

    def plan(self, name: str) -> PlanView:
        return self._ask(PlanView, "GET", f"/v1/plans/{_part(name)}")

    def remove_plan(self, name: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/plans/{_part(name)}")

    def plan_machines(self, name: str) -> list[FoundMachine]:
        return self._ask(list[FoundMachine], "GET", f"/v1/plans/{_part(name)}/machines")

    def plan_states(self, name: str, part: str = "", status: str = "") -> list[PlannedProgress]:
        """How far its machines are: those with this part in their names and in this state, or all."""
        return self._states(name, {"q": part, "status": status}).machines

    def changed_states(self, name: str, since: PlanStates | None) -> PlanStates:
        """How far those of its machines are that have changed since an earlier answer to this, or all."""
        return self._states(name, {} if since is None else {"changed_since": f"{since.until.isoformat()}Z"})

    def _states(self, name: str, asked: Mapping[str, str]) -> PlanStates:
        """All pages as one: what the first one says of the plan, and until when."""
        first: PlanStates | None = None
        found: list[PlannedProgress] = []
        while True:
            question = urlencode({**asked, "limit": str(_PAGE), "offset": str(len(found))})
            page = self._ask(PlanStates, "GET", f"/v1/plans/{_part(name)}/states?{question}")
            first = first or page
            found.extend(page.machines)
            if len(page.machines) < _PAGE:
                return first.model_copy(update={"machines": found})

    def plan_migrations(self, name: str) -> list[Migration]:
        """The latest of each machine."""
        return self._ask(list[Migration], "GET", f"/v1/plans/{_part(name)}/migrations")

    def plan_report(self, name: str) -> PlanReport:
        return self._ask(PlanReport, "GET", f"/v1/plans/{_part(name)}/report")

    def check_plan(self, name: str, asked: PlanStart) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", f"/v1/plans/{_part(name)}/check", asked.model_dump(mode="json"))

    def start_plan(self, name: str, asked: PlanStart) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/start", asked.model_dump(mode="json"))

    def retry_plan(self, name: str, machines: Sequence[str] = ()) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/retry{_of_some(machines)}")

    def cut_plan_over(self, name: str, wave: int | None = None, machines: Sequence[str] = ()) -> list[Migration]:
        question = _of_some(machines, {} if wave is None else {"wave": str(wave)})
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/cutover{question}")

    def resume_plan(self, name: str) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/resume")

    def cancel_plan(self, name: str, machines: Sequence[str] = ()) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/cancel{_of_some(machines)}")

    # Migrations

    def create_migration(self, machine: str, source: str, target: str, request: MigrationRequest) -> Migration:
        plain = TypeAdapter(MigrationRequest).dump_python(request, mode="json")
        body = {"machine": machine, "source": source, "target": target, "request": plain}
        return self._ask(Migration, "POST", "/v1/migrations", body)

    def migrations(
        self,
        *,
        all_projects: bool = False,
        plan: str | None = None,
        machine: str | None = None,
        status: str | None = None,
        last: int | None = None,
    ) -> list[ListedMigration]:
        """In short, oldest first: all of them, or those that fit; or of these the `last` ones, at most 1000. `machine`:
        a name or reference."""
        wanted = {"plan": plan, "machine": machine, "status": status, "short": "true"}
        asked = _of_all(all_projects) | {name: value for name, value in wanted.items() if value is not None}
        if last is not None:
            path = f"/v1/migrations?{urlencode(asked | {'newest': 'true', 'limit': str(last)})}"
            return self._ask(list[ListedMigration], "GET", path)[::-1]
        return self._all(ListedMigration, "/v1/migrations", lambda m: m.id, asked)

    def migration_counts(
        self, *, all_projects: bool = False, plan: str | None = None, machine: str | None = None
    ) -> MigrationCounts:
        """How many there are, of those that fit."""
        wanted = {"plan": plan, "machine": machine}
        asked = _of_all(all_projects) | {name: value for name, value in wanted.items() if value is not None}
        return self._ask(MigrationCounts, "GET", f"/v1/migration-counts?{urlencode(asked)}")

    def migration(self, migration: str) -> Migration:
        return self._ask(Migration, "GET", f"/v1/migrations/{_part(migration)}")

    def events(self, migration: str, after: int = 0) -> list[Event]:
        return self._ask(list[Event], "GET", f"/v1/migrations/{_part(migration)}/events?after={after}")

    def migration_report(self, migration: str) -> Report:
        return self._ask(Report, "GET", f"/v1/migrations/{_part(migration)}/report")

    def bundle(self, migration: str) -> dict[str, Any]:
        """All that is on record of it, as the service has written it."""
        return self._ask(dict[str, Any], "GET", f"/v1/migrations/{_part(migration)}/bundle")

    def console(self, migration: str, lines: int) -> ServerConsole:
        """What its server has printed until now; of that the last lines."""
        return self._ask(ServerConsole, "GET", f"/v1/migrations/{_part(migration)}/console?lines={lines}")

    def ledger(self, migration: str) -> list[LedgerEntry]:
        return self._ask(list[LedgerEntry], "GET", f"/v1/migrations/{_part(migration)}/ledger")

    def resume(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/resume")

    def cut_over(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/cutover")

    def convert(self, migration: str, *, accept: Sequence[str] = (), guest_keys: Sequence[str] = ()) -> Migration:
        body = {"accept": list(accept), "guest_keys": list(guest_keys)}
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/convert", body)

    def cancel(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/cancel")

    def tell_chosen(self, verb: str, ids: Sequence[str]) -> list[ChosenAnswer]:
        """`verb`: cancel, cutover, resume or retry."""
        return self._ask(list[ChosenAnswer], "POST", f"/v1/migrations/{verb}", {"ids": list(ids)})

    def clean_up(self, migration: str) -> Cleanup:
        return self._ask(Cleanup, "POST", f"/v1/migrations/{_part(migration)}/cleanup")

    def remove_migration(self, migration: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/migrations/{_part(migration)}")

    # Replicas: by their id, the beginning of that, or the name of their machine

    def create_replica(self, wanted: NewReplica) -> Replica:
        return self._ask(Replica, "POST", "/v1/replicas", _in_clear(wanted))

    def check_replica(self, wanted: NewReplica) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", "/v1/replicas/check", _in_clear(wanted))

    def keep_as_replica(self, migration: str, wanted: KeptMigration) -> Replica:
        path = f"/v1/migrations/{_part(migration)}/keep-as-replica"
        return self._ask(Replica, "POST", path, _in_clear(wanted))

    def replicas(self, *, all_projects: bool = False) -> list[Replica]:
        return self._ask(list[Replica], "GET", f"/v1/replicas{_asked(all_projects)}")

    def replica(self, replica: str) -> Replica:
        return self._ask(Replica, "GET", f"/v1/replicas/{_part(replica)}")

    def change_replica(self, replica: str, change: ReplicaChange) -> Replica:
        return self._ask(Replica, "PATCH", f"/v1/replicas/{_part(replica)}", _in_clear(change))

    def tell_replica(self, replica: str, what: str, body: BaseModel | None = None) -> Replica:
        """`what`: sync, pause, resume, failover, undo, commit or migrate."""
        said = body.model_dump(mode="json") if body is not None else None
        return self._ask(Replica, "POST", f"/v1/replicas/{_part(replica)}/{what}", said)

    def delete_replica(self, replica: str) -> Replica:
        return self._ask(Replica, "DELETE", f"/v1/replicas/{_part(replica)}")

    def replica_file(self, replicas: Sequence[str]) -> dict[str, Any]:
        """Of those that are named, or all."""
        asked = urlencode([("replica", word) for word in replicas])
        return self._ask(dict[str, Any], "GET", f"/v1/replica-file{'?' if asked else ''}{asked}")

    def apply_replica_file(self, content: Mapping[str, Any]) -> list[Applied]:
        return self._ask(list[Applied], "PUT", "/v1/replica-file", dict(content))

    def replica_report(self, replica: str) -> ReplicaReport:
        return self._ask(ReplicaReport, "GET", f"/v1/replicas/{_part(replica)}/report")

    def found_replicas(self, provider: str) -> list[FoundReplica]:
        return self._ask(list[FoundReplica], "GET", f"/v1/providers/{_part(provider)}/replicas")

    def adopt_replicas(self, wanted: NewAdoption) -> list[FoundReplica]:
        return self._ask(list[FoundReplica], "POST", "/v1/replicas/adopt", wanted.model_dump(mode="json"))

    def test_replica(self, replica: str, wanted: NewTest) -> Migration:
        return self._ask(Migration, "POST", f"/v1/replicas/{_part(replica)}/test", wanted.model_dump(mode="json"))

    def points(self, replica: str) -> list[Point]:
        return self._ask(list[Point], "GET", f"/v1/replicas/{_part(replica)}/points")

    def point(self, replica: str, number: int) -> Point:
        return self._ask(Point, "GET", f"/v1/replicas/{_part(replica)}/points/{number}")

    def hold_point(self, replica: str, number: int, hold: NewHold) -> Point:
        path = f"/v1/replicas/{_part(replica)}/points/{number}/hold"
        return self._ask(Point, "POST", path, hold.model_dump(mode="json"))

    def release_point(self, replica: str, number: int, hold: NewHold) -> Point:
        path = f"/v1/replicas/{_part(replica)}/points/{number}/release"
        return self._ask(Point, "POST", path, hold.model_dump(mode="json"))

    def delete_point(self, replica: str, number: int) -> None:
        self._ask(type(None), "DELETE", f"/v1/replicas/{_part(replica)}/points/{number}")

    # Vaults, backups, restores

    def create_vault(
        self,
        name: str,
        where: Mapping[str, str],
        pass_phrase: str | None,
        secret_key: str | None = None,
        *,
        lock: int | None = None,
    ) -> Vault:
        """`where`: its directory, or its bucket's url, endpoint, region, access_key and ca_file; `barbican`, if that is
        to open it. `lock`: days."""
        body = {"name": name, "pass_phrase": pass_phrase, "secret_key": secret_key, "lock": lock, **where}
        return self._ask(Vault, "POST", "/v1/vaults", body)

    def vaults(self) -> list[Vault]:
        return self._ask(list[Vault], "GET", "/v1/vaults")

    def check_vault(self, vault: str) -> VaultCheck:
        return self._ask(VaultCheck, "POST", f"/v1/vaults/{_part(vault)}/check")

    def recover_vault(self, vault: str) -> VaultRecovery:
        return self._ask(VaultRecovery, "POST", f"/v1/vaults/{_part(vault)}/recover")

    def import_vault(self, vault: str, sources: Mapping[str, str], *, paused: bool) -> list[ImportedPolicy]:
        body = {"sources": dict(sources), "paused": paused}
        return self._ask(list[ImportedPolicy], "POST", f"/v1/vaults/{_part(vault)}/import", body)

    def keep_vault(self, vault: str, what: str) -> Migration:
        """`what`: verify or prune."""
        return self._ask(Migration, "POST", f"/v1/vaults/{_part(vault)}/{what}")

    def copy_vault(self, vault: str, to: str, *, in_clear: bool) -> Migration:
        return self._ask(Migration, "POST", f"/v1/vaults/{_part(vault)}/copy", {"to": to, "in_clear": in_clear})

    def vault_keys(self, vault: str) -> list[VaultKey]:
        return self._ask(list[VaultKey], "GET", f"/v1/vaults/{_part(vault)}/keys")

    def add_vault_key(
        self, vault: str, name: str, pass_phrase: str | None, barbican: str | None = None
    ) -> MadeVaultKey:
        """Without a pass phrase a recovery key is made, which is in the answer, or in the key manager of the provider
        `barbican`."""
        body = {"name": name, "pass_phrase": pass_phrase, "barbican": barbican}
        return self._ask(MadeVaultKey, "POST", f"/v1/vaults/{_part(vault)}/keys", body)

    def remove_vault_key(self, vault: str, key: str, *, barbican: str | None = None, keep_secret: bool = False) -> None:
        """`barbican`: the provider in whose key manager its pass phrase is, where that isn't known there."""
        query = urlencode(
            ({"barbican": barbican} if barbican else {}) | ({"keep_secret": "true"} if keep_secret else {})
        )
        self._ask(type(None), "DELETE", f"/v1/vaults/{_part(vault)}/keys/{_part(key)}?{query}")

    def vault_points(self, vault: str) -> list[VaultPoint]:
        return self._ask(list[VaultPoint], "GET", f"/v1/vaults/{_part(vault)}/points")

    def vault_point(self, vault: str, point: str) -> VaultPointDetails:
        return self._ask(VaultPointDetails, "GET", f"/v1/vaults/{_part(vault)}/points/{_part(point)}")

    def point_files(self, vault: str, point: str, path: str, find: str | None = None) -> PointFiles:
        query = {"path": path, "limit": _FILES} | ({"find": find} if find is not None else {})
        where = f"/v1/vaults/{_part(vault)}/files/{_part(point)}"
        return self._ask(PointFiles, "GET", f"{where}?{urlencode(query)}")

    def fetch_file(self, vault: str, point: str, path: str, begin: Callable[[bool, int | None], Take]) -> None:
        """What `begin` answers is given its bytes as they come, or those of a tar of a directory.

        `begin` is told whether it is one, and how many bytes there will be, or None where that isn't known.
        """

        def found(headers: Mapping[str, str]) -> Take:
            length = headers.get("content-length", "")
            return begin(headers.get("content-type") == TAR, int(length) if length.isdecimal() else None)

        where = f"/v1/vaults/{_part(vault)}/file/{_part(point)}"
        status, content = self._wire.fetch(f"{where}?{urlencode({'path': path})}", found)
        if status >= BAD:
            raise fault_of(status, content)

    def delete_vault_point(self, vault: str, point: str) -> DeletedPoint:
        return self._ask(DeletedPoint, "DELETE", f"/v1/vaults/{_part(vault)}/points/{_part(point)}")

    def hold_vault_point(self, vault: str, point: str, hold: NewHold) -> VaultPointDetails:
        path = f"/v1/vaults/{_part(vault)}/points/{_part(point)}/hold"
        return self._ask(VaultPointDetails, "POST", path, hold.model_dump(mode="json"))

    def release_vault_point(self, vault: str, point: str, hold: NewHold) -> VaultPointDetails:
        path = f"/v1/vaults/{_part(vault)}/points/{_part(point)}/release"
        return self._ask(VaultPointDetails, "POST", path, hold.model_dump(mode="json"))

    def back_up(self, wanted: NewBackup) -> Migration:
        return self._ask(Migration, "POST", "/v1/backups", wanted.model_dump(mode="json"))

    def check_backup(self, wanted: NewBackup) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", "/v1/backups/check", wanted.model_dump(mode="json"))

    def create_backup_policy(self, wanted: NewBackupPolicy) -> BackupPolicy:
        return self._ask(BackupPolicy, "POST", "/v1/backup-policies", wanted.model_dump(mode="json"))

    def backup_policies(self) -> list[BackupPolicy]:
        return self._ask(list[BackupPolicy], "GET", "/v1/backup-policies")

    def backup_policy(self, policy: str) -> BackupPolicyDetails:
        return self._ask(BackupPolicyDetails, "GET", f"/v1/backup-policies/{_part(policy)}")

    def change_backup_policy(self, policy: str, change: BackupPolicyChange) -> BackupPolicy:
        body = change.model_dump(mode="json", exclude_unset=True)
        return self._ask(BackupPolicy, "PATCH", f"/v1/backup-policies/{_part(policy)}", body)

    def delete_backup_policy(self, policy: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/backup-policies/{_part(policy)}")

    def check_backup_policy(self, policy: str) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", f"/v1/backup-policies/{_part(policy)}/check")

    def run_backup_policy(self, policy: str) -> BackupPolicy:
        return self._ask(BackupPolicy, "POST", f"/v1/backup-policies/{_part(policy)}/run")

    def restore(
        self, vault: str, point: str, target: str, request: MigrationRequest, disk: int | None = None
    ) -> Migration:
        plain = TypeAdapter(MigrationRequest).dump_python(request, mode="json")
        body = {"vault": vault, "point": point, "target": target, "disk": disk, "request": plain}
        return self._ask(Migration, "POST", "/v1/restores", body)

    def tell_restore(self, migration: str, word: str) -> Migration:
        """`word`: commit or undo."""
        return self._ask(Migration, "POST", f"/v1/restores/{_part(migration)}/{word}")

    # Groups of replicas

    def create_group(self, wanted: NewGroup) -> Group:
        return self._ask(Group, "POST", "/v1/replica-groups", wanted.model_dump(mode="json"))

    def groups(self, *, all_projects: bool = False) -> list[Group]:
        return self._ask(list[Group], "GET", f"/v1/replica-groups{_asked(all_projects)}")

    def group(self, group: str) -> Group:
        return self._ask(Group, "GET", f"/v1/replica-groups/{_part(group)}")

    def change_group(self, group: str, change: GroupChange) -> Group:
        return self._ask(Group, "PATCH", f"/v1/replica-groups/{_part(group)}", change.model_dump(mode="json"))

    def delete_group(self, group: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/replica-groups/{_part(group)}")

    def run_group(self, group: str, what: str, body: GroupLanding) -> Migration:
        """`what`: test or failover."""
        return self._ask(Migration, "POST", f"/v1/replica-groups/{_part(group)}/{what}", body.model_dump(mode="json"))

    def tell_group(self, group: str, what: str) -> Group:
        """`what`: undo or commit."""
        return self._ask(Group, "POST", f"/v1/replica-groups/{_part(group)}/{what}")

    # Limits

    def limits(self, *, all_projects: bool = False) -> list[Limit]:
        return self._all(Limit, "/v1/limits", lambda limit: limit.id, _of_all(all_projects))

    def set_limit(self, change: LimitChange, *, all_projects: bool = False) -> Limit:
        """Figures that weren't given to `change` stay as they were. `all_projects`: it counts the jobs of all."""
        body = change.model_dump(mode="json", exclude_unset=True)
        return self._ask(Limit, "PUT", f"/v1/limits{_asked(all_projects)}", body)

    def remove_limit(self, limit: str, *, all_projects: bool = False) -> None:
        self._ask(type(None), "DELETE", f"/v1/limits/{_part(limit)}{_asked(all_projects)}")

    # The whole installation

    def features(self) -> Features:
        """What is refused there whatever one's roles."""
        return self._ask(Features, "GET", "/v1/features")

    def operation(self) -> Operation:
        return self._ask(Operation, "GET", "/v1/operation")

    def workers(self) -> list[Worker]:
        return self._ask(list[Worker], "GET", "/v1/operation/workers")

    def jobs(self, *, worker: str | None = None, stranded: bool = False) -> list[Job]:
        asked = ({} if worker is None else {"worker": worker}) | ({"stranded": "true"} if stranded else {})
        return self._all(Job, "/v1/operation/jobs", lambda job: job.id, asked)

    def left_overs(self) -> list[LeftOver]:
        return self._ask(list[LeftOver], "GET", "/v1/operation/left-overs")

    # Resources as files

    def start_tenancy(self, what: str, body: Mapping[str, Any]) -> TenancyJob:
        """`what`: exports, diffs or imports. The directory is one of the service's machine, and absolute."""
        return self._ask(TenancyJob, "POST", f"/v1/tenancy/{what}", dict(body))

    def tenancy_job(self, job: str) -> TenancyJob:
        return self._ask(TenancyJob, "GET", f"/v1/tenancy/jobs/{_part(job)}")

    def stop_tenancy_job(self, job: str) -> TenancyJob:
        return self._ask(TenancyJob, "POST", f"/v1/tenancy/jobs/{_part(job)}/stop")

    def _all(self, kind: type[T], path: str, marker_of: Callable[[T], str], asked: Mapping[str, str]) -> list[T]:
        """A list whose pages are asked for one after the other."""
        found: list[T] = []
        while True:
            question = {**asked, "limit": str(_PAGE)} | ({"marker": marker_of(found[-1])} if found else {})
            page = self._ask(list[kind], "GET", f"{path}?{urlencode(question)}")  # type: ignore[valid-type]
            found.extend(page)
            if len(page) < _PAGE:
                return found

    def _ask(self, kind: type[T], method: str, path: str, body: Any = None, version: str | None = None) -> T:
        status, content = self._wire.ask(method, path, body, if_match=None if version is None else f'"{version}"')
        if status >= 400:
            raise fault_of(status, content)
        try:
            return TypeAdapter(kind).validate_json(content or b"null")
        except ValidationError:
            raise fault_of(status, b"") from None


def _in_clear(wanted: NewReplica | KeptMigration | ReplicaChange) -> dict[str, Any]:
    """With its webhook: whoever is asked for has to be told."""
    said = wanted.model_dump(mode="json")
    return said | {"webhook": wanted.webhook.get_secret_value() if wanted.webhook is not None else None}


def _of_some(machines: Sequence[str], asked: Mapping[str, str] | None = None) -> str:
    """A question after a path; empty where nothing is asked."""
    question = urlencode([*(asked or {}).items(), *(("machine", name) for name in machines)])
    return f"?{question}" if question else ""


def _of_all(all_projects: bool) -> dict[str, str]:
    return {"all_projects": "true"} if all_projects else {}


def _asked(all_projects: bool) -> str:
    return "?all_projects=true" if all_projects else ""


def _part(name: str) -> str:
    """A user's word as one part of a path, whatever is in it."""
    return quote(name, safe="")
