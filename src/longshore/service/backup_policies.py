"""Policies of backups: made, shown, changed, run, deleted."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from fastapi import Response

from longshore.api.backup_policies import (
    BackupPolicy,
    BackupPolicyChange,
    BackupPolicyDetails,
    NewBackupPolicy,
)
from longshore.api.schemas import PlanConcern
from longshore.engine import embedded
from longshore.errors import Conflict, InvalidInput, LongshoreError, NotFound
from longshore.flows.backups.beforehand import run_concerns
from longshore.flows.backups.by_policy import backup_request
from longshore.flows.backups.clocks import next_due
from longshore.flows.backups.looking_up import look_up, look_up_again
from longshore.flows.clouds import Clouds, vault_record
from longshore.flows.moves.hooks import unfit_playbooks
from longshore.flows.plans.check import select
from longshore.model.machine import Machine
from longshore.model.request import BackupRequest, MigrationRequest, PolicyRequest
from longshore.model.selection import MachineFilter
from longshore.planning import blocked
from longshore.planning.plan_kinds import MACHINE_NOT_FOUND
from longshore.planning.retention import parse_retention, write_retention
from longshore.planning.schedules import next_time, parse_calendar
from longshore.planning.validation import check_request, refuse_unreadable
from longshore.providers.registry import kinds_for, refuse_missing_library
from longshore.service.backup_policies_shown import fields_shown, judged_points, shown_policy
from longshore.service.caller import Caller
from longshore.service.new_backups import told
from longshore.service.parts import DryRun, TheCaller, TheClouds, ThePolicy, TheStore, judged_router
from longshore.service.refusals import said_of
from longshore.service.remote import refuse_unsafe
from longshore.service.shapes import shaped, shown_concern
from longshore.store import BackupPolicyRecord, MigrationRecord, NewMigration, Store
from longshore.store.backup_policies import NewBackupPolicy as NewPolicyRecord
from longshore.store.rows import filled, in_json
from longshore.store.tables import without_zone

router = judged_router("/v1")
_NEVER = "never"


@router.post("/backup-policies", status_code=201)
def create(
    body: NewBackupPolicy,
    store: TheStore,
    clouds: TheClouds,
    caller: TheCaller,
    response: Response,
    *,
    dry_run: DryRun = False,
) -> BackupPolicy:
    """Make a policy: machines of a source are backed up to a vault on a schedule, and their points kept by rules. The
    first run is at the schedule's next time, or when somebody asks for it. What a dry run would make has no id.
    """
    if dry_run:
        response.status_code = 200
    return add(body, store, clouds, caller, id_=str(uuid.uuid4()), dry_run=dry_run)


def add(
    body: NewBackupPolicy,
    store: Store,
    clouds: Clouds,
    caller: Caller,
    id_: str,
    *,
    paused: bool = False,
    missing: bool = False,
    dry_run: bool = False,
) -> BackupPolicy:
    """Make a policy of this id, or in a dry run only answer it. `missing`: machines that it names may be missing; its
    runs tell of those. Raises InvalidInput, NotFound, Conflict, and whatever the source and the vault say.
    """
    refuse_unreadable(name=body.name, source=body.source, vault=body.vault)
    _refuse_unclear(body.machines, body.filter)
    _refuse_playbooks(caller, body.before, body.after)
    rules = _rules_asked(store, body, id_)
    with said_of("source"):
        source = store.providers.get(body.source)
    with said_of("vault"):
        vault = vault_record(store, body.vault)
    if source.kind in kinds_for("vault"):
        raise InvalidInput(
            "What is in a vault isn't backed up once more.", advice="Name the machines' own source.", field="source"
        )
    if caller.works_here(store):
        refuse_missing_library(source.kind, source.settings)
    _refuse_unknown(clouds, source.id, body.machines, missing=missing)
    with clouds.vault(vault.id, "write"):
        pass  # it can be opened
    new = filled(
        NewPolicyRecord,
        body,
        machines=tuple(body.machines),
        wanted=body.filter,
        paused=paused,
        copy_to=_second_vault(store, clouds, vault.id, body.copy_to),
        **{"verify_due_at": None, "prove_due_at": None, **rules},
    )
    record = NewMigration(
        machine_name=body.name,
        machine_ref=f"policy:{id_}",
        source_id=source.id,
        target_id=vault.id,
        request=PolicyRequest().to_json(),
        policy=new,
        due_at=min(moment for moment in (new.due_at, new.verify_due_at, new.prove_due_at) if moment is not None),
        id=id_,
    )
    (added,) = store.migrations.add_together([record], dry_run=dry_run)
    if dry_run:
        return shown_policy(store, _unmade(added, new))
    embedded.ensure_running(store.state)
    return shown_policy(store, store.backup_policies.get(id_))


@router.get("/backup-policies")
def policies(store: TheStore) -> list[BackupPolicy]:
    """List the backup policies, by name."""
    return [shown_policy(store, policy) for policy in store.backup_policies.all()]


@router.get("/backup-policies/{policy}")
def policy(policy: ThePolicy, store: TheStore, clouds: TheClouds) -> BackupPolicyDetails:
    """Show a policy, by name or id, with the result of its last run, and its points in the vault, each with why it
    stays.
    """
    try:
        kept, error = judged_points(store, clouds, policy), None
    except LongshoreError as fault:
        kept, error = [], str(fault)
    return shaped(BackupPolicyDetails, policy, **fields_shown(store, policy), points=kept, points_error=error)


@router.patch("/backup-policies/{policy}")
def change(
    policy: ThePolicy,
    body: BackupPolicyChange,
    store: TheStore,
    clouds: TheClouds,
    caller: TheCaller,
    *,
    dry_run: DryRun = False,
) -> BackupPolicy:
    """Change what a policy backs up, when, and how long it keeps that; pause it, or end the pause. A run under way goes
    on as it was begun.
    """
    fields: dict[str, Any] = {}
    if body.machines is not None or body.filter is not None:
        _refuse_unclear(body.machines or [], body.filter)
        _refuse_unknown(clouds, policy.source_id, body.machines or [], body.filter)
        fields |= {"machines": body.machines or [], "wanted": in_json(body.filter)}
    fields |= _rules_asked(store, body, policy.id, policy)
    if body.copy_to is not None:
        copy_to = _second_vault(store, clouds, policy.vault_id, body.copy_to)
        if copy_to != policy.copy_to:  # what the former one holds says nothing of this one
            fields |= {"copy_to": copy_to, "copy": None}
    playbooks = {"before": body.before, "after": body.after}
    said = {name: path if path != _NEVER else None for name, path in playbooks.items() if path is not None}
    _refuse_playbooks(caller, said.get("before"), said.get("after"))
    fields |= said
    if body.paused is not None:
        fields["paused"] = body.paused
    if not body.model_dump(exclude_none=True):
        raise InvalidInput("There is nothing to change.", advice="Say what: longshore help backup policy set.")
    changed = store.backup_policies.change(policy.id, dry_run=dry_run, **fields)
    if not dry_run:
        embedded.ensure_running(store.state)
    return shown_policy(store, changed)


@router.post("/backup-policies/{policy}/check")
def check(policy: ThePolicy, store: TheStore, clouds: TheClouds) -> list[PlanConcern]:
    """Check what stands against a run of a policy now, or might: of each of its machines, and the quota of the source's
    project for all of them, one after another. Nothing is made.
    """
    request = backup_request(policy)
    missing: list[PlanConcern] = []
    with clouds.source(policy.source_id) as source:
        machines = list(select(source, policy.wanted)) if policy.wanted is not None else []
        for word in policy.machines:
            try:
                known = policy.run.known_as(word) if policy.run else None
                machines.append(look_up_again(source, word, known))
            except (NotFound, Conflict) as error:
                advice = error.advice or "Name it otherwise: longshore backup policy set."
                missing.append(shown_concern(MACHINE_NOT_FOUND(word, error.message, advice), word))
        room = source.room()
    if not machines and not missing:
        raise NotFound("No machine of the source fits the policy's filter.")
    return [*missing, *told(run_concerns(store, policy.source_id, machines, request, room), machines)]


@router.post("/backup-policies/{policy}/run", status_code=202)
def run(policy: ThePolicy, store: TheStore) -> BackupPolicy:
    """Run a policy now, whatever its schedule says, and even while it is paused. While a run is under way: right after
    that.
    """
    asked = store.backup_policies.change(policy.id, asked=True)
    embedded.ensure_running(store.state)
    return shown_policy(store, asked)


@router.delete("/backup-policies/{policy}", status_code=204)
def delete(policy: str, store: TheStore) -> None:
    """Delete a policy. Its points stay, until somebody deletes them; backups under way go on."""
    store.backup_policies.remove(store.backup_policies.id_of(policy))
    embedded.ensure_running(store.state)


# Parts


def _refuse_unclear(machines: list[str], wanted: MachineFilter | None) -> None:
    """Raise InvalidInput when a policy has both names of machines and a filter, or neither."""
    if bool(machines) == (wanted is not None):
        raise InvalidInput(
            "A policy names its machines or has a filter that finds them, one of the two.", field="machines"
        )


def _refuse_playbooks(caller: Caller, before: str | None, after: str | None) -> None:
    """Raise InvalidInput for playbooks that can't be run, or mustn't be for this caller."""
    refuse_unsafe(caller, {"before": before, "after": after})
    for name, request in (("before", BackupRequest(before=before)), ("after", BackupRequest(after=after))):
        with said_of(name):
            check_request(request)
            if faults := unfit_playbooks(request):
                raise blocked(faults)


def _refuse_unknown(
    clouds: Clouds, source_id: str, machines: list[str], wanted: MachineFilter | None = None, *, missing: bool = False
) -> None:
    """Raise NotFound or InvalidInput for a name that means no machine, unless some may be `missing`, or several.

    For a filter, too, raises whatever says that the source isn't the caller's to look into.
    """
    if wanted is not None:
        with clouds.source(source_id) as source, said_of("filter"):
            select(source, wanted)
    if machines:
        found: list[Machine] = []
        with clouds.source(source_id) as source, said_of("machines"):
            for name in machines:
                with suppress(*((NotFound,) if missing else ())):
                    found.append(look_up(source, name))
        if len({machine.ref for machine in found}) < len(found):
            raise InvalidInput("A machine is named twice.", field="machines")


def _second_vault(store: Store, clouds: Clouds, first_id: str, copy_to: str | None) -> str | None:
    """Return the id of the second vault, as it goes into its column.

    Raises InvalidInput, NotFound, and whatever the vaults say.
    """
    if copy_to is None or copy_to == _NEVER:
        return None
    with said_of("copy_to"), clouds.vault(copy_to, "write") as second, clouds.vault(first_id, "read") as first:
        if first.id == second.id:
            raise InvalidInput("The second copy goes into another vault than the first one.")
        if first.encrypted and not second.encrypted:
            raise InvalidInput("The policy's vault is encrypted and the second one isn't.")
        return store.providers.get(copy_to).id


def _rules_asked(
    store: Store, said: NewBackupPolicy | BackupPolicyChange, id_: str, was: BackupPolicyRecord | None = None
) -> dict[str, Any]:
    """Return when and by which rules a policy works, of what is said, by column. `was`: the policy that is changed.

    What is said as it was keeps its moment: set anew, it would forget what is due. Raises InvalidInput, NotFound.
    """
    now, fields = datetime.now(UTC), dict[str, Any]()
    if said.schedule is not None and (was is None or said.schedule != was.schedule):
        with said_of("schedule"):
            due = without_zone(next_time(parse_calendar(said.schedule), now, id_))
        fields |= {"schedule": said.schedule, "due_at": due}
    if said.retention is not None:
        with said_of("retention"):
            fields["retention"] = write_retention(parse_retention(said.retention))
    if said.verify is not None and (was is None or said.verify != (was.verify or _NEVER)):
        verify = said.verify if said.verify != _NEVER else None
        with said_of("verify"):
            fields |= {"verify": verify, "verify_due_at": next_due(verify, id_, "verify", now) if verify else None}
    if said.prove is not None or said.prove_on is not None:
        before, before_on = (was.prove, was.prove_on) if was else (None, None)
        fields |= _proof_asked(store, said.prove or before, said.prove_on or before_on)
        prove = fields["prove"]
        if was is None or prove != was.prove:
            with said_of("prove"):
                fields["prove_due_at"] = next_due(prove, id_, "prove", now) if prove else None
    if said.prove_networks is not None:
        with said_of("prove_networks"):
            check_request(MigrationRequest(networks=said.prove_networks))
        fields["prove_networks"] = said.prove_networks
    return fields


def _proof_asked(store: Store, prove: str | None, prove_on: str | None) -> dict[str, str | None]:
    """Return when and where points are to be proved, by column. Raises InvalidInput, NotFound."""
    if prove is None and prove_on is not None:
        raise InvalidInput("When the points are proved isn't said.", advice="Say it: --prove.", field="prove")
    if prove is None or prove == _NEVER:
        return {"prove": None, "prove_on": None}
    with said_of("prove"):
        parse_calendar(prove)
    if prove_on is None:
        raise InvalidInput(
            "Where the points are proved isn't said.", advice="Name a cloud: --prove-on CLOUD.", field="prove_on"
        )
    with said_of("prove_on"):
        cloud = store.providers.get(prove_on)
    if cloud.kind not in kinds_for("target") or cloud.kind in kinds_for("vault"):
        raise InvalidInput(f"Nothing boots on provider {cloud.name}: it is {cloud.kind}.", field="prove_on")
    return {"prove": prove, "prove_on": cloud.id}


def _unmade(record: MigrationRecord, new: NewPolicyRecord) -> BackupPolicyRecord:
    """Return a policy as it would be right after it was made."""
    return filled(
        BackupPolicyRecord,
        new,
        id="",
        project_id=record.project_id,
        source_id=record.source_id,
        vault_id=record.target_id,
        prove_networks=new.prove_networks or {},
        missed=0,
        asked=False,
        **dict.fromkeys(("run", "verification", "copy", "proof", "error")),
        created_at=record.created_at,
    )
