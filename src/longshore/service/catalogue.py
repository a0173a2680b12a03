"""Meaning of the codes in responses: kinds of concern, phases, states."""

from longshore.api.catalogue import Catalogue, KindOfConcern, KindOfPhase
from longshore.model.phases import LANDING, MEANINGS, phases_of
from longshore.model.replica import Stage
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.planning.catalogue import catalogue as known
from longshore.service.parts import judged_router
from longshore.service.shapes import shaped

router = judged_router("/v1")


@router.get("/catalogue")
def catalogue() -> Catalogue:
    """List all kinds of concern that there are, by what they are about, all phases and all states."""
    return Catalogue(
        concerns=[shaped(KindOfConcern, kind, about=area) for area, kinds in known().items() for kind in kinds],
        phases=[KindOfPhase(phase=one, meaning=told, lands=one in LANDING) for one, told in MEANINGS.items()],
        courses={kind.value: list(phases_of(kind)) for kind in MigrationType},
        statuses={status.value: status.ended for status in Status},
        stages=[stage.value for stage in Stage],
    )
