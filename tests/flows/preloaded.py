"""Preloading of what an engine loads and makes before its first job, done once in the process that engines are forked
from."""

import gc
import sqlite3  # noqa: F401

import alembic.command
import alembic.config  # noqa: F401
import dbos._sys_db_sqlite  # noqa: F401
import re2  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401
from sqlalchemy.orm import configure_mappers

import longshore.blocks.command
import longshore.providers.files.source  # noqa: F401
from longshore.flows.moves.copying import Copied
from longshore.flows.moves.look import Choice
from longshore.flows.moves.source_side import Off, Still
from longshore.flows.moves.target_side import Prepared
from longshore.flows.moves.told_changes import Told
from longshore.flows.moves.warm import SyncState
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.hardware import Hardware
from longshore.model.machine import Machine, Snapshot
from longshore.model.request import MigrationRequest
from longshore.model.target import Port, Server, Volume

STEPS = (Choice, Copied, Off, Prepared, SyncState, Still, Told)
MODELS = (GuestFindings, Hardware, Machine, MigrationRequest, Server, Snapshot, Volume, list[Port])
for kind in (*STEPS, *MODELS):
    form(kind)
configure_mappers()
# None of it is ever garbage: looked through in each engine, its pages would have to be copied for it
gc.freeze()
