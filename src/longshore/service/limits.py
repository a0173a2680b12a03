"""Limits for places: how much is at work there at once, and how fast it reads."""

from longshore.api.schemas import Limit, LimitChange
from longshore.engine.limits import share_limits
from longshore.errors import InvalidInput
from longshore.model.limit import LimitOf, LimitPlace
from longshore.providers.registry import provider_type
from longshore.service.paging import ThePage
from longshore.service.parts import TheStore, judged_router
from longshore.service.shapes import shaped
from longshore.store import LimitRecord, Store
from longshore.store.limits import FIGURES

router = judged_router("/v1")

_SAID_BY = {
    LimitOf.SOURCE: ("provider",),
    LimitOf.HOST: ("provider", "name"),
    LimitOf.DATASTORE: ("provider", "name"),
    LimitOf.TARGET: ("provider",),
    LimitOf.PROJECT: (),
    LimitOf.PLAN: ("plan",),
}


@router.get("/limits")
def limits(store: TheStore, page: ThePage) -> list[Limit]:
    """List the project's own limits, and those that count all projects' jobs at providers that it sees."""
    return [_shown(record) for record in page.of(store.limits.all(), lambda record: record.limit.id)]


@router.put("/limits")
def put(body: LimitChange, store: TheStore, all_projects: bool = False) -> Limit:
    """Set a limit, or change its figures. It counts the project's own jobs; with `all_projects` those of all projects.

    What is at work goes on. Whatever begins from the next look at the queue on is counted, within some seconds; copies
    that run follow in less than one.
    """
    place, project_id = _meant(store, body, all_projects)
    figures: dict[str, int | None] = {name: getattr(body, name) for name in FIGURES if name in body.model_fields_set}
    record = store.limits.put(place, project_id, figures)
    share_limits(store, [record.limit.id])
    return _shown(record)


@router.delete("/limits/{limit}", status_code=204)
def remove(limit: str, store: TheStore) -> None:
    """Take a limit away; one that counts all projects' jobs with `all_projects`."""
    store.limits.remove(limit)
    share_limits(store, [limit])


def _meant(store: Store, body: LimitChange, all_projects: bool) -> tuple[LimitPlace, str | None]:
    """Return the place that is meant, and whose jobs are counted there. Raises InvalidInput, NotFound."""
    given = {name for name in ("provider", "name", "plan") if getattr(body, name) is not None}
    if given != set(_SAID_BY[body.of]):
        words = " and ".join(_SAID_BY[body.of])
        raise InvalidInput(f"A limit of a {body.of} is said with {words or 'neither provider, name nor plan'}.")
    own = store.scope.project_id
    if body.of is LimitOf.PLAN:
        plan = store.plans.get(body.plan or "")
        return LimitPlace(body.of, plan.id), plan.project_id
    if body.of is LimitOf.PROJECT:
        if all_projects:
            raise InvalidInput("A limit of a project counts the jobs of that project alone: leave all_projects out.")
        return LimitPlace(body.of, own), own
    provider = store.providers.get(body.provider or "")
    side = "target" if body.of is LimitOf.TARGET else "source"
    if side not in provider_type(provider.kind).sides:
        raise InvalidInput(f"Provider {provider.name} can't be a {side}: nothing would ever be counted there.")
    return LimitPlace(body.of, provider.id, body.name or ""), None if all_projects else own


def _shown(record: LimitRecord) -> Limit:
    limit = record.limit
    return shaped(
        Limit,
        limit,
        of=limit.place.of,
        provider=record.provider,
        provider_id=limit.place.subject if limit.place.of.of_provider else None,
        name=limit.place.name or None,
        plan=record.plan,
    )
