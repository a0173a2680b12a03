"""Inventories of sources and offers of targets, as they go over the wire."""

from longshore.api.schemas import Moment, PlanConcern, Strict
from longshore.api.shown_machine import ShownMachine
from longshore.model.target import Choices, Flavor, Network, QuotaRoom


class MachinePage(Strict):
    """Some of the machines that fit, by folder and name."""

    read_at: Moment  # when the source was asked
    total: int  # that fit
    of: int  # that there are
    machines: list[ShownMachine]


class Folder(Strict):
    """A folder of a source's inventory that has machines."""

    path: str  # empty: those in no folder
    machines: int  # in it, without what is below


class CoveringPolicy(Strict):
    """A backup policy that is to back a machine up."""

    name: str
    paused: bool


class UnprotectedMachine(Strict):
    """A machine that has no replica, and of which no policy that runs has a good backup."""

    machine: ShownMachine
    policies: list[CoveringPolicy]  # that are to back it up
    backed_up_at: Moment | None  # when a backup of it last ended well, as far as that is on record; null: never


class UnprotectedPage(Strict):
    """Some of the machines of a source without protection, by folder and name."""

    read_at: Moment  # when the source was asked
    total: int  # that are without, and fit
    of: int  # machines that there are, templates left out
    machines: list[UnprotectedMachine]


class MachineConcern(PlanConcern):
    """A concern about a machine itself, whatever its target is."""

    only_warm: bool  # a cold move is possible in spite of it


class WeighedMachine(Strict):
    """A machine with its tags, and what of it itself stands against a move."""

    machine: ShownMachine
    concerns: list[MachineConcern]  # against a cold move, blockers first; then against a warm one alone


class TargetOffer(Strict):
    """Networks, volume types, flavors and quota of a target, in the account and project of its provider."""

    networks: list[Network]
    volume_types: list[str]
    flavors: list[Flavor]
    choices: Choices
    quota: QuotaRoom
