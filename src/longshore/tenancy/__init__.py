"""Export and import of OpenStack resources as YAML, in OS-Migrate's format: kinds are declared, one engine does it.

Kinds (kinds/) know no cloud; their operations (services/) are bound to them in registry.py. No machines are moved here.
"""

from longshore.tenancy.cloud import Cloud, Progress
from longshore.tenancy.documents import Resource
from longshore.tenancy.export import Exported, export
from longshore.tenancy.faults import FileFault
from longshore.tenancy.imports import Report, Row, diff, import_
from longshore.tenancy.selection import Selection, parse
from longshore.tenancy.validate import validate
from longshore.tenancy.workloads import WantedVolume, read_detached_volumes, read_workloads, wanted, workload

__all__ = [
    "Cloud",
    "Exported",
    "FileFault",
    "Progress",
    "Report",
    "Resource",
    "Row",
    "Selection",
    "WantedVolume",
    "diff",
    "export",
    "import_",
    "parse",
    "read_detached_volumes",
    "read_workloads",
    "validate",
    "wanted",
    "workload",
]
