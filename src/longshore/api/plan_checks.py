"""Checks of plans that are told part by part, as they go over the wire."""

from typing import Literal

from longshore.api.schemas import ErrorBody, Moment, PlanConcern, Strict


class PlanCheck(Strict):
    id: str
    plan: str  # its id
    version: str  # of the plan, that it is about
    state: Literal["running", "done", "failed", "cancelled"]
    done: int  # machines and volumes that were looked at
    total: int
    concerns: list[PlanConcern]  # that have become known since `after`
    until: int  # `after` of the next question
    stranded: str | None = None  # why no worker that is there can take it
    error: ErrorBody | None  # why it came to no end, where anybody has to know
    created_at: Moment
    ended_at: Moment | None
