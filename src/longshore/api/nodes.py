"""Machines that serve together, as they go over the wire."""

from pydantic import BaseModel

from longshore.api.schemas import Moment


class Node(BaseModel):
    """A machine of those that serve together, as its own server says; one that is away is as it was last heard of."""

    name: str
    address: str
    host: str
    version: str  # of the release that its server runs
    alive: bool
    since: Moment  # when its server has started; of one that is away, when it was last heard of
    database: str | None  # primary, standby or away; null: nobody knows, since the machine is away
    database_since: Moment | None
    has_address: bool | None  # the virtual one; null: nobody knows
    address_since: Moment | None  # since when it has it, or hasn't
    workers: int  # on it, that are alive
    jobs: list[str]  # migrations and others that those have at work, by id
    certificates: dict[str, Moment]  # by the service that shows it, when it ends
    certificate_ends: Moment | None  # the first of them
