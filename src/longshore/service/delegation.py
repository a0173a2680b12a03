"""Providers without credentials of their own: the server acts there by an application credential that it makes from the
token of whoever adds the provider, since a token ends long before long work does."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from longshore.configuration import Keystone
from longshore.errors import AccessDenied, InvalidInput, LongshoreError
from longshore.flows.kept_secrets import remove_holding
from longshore.model.reach import same_keystone
from longshore.providers.grounds import Grounds
from longshore.providers.registry import provider_type
from longshore.service.caller import Caller
from longshore.store import EVERY_PROJECT, Holding, Outside, Store

_log = logging.getLogger("longshore.server")
_GIVE = "Give the provider credentials of its own: longshore provider add openstack NAME --os-cloud ENTRY."


def asks_for_delegation(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> bool:
    """Tell whether a provider is to be added without a word on how to log in."""
    return provider_type(kind).keystone and not secrets and not settings.get("auth")


def home_url(store: Store, grounds: Grounds) -> str:
    """Return the URL of the Keystone that knows the callers, as the operator lists it among the served clouds."""
    keystone = _keystone(store)
    names = [keystone.auth_url, *([keystone.public_url] if keystone.public_url else [])]
    listed = (url for url in grounds.clouds if any(same_keystone(url, name) for name in names))
    return next(listed, keystone.auth_url)


def delegate(store: Store, provider_id: str, caller: Caller) -> tuple[dict[str, str], dict[str, str]]:
    """Make an application credential for a provider, and return the settings and secrets to log in by.

    It is in the ledger before it exists, and is taken back when that fails. Raises AccessDenied when Keystone makes
    none from this token.
    """
    from longshore.providers.openstack.delegation import Delegation

    keystone = _keystone(store)
    if caller.restricted:
        raise AccessDenied(
            "Your token is from an application credential, and Keystone makes no other from it.",
            advice="Log in with your password, or give the provider this credential: name its entry of clouds.yaml "
            "with --os-cloud.",
            code="token-makes-no-credential",
        )
    holding = store.provider_ledger.intend(provider_id, Outside.APPLICATION_CREDENTIAL, caller.user_id)
    try:
        asked = Delegation.with_token(keystone.auth_url, caller.token, _cacert(keystone))
        made = asked.make(caller.user_id, holding.name)
    except AccessDenied as refusal:
        store.provider_ledger.gone(holding)
        raise AccessDenied(refusal.message, advice=_GIVE, code="token-makes-no-credential") from None
    except BaseException:
        with suppress(LongshoreError):  # whether it was made isn't known: it is in the ledger
            _remove(store, holding, caller)
        raise
    store.provider_ledger.made(holding, made.id)
    return {"application_credential_id": made.id}, {"application_credential_secret": made.secret}


def known_project(store: Store, caller: Caller, project: str) -> str:
    """Return the id of a project that Keystone knows by this id or name, asked as the caller; EVERY_PROJECT is itself.

    Without a Keystone to ask, as in a user's own command, it is taken as it stands. Raises NotFound, Conflict, or
    AccessDenied for a caller whom Keystone tells nothing.
    """
    if project == EVERY_PROJECT or store.state.keystone is None or not caller.remote:
        return project
    from longshore.providers.openstack.projects import project_id_of

    keystone = store.state.keystone
    return project_id_of(keystone.auth_url, caller.token, _cacert(keystone), project)


def give_back(store: Store, provider_id: str, caller: Caller) -> None:
    """Delete the application credential that was made for a provider, if one was.

    Its user may do that, and an administrator: the caller, or the server's own user where Keystone counts that as one.
    Raises AccessDenied.
    """
    holding = store.provider_ledger.find(provider_id, Outside.APPLICATION_CREDENTIAL)
    if holding is not None:
        _remove(store, holding, caller)


def give_back_abandoned(store: Store, caller: Caller) -> None:
    """Remove what is left of providers that never came to be, as far as this caller and the server may.

    What can't be removed is logged.
    """
    for holding in store.provider_ledger.abandoned():
        try:
            if holding.kind is Outside.SECRET:
                store.key_manager.remove(holding)
            elif holding.kind is Outside.VAULT_KEY:
                remove_holding(store, holding)
            else:
                _remove(store, holding, caller)
        except LongshoreError as error:
            _log.warning("%s of a provider that was never added is left: %s", holding.name, error)


def _remove(store: Store, holding: Holding, caller: Caller) -> None:
    for asked in _ways(store, caller):
        try:
            refs = [holding.ref] if holding.ref else asked.named(holding.user_id, holding.name)
            for ref in refs:
                asked.remove(holding.user_id, ref)
        except AccessDenied:
            continue
        store.provider_ledger.gone(holding)
        return
    if _is_dead(store, holding):
        store.provider_ledger.gone(holding)
        return
    raise AccessDenied(
        f"The application credential {holding.name} is user {holding.user_id}'s: Keystone lets nobody else remove it.",
        advice="Let that user remove the provider; or let an administrator delete the credential, and try again.",
        code="credential-of-another",
    )


def _ways(store: Store, caller: Caller) -> Iterator[Any]:
    from longshore.providers.openstack.delegation import Delegation

    keystone = _keystone(store)
    if caller.token:  # its user's, or an administrator's
        yield Delegation.with_token(keystone.auth_url, caller.token, _cacert(keystone))
    yield Delegation.with_password(keystone.auth_url, keystone.login(), _cacert(keystone))


def _is_dead(store: Store, holding: Holding) -> bool:
    """Tell whether Keystone doesn't know a credential any more, as when its user was deleted."""
    from longshore.providers.openstack.delegation import ApplicationCredential, still_opens

    secret = store.providers.secrets(holding.provider_id).get("application_credential_secret")
    if holding.ref is None or secret is None:
        return False
    keystone = _keystone(store)
    return not still_opens(keystone.auth_url, ApplicationCredential(holding.ref, secret), _cacert(keystone))


def _keystone(store: Store) -> Keystone:
    if store.state.keystone is None:
        raise InvalidInput(
            "The configuration says of no Keystone to make or remove an application credential in.",
            advice="It needs the section [server.keystone] that the server's has.",
        )
    return store.state.keystone


def _cacert(keystone: Keystone) -> str | None:
    return str(keystone.cacert) if keystone.cacert else None
