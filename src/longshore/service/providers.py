"""Clouds and the machines in them."""

import uuid
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Response
from pydantic import ValidationError

from longshore.api.inventories import MachineConcern, WeighedMachine
from longshore.api.schemas import Fingerprint, FingerprintOf, NewProvider, Provider, ProviderCheck, References
from longshore.api.shown_machine import ShownMachine
from longshore.errors import InvalidInput, LongshoreError, Unreachable
from longshore.flows.clouds import Clouds, kept_secrets, within_reach
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine
from longshore.model.platform import Platform
from longshore.model.selection import MachineFilter
from longshore.model.shape_faults import in_words
from longshore.planning.machine_checks import against_a_move
from longshore.providers.registry import connect, moves_from, provider_type, refuse_missing_library, sides_of
from longshore.service.caller import Caller
from longshore.service.delegation import (
    asks_for_delegation,
    delegate,
    give_back,
    give_back_abandoned,
    home_url,
    known_project,
)
from longshore.service.keepers import refuse_unneeded, with_keeper
from longshore.service.paging import ThePage
from longshore.service.parts import DryRun, TheCaller, TheClouds, TheGrounds, TheStore, Turn, judged_router
from longshore.service.refusals import said_of
from longshore.service.remote import provider_settings
from longshore.store import ProviderRecord, Store, ThingKind
from longshore.store.tables import without_zone

router = judged_router("/v1")


Wanted = Annotated[MachineFilter, Depends(MachineFilter)]


@router.post("/providers", status_code=201, dependencies=[Turn])
def add(
    body: NewProvider,
    store: TheStore,
    caller: TheCaller,
    grounds: TheGrounds,
    response: Response,
    *,
    dry_run: DryRun = False,
) -> ProviderCheck:
    """Add a provider. It is logged in to first, in a dry run, too; only a cloud that lets us in is kept.

    An OpenStack without `auth` and secrets is the cloud that the caller's token is from, in the token's project and
    with its roles: by an application credential that the server makes from the token. A dry run doesn't make that, so
    it doesn't log in there.
    """
    provider_type(body.kind)  # which says so if it is none
    secrets = {name: value.get_secret_value() for name, value in body.secrets.items()}
    if body.login is not None:
        entry, of_entry = _entry(body.kind, body.login, caller)
        body = body.model_copy(update={"settings": entry | body.settings})
        secrets = of_entry | secrets
    delegated = caller.remote and asks_for_delegation(body.kind, body.settings, secrets)
    asked = {**body.settings, "auth": {"auth_url": home_url(store, grounds)}} if delegated else body.settings
    settings = provider_settings(body.kind, asked, grounds) if caller.remote else asked
    settings = with_keeper(store, body.kind, settings)
    refuse_unneeded(body.kind, settings, secrets)
    store.providers.refuse_taken(body.name)
    if dry_run:
        response.status_code = 200
        local = caller.works_here(store)
        found = {} if delegated else log_in(store, body.name, body.kind, settings, secrets, local=local)[0]
        kept = _kept(settings)
        record = ProviderRecord("", store.scope.project_id, body.name, body.kind, kept, without_zone(datetime.now(UTC)))
        return ProviderCheck(provider=shown_provider(store, record), found=found, changed=True)
    give_back_abandoned(store, caller)
    id_ = str(uuid.uuid4())
    if not delegated:
        return _add(store, id_, body, settings, secrets, local=caller.works_here(store))
    login, secrets = delegate(store, id_, caller)
    settings |= {"auth": settings["auth"] | login, "auth_type": "v3applicationcredential"}
    try:
        return _add(store, id_, body, settings, secrets, local=False)
    except BaseException:
        with suppress(LongshoreError):  # what can't be taken back now is in the ledger
            give_back(store, id_, caller)
        raise


def _entry(kind: str, name: str, caller: Caller) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings and secrets that an entry of clouds.yaml names. Raises InvalidInput."""
    read = provider_type(kind).read_login
    if caller.remote or read is None:
        raise InvalidInput(
            "A server reads no clouds.yaml." if caller.remote else f"A provider of kind {kind} is in no clouds.yaml.",
            field="login",
        )
    with said_of("login"):
        return read(name)


def _add(
    store: Store, id_: str, body: NewProvider, settings: dict[str, Any], secrets: dict[str, str], *, local: bool
) -> ProviderCheck:
    found, secrets = log_in(store, body.name, body.kind, settings, secrets, local=local)
    record = store.providers.add(body.name, body.kind, _kept(settings), secrets, provider_id=id_)
    return checked(store, record.id, found, changed=True)


def _kept(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "reach"}  # which is never kept


def log_in(
    store: Store, name: str, kind: str, settings: dict[str, Any], secrets: dict[str, str], *, local: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Log in to a cloud, and return what is found there, and the secrets with those that are made for it, or derived,
    and kept with them.

    `local`: its disks are read on this machine. Raises InvalidInput, or what the cloud says.
    """
    known = provider_type(kind)
    secrets = {**secrets, **(known.made(settings, secrets) if known.made else {})}
    try:
        project_id = store.scope.project_id
        kept = kept_secrets(store, project_id, kind, settings)
        cloud = connect(kind, within_reach(store, project_id, settings), secrets, None, None, **kept)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(
            f"The settings of provider {name} aren't right: {where}: {in_words(fault)}.", field=f"settings.{where}"
        ) from None
    except KeyError as missing:
        raise InvalidInput(f"Provider {name} needs the secret {missing}.") from None
    try:
        if local:
            refuse_missing_library(kind, settings)
        found = cloud.check()
        return found, {**secrets, **(known.derived(cloud) if known.derived else {})}
    except Unreachable as error:
        error.field = f"settings.{known.address}" if known.address else ""
        raise
    finally:
        cloud.close()


@router.post("/fingerprint", dependencies=[Turn])
def fingerprint(body: FingerprintOf, store: TheStore) -> Fingerprint:
    """Return the fingerprint of the certificate that a server shows now; a person compares it before it is pinned."""
    from longshore.providers.vsphere.certificate import fetch_fingerprint

    return Fingerprint(
        sha256=fetch_fingerprint(body.host, body.port, store.state.reach.limits(store.scope.project_id, {}))
    )


@router.get("/providers")
def providers(store: TheStore, page: ThePage, kind: Platform | None = None) -> list[Provider]:
    """List the providers, by name, or those of a kind."""
    if kind is not None:
        provider_type(kind)  # which says so if it is none
    fitting = [record for record in store.providers.all() if kind in (None, record.kind)]
    return [shown_provider(store, record) for record in page.of(fitting, lambda record: record.id)]


@router.get("/providers/{provider}")
def provider(provider: str, store: TheStore) -> Provider:
    """Show a provider, by its name or id; never its secrets."""
    return shown_provider(store, store.providers.get(provider))


@router.delete("/providers/{provider}", status_code=204)
def remove(provider: str, store: TheStore, caller: TheCaller) -> None:
    """Forget a provider and its secrets, and delete the application credential that was made for it, if one was."""
    record = store.providers.unused(provider)
    give_back(store, record.id, caller)
    store.providers.remove(record.id)


@router.post("/providers/{provider}/check")
def check(provider: str, store: TheStore, clouds: TheClouds) -> ProviderCheck:
    """Log in to a provider, say what is found, and keep that. Not for a provider that another project shares."""
    record = store.providers.own(provider)
    try:
        with clouds.provider(record.id) as cloud:
            return checked(store, record.id, cloud.check())
    except LongshoreError as error:
        store.providers.note_check(record.id, {}, error)
        raise


@router.get("/providers/{provider}/machines")
def machines(provider: str, wanted: Wanted, clouds: TheClouds) -> list[ShownMachine]:
    """List the machines that a provider's credentials may see, or those of them that fit. With tags only when a tag is
    asked for.
    """
    with clouds.source(provider) as source:
        return list(source.machines(wanted))


@router.get("/providers/{provider}/references")
def references(provider: str, wanted: Wanted, clouds: TheClouds) -> list[str]:
    """List the references of the same machines, by which a large inventory is read, some machines at a time."""
    with clouds.source(provider) as source:
        return source.references(wanted)


@router.post("/providers/{provider}/machines")
def described(provider: str, body: References, clouds: TheClouds) -> list[ShownMachine]:
    """Return the machines of these references, without tags. Those that are gone are left out."""
    with clouds.source(provider) as source:
        return list(source.describe(body.refs))


@router.get("/providers/{provider}/machines/{machine:path}")
def machine(provider: str, machine: str, clouds: TheClouds) -> ShownMachine:
    """Return one machine with its tags, by reference, name or inventory path."""
    return _with_tags(clouds, provider, machine)


@router.get("/providers/{provider}/concerns")
def concerns(provider: str, machine: str, clouds: TheClouds) -> WeighedMachine:
    """Return one machine with its tags, and what of it itself stands against a cold move, blockers first; then what
    lets none be warm. What the target has to say comes with a plan's check.
    """
    found = _with_tags(clouds, provider, machine)
    weighed = [MachineConcern(**asdict(one), only_warm=only_warm) for one, only_warm in against_a_move(found)]
    return WeighedMachine(machine=found, concerns=weighed)


def _with_tags(clouds: Clouds, provider: str, machine: str) -> Machine:
    with clouds.source(provider) as source:
        found = source.machine(machine)
        return replace(found, tags=source.tags([found.ref]).get(found.ref, ()))


@router.get("/providers/{provider}/volumes")
def volumes(provider: str, store: TheStore, clouds: TheClouds) -> list[ShownMachine]:
    """List the volumes that no machine has, each as a machine of this one disk; those under way to the provider are
    left out.
    """
    ours = {entry.ref for entry in store.ledger.unsettled(store.providers.get(provider).id, ThingKind.VOLUME)}
    with clouds.source(provider) as source:
        return [volume for volume in source.volumes() if volume.disks[0].key not in ours]


@router.get("/providers/{provider}/inventory")
def inventory(provider: str, clouds: TheClouds) -> Inventory:
    """Return what a provider's machines are in, on and attached to."""
    with clouds.source(provider) as source:
        return source.inventory()


@router.get("/providers/{provider}/shares")
def shares(provider: str, store: TheStore) -> list[str]:
    """List the projects that may use a provider; "*" is every project."""
    return store.providers.shares(provider)


@router.put("/providers/{provider}/shares/{project}", status_code=204)
def share(provider: str, project: str, store: TheStore, caller: TheCaller) -> None:
    """Let another project, by its id or name, use a provider; or with "*" every project. They don't see its settings,
    and can't change it.
    """
    store.providers.share(provider, known_project(store, caller, project))


@router.delete("/providers/{provider}/shares/{project}", status_code=204)
def unshare(provider: str, project: str, store: TheStore, caller: TheCaller) -> None:
    """Take a provider back from a project. What that project has under way there is parked when a job next opens it,
    and goes on once it is shared again; cancelled, it takes away what it has made there.
    """
    if project not in store.providers.shares(provider):  # else it may be gone from Keystone meanwhile
        project = known_project(store, caller, project)
    store.providers.unshare(provider, project)


def checked(store: Store, provider_id: str, found: dict[str, str], *, changed: bool = False) -> ProviderCheck:
    """Note that a provider let us in just now, and return it with what was found."""
    store.providers.note_check(provider_id, found)
    shown = shown_provider(store, store.providers.get(provider_id))
    return ProviderCheck(provider=shown, found=found, changed=changed)


def shown_provider(store: Store, record: ProviderRecord) -> Provider:
    """Return a provider as it goes over the wire; without settings and last check where another project shares it."""
    own = store.providers.is_own(record)
    hidden: dict[str, Any] = {} if own else {"settings": {}, "last_check": None}
    moves = moves_from(record.kind, record.settings)
    return Provider(**{**asdict(record), **hidden}, shared=not own, sides=sides_of(record.kind), moves=moves)
