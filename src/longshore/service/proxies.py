"""Proxies: machines of a source that other machines' disks are attached to, and read there."""

from pathlib import Path

from fastapi import Request

from longshore.api.schemas import Migration, NewProxy
from longshore.errors import InvalidInput, NotFound
from longshore.model.proxy import NewProxy as WantedProxy
from longshore.model.proxy import Proxy
from longshore.model.request import ProxyRequest
from longshore.providers.openstack.relay_image.build import built_image
from longshore.providers.registry import provider_type
from longshore.service.parts import TheClouds, TheStore, judged_router, local_files
from longshore.service.queued import begun
from longshore.store import EntryState, NewMigration, ThingKind

router = judged_router("/v1")


@router.get("/providers/{provider}/proxies")
def proxies(provider: str, store: TheStore, clouds: TheClouds) -> list[Proxy]:
    """List the machines that a provider attaches disks to, to read them there. Not for a provider that another project
    shares.
    """
    with clouds.source(store.providers.own(provider).id) as source:
        return source.proxies()


@router.post("/providers/{provider}/proxies", status_code=202)
def create(provider: str, body: NewProxy, request: Request, store: TheStore, clouds: TheClouds) -> Migration:
    """Make such a machine of an image of the user's machine, and power it on. It is watched as a migration, of type
    "proxy"; its reference is in the result. The provider's settings aren't changed.
    """
    record = store.providers.own(provider)
    local_files(request, store)
    if not provider_type(record.kind).attaches:
        raise InvalidInput(f"Provider {record.name} is {record.kind}: no proxies are made there.")
    image = built_image(Path(body.image).absolute())
    wanted = WantedProxy(**body.model_dump(exclude={"image"}))
    with clouds.source(record.id) as source:
        source.check_new_proxy(wanted)
    asked = ProxyRequest(proxy=wanted, image=str(image.file))
    return begun(store, NewMigration(wanted.name, wanted.name, record.id, record.id, asked.to_json()))


@router.delete("/providers/{provider}/proxies/{proxy}", status_code=204)
def remove(provider: str, proxy: str, store: TheStore, clouds: TheClouds) -> None:
    """Delete a machine that was made by this, by its name. Refused while other machines' disks are attached to it, and
    while the provider reads disks through it.
    """
    record = store.providers.own(provider)
    made = [one for one in store.ledger.handed_over(record.id, ThingKind.PROXY) if one.parent == proxy]
    if not made:
        raise NotFound(
            f"Longshore has made no proxy called {proxy} at {record.name}.",
            advice="One that somebody else has made is deleted in vSphere, after a look at its disks.",
        )
    with clouds.source(record.id) as source:
        source.delete_proxy(proxy, made[0].owner)
    store.ledger.settle(made[0].id, EntryState.REMOVED)
