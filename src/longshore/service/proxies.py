"""Proxies: machines of a source that other machines' disks are attached to, and read there."""

from pathlib import Path

from fastapi import Request

from longshore.api.schemas import Migration, NewProxy
from longshore.errors import InvalidInput, NotFound
from longshore.model.proxy import NewProxy as WantedProxy
from longshore.model.proxy import Proxy
from longshore.model.request import ProxyRequest
from longshore.providers.grounds import Grounds
from longshore.providers.openstack.relay_image.build import built_image, image_file
from longshore.providers.registry import provider_type
from longshore.service.parts import TheClouds, TheGrounds, TheStore, judged_router, local_files
from longshore.service.queued import begun
from longshore.store import EntryState, NewMigration, Store, ThingKind

router = judged_router("/v1")


@router.get("/providers/{provider}/proxies")
def proxies(provider: str, store: TheStore, clouds: TheClouds) -> list[Proxy]:
    """List the machines that a provider attaches disks to, to read them there. Not for a provider that another project
    shares.
    """
    with clouds.source(store.providers.own(provider).id) as source:
        return source.proxies()


@router.post("/providers/{provider}/proxies", status_code=202)
def create(  # noqa: PLR0917
    provider: str, body: NewProxy, request: Request, store: TheStore, clouds: TheClouds, grounds: TheGrounds
) -> Migration:
    """Make such a machine of the relay's image, and power it on. It is watched as a migration, of type "proxy"; its
    reference is in the result. The provider's settings aren't changed.
    """
    record = store.providers.own(provider)
    if not provider_type(record.kind).attaches:
        raise InvalidInput(f"Provider {record.name} is {record.kind}: no proxies are made there.")
    image = built_image(_image(body.image, request, store, grounds))
    wanted = WantedProxy(**body.model_dump(exclude={"image"}))
    with clouds.source(record.id) as source:
        source.check_new_proxy(wanted)
    asked = ProxyRequest(proxy=wanted, image=str(image.file))
    return begun(store, NewMigration(wanted.name, wanted.name, record.id, record.id, asked.to_json()))


def _image(named: str | None, request: Request, store: Store, grounds: Grounds) -> Path:
    """Return the path of the image that a proxy is made of: a server's operator names it, else the user does."""
    if named is None and grounds.relay_image is not None:
        return Path(grounds.relay_image)
    if named is None and not request.app.state.local_files:
        raise InvalidInput(
            "This server has no image that proxies could be made of.",
            advice="Its operator builds one (longshore relay-image build) and names it as relay_image in the server's "
            "configuration. Without, a proxy is made by hand of an OVA: longshore relay-image pack.",
        )
    local_files(request, store)
    return image_file(named)


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
