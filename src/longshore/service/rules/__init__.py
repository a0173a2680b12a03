"""The rules of the API: which route stands under which, and which roles a caller needs for it unless the operator says
otherwise. Plain data: how they are judged is policy's."""

from longshore.service.rules import moving, operating, protecting
from longshore.service.rules.rule import ALL_PROJECTS, PERSONAS, Rule

__all__ = ["ALL_PROJECTS", "PERSONAS", "RULES", "Rule"]

RULES = (*moving.RULES, *protecting.RULES, *operating.RULES)
