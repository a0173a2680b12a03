"""Export and import of OpenStack resources as YAML, in OS-Migrate's format: kinds are declared, one engine does it."""

from longshore.tenancy.cloud import Cloud, Progress
from longshore.tenancy.export import Exported, export
from longshore.tenancy.faults import Fault
from longshore.tenancy.imports import Report, Row, diff, import_
from longshore.tenancy.selection import Selection, parse
from longshore.tenancy.validate import validate

__all__ = [
    "Cloud",
    "Exported",
    "Fault",
    "Progress",
    "Report",
    "Row",
    "Selection",
    "diff",
    "export",
    "import_",
    "parse",
    "validate",
]
