"""One opened state directory: providers, plans, migrations and the ledger over one database."""

import os
from copy import copy
from typing import Self

from longshore.state import StateDirectory
from longshore.store.backup_policies import BackupPolicies
from longshore.store.barbican import Barbican, server_user
from longshore.store.channels import Channels
from longshore.store.database import Database
from longshore.store.disks import Disks
from longshore.store.events import Events
from longshore.store.groups import Groups
from longshore.store.jobs import Jobs
from longshore.store.key_manager import KeyManager
from longshore.store.ledger import Ledger
from longshore.store.limits import Limits
from longshore.store.looks import Looks
from longshore.store.migrations import Migrations
from longshore.store.nodes import Nodes
from longshore.store.operation import Figures, OperationRecords
from longshore.store.outlines import Outlines
from longshore.store.part import WHOLE, Scope, ScopedPart
from longshore.store.plans import PlanChecks, PlanFlavors, Plans
from longshore.store.points import Points
from longshore.store.protection import Protection
from longshore.store.provider_ledger import ProviderLedger
from longshore.store.providers import Providers
from longshore.store.queue import Queue
from longshore.store.replicas import Replicas
from longshore.store.secrets import SecretBox
from longshore.store.shared import check_shared, locked
from longshore.store.texts import Texts
from longshore.store.wall_links import WallLinks
from longshore.store.watched import Watched
from longshore.store.web_sessions import WebSessions
from longshore.store.workers import Workers


class Store:
    """All parts of the store. As it is opened, nothing is hidden: see `scoped`."""

    def __init__(self, state: StateDirectory) -> None:
        self.state = state
        self.scope = WHOLE
        state.create()
        self.database = Database(state.database_url) if state.shared_database else _of_its_own(state)
        if state.shared_database:
            check_shared(state.root, self.database)
        self.provider_ledger = ProviderLedger(self.database)
        barbican = Barbican(server_user(state.keystone)) if state.keystone else None
        self.key_manager = KeyManager(self.provider_ledger, barbican, state.secrets)
        box = SecretBox(state.key_file)
        texts = Texts(box)
        self.makers = SecretBox(state.makers_key_file)  # of the makers of vaults' points
        self.providers = Providers(self.database, box, self.key_manager, texts)
        self.migrations = Migrations(self.database, texts)
        self.disks = Disks(self.database)
        self.events = Events(self.database)
        self.outlines = Outlines(self.database)
        self.replicas = Replicas(self.database)
        self.points = Points(self.database)
        self.looks = Looks(self.database)
        self.groups = Groups(self.database)
        self.backup_policies = BackupPolicies(self.database)
        self.protection = Protection(self.database)
        self.plans = Plans(self.database, texts)
        self.plan_flavors = PlanFlavors(self.database)
        self.plan_checks = PlanChecks(self.database)
        self.ledger = Ledger(self.database)
        self.jobs = Jobs(self.database)
        self.limits = Limits(self.database)
        self.channels = Channels(self.database, texts)
        self.watched = Watched(self.database)
        self.queue = Queue(self.database)
        self.workers = Workers(self.database)
        self.operation = OperationRecords(self.database)
        self.nodes = Nodes(self.database)
        self.wall_links = WallLinks(self.database)
        self.web_sessions = WebSessions(self.database, box)
        self.figures = Figures(self.database)

    def leave_connections(self) -> None:
        """Leave the connections to the database to the parent process, for a fork of it."""
        self.database.engine.dispose(close=False)

    def scoped(self, scope: Scope) -> Self:
        """Return the same store as somebody sees it: what it reads is theirs, and so is what it adds."""
        view = copy(self)
        view.scope = scope
        for name, part in vars(self).items():
            if isinstance(part, ScopedPart):
                setattr(view, name, part.scoped(scope))
        return view

    def close(self) -> None:
        self.database.close()


def _of_its_own(state: StateDirectory) -> Database:
    # Two commands started at the same moment in a new directory must not both make the tables.
    with locked(state.root / "schema.lock"):
        previous = os.umask(0o077)
        try:
            return Database(state.database_url)
        finally:
            os.umask(previous)
