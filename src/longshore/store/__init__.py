"""The store: providers and their secrets, plans, migrations, events, the queue, the ledger of things made outside.

It has the tables, their history, and the rules of who may see which rows. It decides nothing about machines, and asks
no cloud but Barbican.
"""

from longshore.state import StateDirectory
from longshore.store.backup_policies import BackupPolicyRecord
from longshore.store.disks import DiskRecord
from longshore.store.events import EventRecord
from longshore.store.groups import GroupMember, GroupRecord, GroupRun
from longshore.store.job_filter import JobFilter
from longshore.store.jobs import JobRecord
from longshore.store.ledger import EntryState, LedgerRecord, ThingKind
from longshore.store.limits import LimitRecord
from longshore.store.looks import LookRecord
from longshore.store.migration_records import MigrationRecord
from longshore.store.migrations import NewMigration
from longshore.store.outlines import Outline
from longshore.store.part import EVERY_PROJECT, WHOLE, Scope
from longshore.store.plans import PlanFlavor, PlanRecord
from longshore.store.points import PointRecord
from longshore.store.provider_ledger import Holding, Outside, secret_name
from longshore.store.providers import ProviderRecord
from longshore.store.queue import Lineup, QueueRecord
from longshore.store.replicas import ReplicaRecord
from longshore.store.store import Store
from longshore.store.workers import Leases, WorkerRecord

__all__ = [
    "EVERY_PROJECT",
    "WHOLE",
    "BackupPolicyRecord",
    "DiskRecord",
    "EntryState",
    "EventRecord",
    "GroupMember",
    "GroupRecord",
    "GroupRun",
    "Holding",
    "JobFilter",
    "JobRecord",
    "Leases",
    "LedgerRecord",
    "LimitRecord",
    "Lineup",
    "LookRecord",
    "MigrationRecord",
    "NewMigration",
    "Outline",
    "Outside",
    "PlanFlavor",
    "PlanRecord",
    "PointRecord",
    "ProviderRecord",
    "QueueRecord",
    "ReplicaRecord",
    "Scope",
    "StateDirectory",
    "Store",
    "ThingKind",
    "WorkerRecord",
    "secret_name",
]
