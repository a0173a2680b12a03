"""Clouds and the machines in them."""

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import ValidationError

from longshore.errors import InvalidInput
from longshore.flows.clouds import connect
from longshore.model.machine import Machine
from longshore.service.parts import TheClouds, TheStore
from longshore.service.schemas import Fingerprint, FingerprintOf, NewProvider, Provider, ProviderCheck
from longshore.store import ProviderRecord

router = APIRouter()


@router.post("/providers", status_code=201)
def add(body: NewProvider, store: TheStore) -> ProviderCheck:
    """Log in first; only a cloud that lets us in is kept."""
    secrets = {name: value.get_secret_value() for name, value in body.secrets.items()}
    try:
        cloud = connect(body.kind, body.settings, secrets)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(f"The settings of provider {body.name} aren't right: {where}: {fault['msg']}.") from None
    except KeyError as missing:
        raise InvalidInput(f"Provider {body.name} needs the secret {missing}.") from None
    try:
        found = cloud.check()
    finally:
        cloud.close()
    return ProviderCheck(
        provider=_provider(store.providers.add(body.name, body.kind, body.settings, secrets)), found=found
    )


@router.post("/fingerprint")
def fingerprint(body: FingerprintOf) -> Fingerprint:
    """The certificate a server shows now, for a person to compare before it is pinned."""
    from longshore.providers.vsphere import fetch_fingerprint

    return Fingerprint(sha256=fetch_fingerprint(body.host, body.port))


@router.get("/providers")
def providers(store: TheStore) -> list[Provider]:
    """All of them, by name."""
    return [_provider(record) for record in store.providers.all()]


@router.get("/providers/{provider}")
def provider(provider: str, store: TheStore) -> Provider:
    """One, by its name or id; never its secrets."""
    return _provider(store.providers.get(provider))


@router.delete("/providers/{provider}", status_code=204)
def remove(provider: str, store: TheStore) -> None:
    """Forget it and its secrets. Nothing in the cloud is changed."""
    store.providers.remove(provider)


@router.post("/providers/{provider}/check")
def check(provider: str, store: TheStore, clouds: TheClouds) -> ProviderCheck:
    """Log in, and say what is found."""
    with clouds.provider(provider) as cloud:
        return ProviderCheck(provider=_provider(store.providers.get(provider)), found=cloud.check())


@router.get("/providers/{provider}/machines")
def machines(provider: str, clouds: TheClouds) -> list[Machine]:
    """The machines that its credentials may see."""
    with clouds.source(provider) as source:
        return list(source.machines())


@router.get("/providers/{provider}/machines/{machine:path}")
def machine(provider: str, machine: str, clouds: TheClouds) -> Machine:
    """One machine, by reference, name or inventory path."""
    with clouds.source(provider) as source:
        return source.machine(machine)


def _provider(record: ProviderRecord) -> Provider:
    return Provider(**asdict(record))
