"""Changing a provider: its password, certificate, library and the like, without losing what was done with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from longshore.api.schemas import ProviderChange, ProviderCheck
from longshore.errors import InvalidInput
from longshore.providers.registry import provider_type, unneeded_secrets
from longshore.service.keepers import refuse_unneeded, with_keeper
from longshore.service.parts import DryRun, TheCaller, TheGrounds, TheStore, Turn, judged_router
from longshore.service.providers import checked, log_in, shown_provider
from longshore.service.remote import asked_of, provider_settings
from longshore.store import ProviderRecord

router = judged_router("/v1")

# Names in `auth` that say another account of the same cloud: an application credential that has ended, for one, is
# replaced by one of its project
_WHO = {"username", "user_id", "user_domain_id", "user_domain_name"}
_WHO |= {"application_credential_id", "application_credential_name"}


@router.patch("/providers/{provider}", dependencies=[Turn])
def change(
    provider: str,
    body: ProviderChange,
    store: TheStore,
    caller: TheCaller,
    grounds: TheGrounds,
    *,
    dry_run: DryRun = False,
) -> ProviderCheck:
    """Change a provider. It is logged in to with what is new and the rest as it was, in a dry run, too, and only if
    that works the change is kept. Null: as if it hadn't been said.

    Migrations that are under way go on with it at their next connection. Where it is can't be changed while there are
    any, or while something of them is left there.
    """
    record = store.providers.own(provider)
    given = {name: value.get_secret_value() for name, value in body.secrets.items()}
    if not body.settings and not given:
        raise InvalidInput("Nothing of the provider is to be changed.", advice="Name a setting or a secret.")
    before = asked_of(record.kind, record.settings) if caller.remote else record.settings
    asked = {**before, **body.settings}
    settings = provider_settings(record.kind, asked, grounds) if caller.remote else asked
    settings = {name: value for name, value in settings.items() if value is not None or name not in body.settings}
    settings = with_keeper(store, record.kind, settings)
    refuse_unneeded(record.kind, settings, given)
    changed = {name for name in {*settings, *record.settings} if settings.get(name) != record.settings.get(name)}
    moved = _auth_changes(record.settings, settings)
    known = provider_type(record.kind)
    # Else a provider's password could be had by having it sent to a host of one's own
    elsewhere = changed & known.sent_to | ({"auth"} if moved else set())
    if elsewhere and not given:
        what = ", ".join(sorted(elsewhere))
        raise InvalidInput(
            f"With a change of {what} the provider's secret has to be given again.",
            advice="Give its password, too: it is sent where the settings say.",
        )
    if changed & known.tells_which or moved - _WHO:
        store.providers.refuse_at_work(record.id)
    known_secrets = store.providers.secrets(record.id)
    secrets = given if elsewhere else {**known_secrets, **given}
    unneeded = unneeded_secrets(record.kind, settings) & secrets.keys()
    secrets = {name: value for name, value in secrets.items() if name not in unneeded}
    local = caller.works_here(store)
    found, secrets = log_in(store, record.name, record.kind, settings, secrets, local=local)
    # What a login derives is new each time
    other = settings != record.settings or any(known_secrets.get(name) != value for name, value in given.items())
    if dry_run:
        would_be = shown_provider(store, replace(record, settings=settings))
        return ProviderCheck(provider=would_be, found=found, changed=other)
    kept: ProviderRecord = store.providers.change(record.id, settings, secrets if secrets != known_secrets else None)
    return checked(store, kept.id, found, changed=other)


def _auth_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Return which names in `auth` mean something else. Raises InvalidInput when that is no table."""
    old, new = before.get("auth") or {}, after.get("auth") or {}
    if not isinstance(new, Mapping):
        raise InvalidInput('The setting "auth" is a table.')
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}
