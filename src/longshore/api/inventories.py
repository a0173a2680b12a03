"""Inventories of sources and offers of targets, as they go over the wire."""

from pydantic import BaseModel, ConfigDict

from longshore.api.schemas import Moment
from longshore.api.shown_machine import ShownMachine
from longshore.model.target import Choices, Flavor, Network, QuotaRoom


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MachinePage(_Strict):
    """Some of the machines that fit, by folder and name."""

    read_at: Moment  # when the source was asked
    total: int  # that fit
    of: int  # that there are
    machines: list[ShownMachine]


class TargetOffer(_Strict):
    """Networks, volume types, flavors and quota of a target, in the account and project of its provider."""

    networks: list[Network]
    volume_types: list[str]
    flavors: list[Flavor]
    choices: Choices
    quota: QuotaRoom
