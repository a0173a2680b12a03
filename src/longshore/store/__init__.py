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
from longshore.store.ledger import EntryState, Ledger, LedgerRecord, ThingKind
from longshore.store.limits import LimitRecord
from longshore.store.looks import LookRecord
from longshore.store.migration_records import MigrationRecord
from longshore.store.migrations import Migrations, NewMigration
from longshore.store.outlines import Outline, Outlines
from longshore.store.plan_flavors import PlanFlavor
from longshore.store.plans import PlanRecord, Plans
from longshore.store.points import PointRecord, Points
from longshore.store.provider_ledger import Holding, Outside, secret_name
from longshore.store.providers import ProviderRecord, Providers
from longshore.store.queue import Lineup, Queue, QueueRecord
from longshore.store.replicas import ReplicaRecord, Replicas
from longshore.store.scope import EVERY_PROJECT, WHOLE, Scope
from longshore.store.store import Store
from longshore.store.workers import Leases, WorkerRecord, Workers

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
    "Ledger",
    "LedgerRecord",
    "LimitRecord",
    "Lineup",
    "LookRecord",
    "MigrationRecord",
    "Migrations",
    "NewMigration",
    "Outline",
    "Outlines",
    "Outside",
    "PlanFlavor",
    "PlanRecord",
    "Plans",
    "PointRecord",
    "Points",
    "ProviderRecord",
    "Providers",
    "Queue",
    "QueueRecord",
    "ReplicaRecord",
    "Replicas",
    "Scope",
    "StateDirectory",
    "Store",
    "ThingKind",
    "WorkerRecord",
    "Workers",
    "secret_name",
]
