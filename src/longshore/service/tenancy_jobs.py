"""Jobs in threads of the service, and how far they are.

They live as long as the service and no longer; since each can be run again at any time and goes on, nothing of them is
recorded.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Literal

from longshore.api.tenancy import TenancyJob, TenancyReport
from longshore.errors import LongshoreError, NotFound


@dataclass(slots=True)
class Job:
    id: str
    project_id: str
    state: Literal["running", "done", "failed"] = "running"
    done: int = 0
    total: int = 0
    doing: str = "logging in"
    report: TenancyReport | None = None
    error: str | None = None
    error_code: str | None = None
    stop: Event = field(default_factory=Event)

    def progress(self, done: int, total: int, doing: str) -> None:
        self.done, self.total, self.doing = done, total, doing

    def shown(self) -> TenancyJob:
        return TenancyJob(**{name: getattr(self, name) for name in TenancyJob.model_fields})


class Jobs:
    """Jobs of one service."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def start(self, project_id: str, work: Callable[[Job], TenancyReport]) -> TenancyJob:
        job = Job(str(uuid.uuid4()), project_id)
        self._jobs[job.id] = job
        Thread(target=self._run, args=(job, work), name=f"tenancy-{job.id}", daemon=True).start()
        return job.shown()

    def get(self, project_id: str, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.project_id != project_id:
            raise NotFound(f"There is no job {job_id}.", advice="Jobs end with the service; run it again.")
        return job

    def _run(self, job: Job, work: Callable[[Job], TenancyReport]) -> None:
        try:
            job.report = work(job)
            job.state = "done"
        except LongshoreError as error:
            job.error, job.error_code, job.state = str(error), error.code, "failed"
        except Exception as error:  # noqa: BLE001 a thread's error is seen by nobody else
            job.error = f"A {type(error).__name__}, which Longshore didn't foresee: {error}"
            job.error_code, job.state = "unforeseen", "failed"
