"""Vaults, the points in them, and what is made of those."""

from collections.abc import Callable, Mapping

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
    Prunable,
    Vault,
    VaultCheck,
    VaultKey,
    VaultPoint,
    VaultPointDetails,
    VaultRecovery,
    VaultUsage,
)
from longshore.api.files import TAR, PointFiles
from longshore.api.replicas import NewHold
from longshore.api.schedules import PreviewWanted, SchedulePreview
from longshore.api.schemas import Migration, PlanConcern
from longshore.client.calls import Calls, part, query_of, refuse_another_path
from longshore.client.in_process import BAD, Take
from longshore.client.wires import fault_of
from longshore.model.request import MigrationRequest

_FILES = 10_000  # names of files that are asked for at most


class VaultCalls(Calls):
    """Calls about vaults, by their names."""

    def create_vault(
        self,
        name: str,
        where: Mapping[str, str],
        pass_phrase: str | None,
        secret_key: str | None = None,
        *,
        lock: int | None = None,
    ) -> Vault:
        """Create a vault. `where`: its directory, or its bucket's url, endpoint, region, access_key and ca_file;
        `barbican`, if that is to open it. `lock`: days."""
        body = {"name": name, "pass_phrase": pass_phrase, "secret_key": secret_key, "lock": lock, **where}
        return self._ask(Vault, "POST", "/v1/vaults", body)

    def vaults(self) -> list[Vault]:
        return self._ask(list[Vault], "GET", "/v1/vaults")

    def check_vault(self, vault: str) -> VaultCheck:
        return self._ask(VaultCheck, "POST", f"/v1/vaults/{part(vault)}/check")

    def vault_usage(self, vault: str) -> VaultUsage:
        return self._ask(VaultUsage, "GET", f"/v1/vaults/{part(vault)}/usage")

    def prunable(self, vault: str) -> Prunable:
        """Ask what a prune would remove now."""
        return self._ask(Prunable, "GET", f"/v1/vaults/{part(vault)}/prunable")

    def recover_vault(self, vault: str) -> VaultRecovery:
        return self._ask(VaultRecovery, "POST", f"/v1/vaults/{part(vault)}/recover")

    def import_vault(self, vault: str, sources: Mapping[str, str], *, paused: bool) -> list[ImportedPolicy]:
        body = {"sources": dict(sources), "paused": paused}
        return self._ask(list[ImportedPolicy], "POST", f"/v1/vaults/{part(vault)}/import", body)

    def keep_vault(self, vault: str, what: str) -> Migration:
        """Verify or prune a vault. `what`: verify or prune."""
        return self._ask(Migration, "POST", f"/v1/vaults/{part(vault)}/{what}")

    def copy_vault(self, vault: str, to: str, *, in_clear: bool) -> Migration:
        return self._ask(Migration, "POST", f"/v1/vaults/{part(vault)}/copy", {"to": to, "in_clear": in_clear})

    def vault_keys(self, vault: str) -> list[VaultKey]:
        return self._ask(list[VaultKey], "GET", f"/v1/vaults/{part(vault)}/keys")

    def add_vault_key(
        self, vault: str, name: str, pass_phrase: str | None, barbican: str | None = None
    ) -> MadeVaultKey:
        """Add a key. Without a pass phrase a recovery key is made, which is in the answer, or in the key manager of the
        provider `barbican`."""
        body = {"name": name, "pass_phrase": pass_phrase, "barbican": barbican}
        return self._ask(MadeVaultKey, "POST", f"/v1/vaults/{part(vault)}/keys", body)

    def remove_vault_key(self, vault: str, key: str, *, barbican: str | None = None, keep_secret: bool = False) -> None:
        """Remove a key. `barbican`: the provider in whose key manager its pass phrase is, where that isn't known
        there."""
        path = f"/v1/vaults/{part(vault)}/keys/{part(key)}"
        self._ask(type(None), "DELETE", path, barbican=barbican, keep_secret=keep_secret)

    def vault_points(self, vault: str) -> list[VaultPoint]:
        return self._ask(list[VaultPoint], "GET", f"/v1/vaults/{part(vault)}/points")

    def vault_point(self, vault: str, point: str) -> VaultPointDetails:
        return self._ask(VaultPointDetails, "GET", f"/v1/vaults/{part(vault)}/points/{part(point)}")

    def point_files(self, vault: str, point: str, path: str, find: str | None = None) -> PointFiles:
        where = f"/v1/vaults/{part(vault)}/files/{part(point)}"
        return self._ask(PointFiles, "GET", where, path=path, limit=_FILES, find=find)

    def fetch_file(self, vault: str, point: str, path: str, begin: Callable[[bool, int | None], Take]) -> None:
        """Fetch a file: what `begin` answers is given its bytes as they come, or those of a tar of a directory.

        `begin` is told whether it is one, and how many bytes there will be, or None where that isn't known.
        """

        def found(headers: Mapping[str, str]) -> Take:
            length = headers.get("content-length", "")
            return begin(headers.get("content-type") == TAR, int(length) if length.isdecimal() else None)

        where = f"/v1/vaults/{part(vault)}/file/{part(point)}"
        refuse_another_path(where)
        status, content = self._wire.fetch(where + query_of(path=path), found)
        if status >= BAD:
            raise fault_of(status, content)

    def delete_vault_point(self, vault: str, point: str) -> DeletedPoint:
        return self._ask(DeletedPoint, "DELETE", f"/v1/vaults/{part(vault)}/points/{part(point)}")

    def tell_vault_point(self, vault: str, point: str, what: str, hold: NewHold) -> VaultPointDetails:
        """Hold or release a point of a vault. `what`: hold or release."""
        path = f"/v1/vaults/{part(vault)}/points/{part(point)}/{what}"
        return self._ask(VaultPointDetails, "POST", path, hold.model_dump(mode="json"))

    def back_up(self, wanted: NewBackup) -> Migration:
        return self._ask(Migration, "POST", "/v1/backups", wanted.model_dump(mode="json"))

    def check_backup(self, wanted: NewBackup) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", "/v1/backups/check", wanted.model_dump(mode="json"))

    def preview(self, wanted: PreviewWanted) -> SchedulePreview:
        """Look ahead: when a schedule comes, and what rules would keep."""
        return self._ask(SchedulePreview, "POST", "/v1/schedules/preview", wanted.model_dump(mode="json"))

    def create_backup_policy(self, wanted: NewBackupPolicy) -> BackupPolicy:
        return self._ask(BackupPolicy, "POST", "/v1/backup-policies", wanted.model_dump(mode="json"))

    def backup_policies(self) -> list[BackupPolicy]:
        return self._ask(list[BackupPolicy], "GET", "/v1/backup-policies")

    def backup_policy(self, policy: str) -> BackupPolicyDetails:
        return self._ask(BackupPolicyDetails, "GET", f"/v1/backup-policies/{part(policy)}")

    def change_backup_policy(self, policy: str, change: BackupPolicyChange) -> BackupPolicy:
        body = change.model_dump(mode="json", exclude_unset=True)
        return self._ask(BackupPolicy, "PATCH", f"/v1/backup-policies/{part(policy)}", body)

    def delete_backup_policy(self, policy: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/backup-policies/{part(policy)}")

    def check_backup_policy(self, policy: str) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", f"/v1/backup-policies/{part(policy)}/check")

    def run_backup_policy(self, policy: str) -> BackupPolicy:
        return self._ask(BackupPolicy, "POST", f"/v1/backup-policies/{part(policy)}/run")

    def restore(
        self, vault: str, point: str, target: str, request: MigrationRequest, disk: int | None = None
    ) -> Migration:
        plain = request.to_json()
        body = {"vault": vault, "point": point, "target": target, "disk": disk, "request": plain}
        return self._ask(Migration, "POST", "/v1/restores", body)

    def tell_restore(self, migration: str, word: str) -> Migration:
        """Tell a restore. `word`: commit or undo."""
        return self._ask(Migration, "POST", f"/v1/restores/{part(migration)}/{word}")
