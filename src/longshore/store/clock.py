"""The database's clock, which is one for all processes and machines."""

from typing import Any

from sqlalchemy import Engine, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement, literal_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


def clock(engine: Engine) -> ColumnElement[float]:
    """Return the expression for seconds since 1970, at this moment and not when the transaction began."""
    return literal_column(CLOCKS[engine.dialect.name], Float)


class TheMoment(FunctionElement[float]):
    """The database's clock as the default of a column, whatever the database is."""

    inherit_cache = True
    type = Float()


@compiles(TheMoment)
def _compiled(_element: TheMoment, compiler: SQLCompiler, **_: Any) -> str:
    return CLOCKS[compiler.dialect.name]
