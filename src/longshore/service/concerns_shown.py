"""Concerns as they go over the wire."""

from dataclasses import asdict

from longshore.api.schemas import PlanConcern
from longshore.model.concern import Concern


def shown_concern(concern: Concern, called: str = "") -> PlanConcern:
    """`called`: as the plan calls its machine."""
    return PlanConcern(**{**asdict(concern), "machine": called or concern.machine})
