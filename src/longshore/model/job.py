"""What kinds of job there are: each one durable piece of work with an end."""

from enum import StrEnum


class JobKind(StrEnum):
    COLD = "cold"
    DRY_RUN = "dry-run"
    CONVERSION = "conversion"
    VOLUME = "volume"
    INSPECTION = "inspection"
    BEGIN = "begin"  # of a warm migration: what can fail before anything is copied
    SYNC = "sync"  # one copy of a machine that runs; where its moment has come, the cutover follows in the same job
    CUTOVER = "cutover"  # a sync that has begun to cut over
    WARM = "warm"  # a whole warm migration in one job, as releases did it that knew no others
