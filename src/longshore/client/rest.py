"""The client of the REST API. In embedded mode the service runs inside this process and no port is opened."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from pydantic import TypeAdapter

from longshore.errors import LongshoreError
from longshore.flows.report import PlanReport, Report
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.model.selection import EVERY, MachineFilter
from longshore.service import create_app
from longshore.service.schemas import (
    Cleanup,
    Event,
    Fingerprint,
    FoundMachine,
    LedgerEntry,
    Migration,
    NewPlan,
    PlanAnswer,
    PlanConcern,
    PlanStart,
    PlanSummary,
    PlanView,
    Provider,
    ProviderCheck,
)
from longshore.service.tenancy import TenancyJob
from longshore.store import StateDirectory, Store

T = TypeVar("T")
_MACHINES_AT_ONCE = 1000
_ANSWER_WITHIN = 600.0  # seconds: a large inventory takes its time


class Client:
    """Every call raises LongshoreError with the service's own sentence and code when it is refused."""

    def __init__(self, state: StateDirectory) -> None:
        self._store = Store(state)
        self._loop = asyncio.Runner()
        transport = httpx.ASGITransport(create_app(self._store, local_files=True))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://embedded", timeout=_ANSWER_WITHIN)

    def close(self) -> None:
        self._loop.run(self._http.aclose())
        self._loop.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Providers

    def add_provider(
        self, name: str, kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> ProviderCheck:
        body = {"name": name, "kind": kind, "settings": dict(settings), "secrets": dict(secrets)}
        return self._ask(ProviderCheck, "POST", "/v1/providers", body)

    def fingerprint(self, host: str, port: int) -> str:
        """SHA-256 of the certificate that the server shows to the service."""
        return self._ask(Fingerprint, "POST", "/v1/fingerprint", {"host": host, "port": port}).sha256

    def providers(self) -> list[Provider]:
        return self._ask(list[Provider], "GET", "/v1/providers")

    def provider(self, name: str) -> Provider:
        return self._ask(Provider, "GET", f"/v1/providers/{_part(name)}")

    def check_provider(self, name: str) -> ProviderCheck:
        return self._ask(ProviderCheck, "POST", f"/v1/providers/{_part(name)}/check")

    def remove_provider(self, name: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/providers/{_part(name)}")

    # Machines

    def machines(
        self, provider: str, wanted: MachineFilter = EVERY, told: Callable[[int, int], None] = lambda _done, _all: None
    ) -> list[Machine]:
        """Those that fit, without tags, some at a time; `told` hears how many of how many have been read."""
        path = f"/v1/providers/{_part(provider)}"
        said = {name: str(value) for name, value in asdict(wanted).items() if value is not None}
        refs = self._ask(list[str], "GET", f"{path}/references{f'?{urlencode(said)}' if said else ''}")
        found: list[Machine] = []
        for start in range(0, len(refs), _MACHINES_AT_ONCE):
            told(start, len(refs))
            page = refs[start : start + _MACHINES_AT_ONCE]
            found.extend(self._ask(list[Machine], "POST", f"{path}/machines", {"refs": page}))
        return found

    def inventory(self, provider: str) -> Inventory:
        return self._ask(Inventory, "GET", f"/v1/providers/{_part(provider)}/inventory")

    def machine(self, provider: str, machine: str) -> Machine:
        return self._ask(Machine, "GET", f"/v1/providers/{_part(provider)}/machines/{_part(machine)}")

    # Plans: their content is as in a plan's file, see longshore.planning.planfile

    def create_plan(self, wanted: NewPlan) -> PlanAnswer:
        return self._ask(PlanAnswer, "POST", "/v1/plans", wanted.model_dump(mode="json"))

    def apply_plan(self, plan: Mapping[str, Any]) -> PlanAnswer:
        return self._ask(PlanAnswer, "PUT", f"/v1/plans/{_part(plan['name'])}", dict(plan))

    def plans(self, machine: str | None = None) -> list[PlanSummary]:
        question = "" if machine is None else f"?machine={_part(machine)}"
        return self._ask(list[PlanSummary], "GET", f"/v1/plans{question}")

    def plan(self, name: str) -> PlanView:
        return self._ask(PlanView, "GET", f"/v1/plans/{_part(name)}")

    def remove_plan(self, name: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/plans/{_part(name)}")

    def plan_machines(self, name: str) -> list[FoundMachine]:
        return self._ask(list[FoundMachine], "GET", f"/v1/plans/{_part(name)}/machines")

    def plan_migrations(self, name: str) -> list[Migration]:
        """The latest of each machine."""
        return self._ask(list[Migration], "GET", f"/v1/plans/{_part(name)}/migrations")

    def plan_report(self, name: str) -> PlanReport:
        return self._ask(PlanReport, "GET", f"/v1/plans/{_part(name)}/report")

    def check_plan(self, name: str, asked: PlanStart) -> list[PlanConcern]:
        return self._ask(list[PlanConcern], "POST", f"/v1/plans/{_part(name)}/check", asked.model_dump(mode="json"))

    def start_plan(self, name: str, asked: PlanStart) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/start", asked.model_dump(mode="json"))

    def retry_plan(self, name: str) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/retry")

    def cut_plan_over(self, name: str, wave: int | None = None) -> list[Migration]:
        question = "" if wave is None else f"?wave={wave}"
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/cutover{question}")

    def resume_plan(self, name: str) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/resume")

    def cancel_plan(self, name: str) -> list[Migration]:
        return self._ask(list[Migration], "POST", f"/v1/plans/{_part(name)}/cancel")

    # Migrations

    def create_migration(self, machine: str, source: str, target: str, request: MigrationRequest) -> Migration:
        plain = TypeAdapter(MigrationRequest).dump_python(request, mode="json")
        body = {"machine": machine, "source": source, "target": target, "request": plain}
        return self._ask(Migration, "POST", "/v1/migrations", body)

    def migrations(self) -> list[Migration]:
        return self._ask(list[Migration], "GET", "/v1/migrations")

    def migration(self, migration: str) -> Migration:
        return self._ask(Migration, "GET", f"/v1/migrations/{_part(migration)}")

    def events(self, migration: str, after: int = 0) -> list[Event]:
        return self._ask(list[Event], "GET", f"/v1/migrations/{_part(migration)}/events?after={after}")

    def migration_report(self, migration: str) -> Report:
        return self._ask(Report, "GET", f"/v1/migrations/{_part(migration)}/report")

    def ledger(self, migration: str) -> list[LedgerEntry]:
        return self._ask(list[LedgerEntry], "GET", f"/v1/migrations/{_part(migration)}/ledger")

    def resume(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/resume")

    def cut_over(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/cutover")

    def convert(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/convert")

    def cancel(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{_part(migration)}/cancel")

    def clean_up(self, migration: str) -> Cleanup:
        return self._ask(Cleanup, "POST", f"/v1/migrations/{_part(migration)}/cleanup")

    def remove_migration(self, migration: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/migrations/{_part(migration)}")

    # Resources as files

    def start_tenancy(self, what: str, body: Mapping[str, Any]) -> TenancyJob:
        """`what`: exports, diffs or imports. The directory is one of the service's machine, and absolute."""
        return self._ask(TenancyJob, "POST", f"/v1/tenancy/{what}", dict(body))

    def tenancy_job(self, job: str) -> TenancyJob:
        return self._ask(TenancyJob, "GET", f"/v1/tenancy/jobs/{_part(job)}")

    def stop_tenancy_job(self, job: str) -> TenancyJob:
        return self._ask(TenancyJob, "POST", f"/v1/tenancy/jobs/{_part(job)}/stop")

    def _ask(self, kind: type[T], method: str, path: str, body: Any = None) -> T:
        answer = self._loop.run(self._http.request(method, path, json=body))
        if answer.is_error:
            fault = answer.json()
            raise LongshoreError(fault["message"], code=fault["code"])
        return TypeAdapter(kind).validate_python(answer.json() if answer.content else None)


def _part(name: str) -> str:
    """A user's word as one part of a path, whatever is in it."""
    return quote(name, safe="")
