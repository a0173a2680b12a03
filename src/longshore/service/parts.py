"""What every route is given: the store, and the clouds that it knows."""

from typing import Annotated

from fastapi import Depends, Request

from longshore.flows.clouds import Clouds
from longshore.store import Store


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _clouds(store: Annotated[Store, Depends(_store)]) -> Clouds:
    return Clouds(store)


TheStore = Annotated[Store, Depends(_store)]
TheClouds = Annotated[Clouds, Depends(_clouds)]
