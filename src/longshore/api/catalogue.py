"""The meaning of the codes in answers."""

from pydantic import BaseModel, ConfigDict

from longshore.model.concern import Severity


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KindOfConcern(_Strict):
    code: str
    about: str  # a heading: "Networks and addresses"
    severity: Severity
    meaning: str  # when it is raised
    advice: str
    acceptable: bool  # a blocker that a user may accept


class KindOfPhase(_Strict):
    phase: str
    meaning: str
    lands: bool  # after the last byte, until the machine is seen up: it is off meanwhile, if it was shut down for it


class Catalogue(_Strict):
    concerns: list[KindOfConcern]
    phases: list[KindOfPhase]
    courses: dict[str, list[str]]  # of a migration's type, the phases that it may have in their usual order
    statuses: dict[str, bool]  # of migrations and jobs, and whether one has ended with it
    stages: list[str]  # of replicas
