"""The shape of a rule, and the roles that the personas have."""

from dataclasses import dataclass

ADMIN = "rule:migration:admin"
MEMBER = "rule:migration:member"
READER = "rule:migration:reader"
ALL_PROJECTS = "migration:all_projects"

PERSONAS = {
    "migration:admin": ("role:admin", "Operators of the cloud."),
    "migration:member": (
        "(role:member and project_id:%(project_id)s) or rule:migration:admin",
        "Those who work in a project.",
    ),
    "migration:reader": (
        "(role:reader and project_id:%(project_id)s) or rule:migration:member",
        "Those who may look at a project.",
    ),
}


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    default: str
    description: str
    routes: tuple[str, ...]
