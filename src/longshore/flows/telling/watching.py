"""The look at all that channels have to do with, and the telling of what is new.

Each worker does this every five seconds or so. What is to be told goes into the outbox first; threads of their own tell
it, so whoever is slow to listen holds up nobody but others of its project.
"""

import uuid
from datetime import UTC, datetime
from functools import partial

from longshore.flows.telling.line import Telling
from longshore.flows.telling.occasions import look_around, standing_for
from longshore.flows.telling.sending import TROUBLES, send, why
from longshore.store import Store
from longshore.store.tables import without_zone

_TELLING = Telling()


def watch(store: Store, telling: Telling = _TELLING) -> None:
    """Note what is to be told, and have what is due told."""
    note(store, datetime.now(UTC))
    tell(store, telling)


def note(store: Store, now: datetime) -> None:
    """Put what is new into the outbox. `now` has its zone."""
    store.channels.keep_operators(there=bool(store.state.alert_command))
    channels = store.channels.all()
    if not channels:
        return
    look = look_around(store, channels, now)
    for channel in channels:
        store.channels.note(channel.id, standing_for(look, channel), without_zone(now))


def tell(store: Store, telling: Telling) -> None:
    """Have threads tell what is due, each channel by one process at a time."""
    for channel in store.channels.due():
        claim = uuid.uuid4().hex
        if store.channels.claim(channel.id, claim) is None:
            continue
        if not telling.tell(f"channels of {channel.project_id}", partial(_tell, store, channel.id, claim)):
            store.channels.release(channel.id, claim)


def _tell(store: Store, channel_id: str, claim: str) -> None:
    # Once more: it may have waited for its turn until another process has claimed it
    delivery = store.channels.claim(channel_id, claim)
    if delivery is None:
        return
    try:
        send(store, delivery.channel, delivery.notice)
    except TROUBLES as error:
        store.channels.missed(delivery, why(error))
    except Exception:
        store.channels.missed(delivery, "It couldn't be told, and the log says more.")
        raise
    else:
        store.channels.told(delivery)
