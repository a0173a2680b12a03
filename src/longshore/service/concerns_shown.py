"""Concerns as they go over the wire."""

from dataclasses import asdict

from longshore.api.schemas import PlanConcern
from longshore.model.concern import Concern


def shown_concern(concern: Concern, called: str | None = None) -> PlanConcern:
    """Return a concern as it goes over the wire.

    `called`: what its machine is called there, if not as in the concern.
    """
    return PlanConcern(**{**asdict(concern), "machine": concern.machine if called is None else called})
