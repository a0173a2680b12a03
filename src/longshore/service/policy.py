"""Permissions: oslo.policy's rules, with the personas reader, member and admin.

A rule says which roles a caller needs. That callers reach only their own project's things is no rule: the store they
are given holds nothing else.
"""

import os
import re
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from longshore.errors import InvalidInput
from longshore.service.caller import Caller
from longshore.service.rules import PERSONAS, RULES

if TYPE_CHECKING:
    from oslo_policy.policy import DocumentedRuleDefault, Enforcer, Operation, RuleDefault

_KEPT = 100_000  # answers of a policy, each some hundred bytes: all rules for a thousand users
_ASKS_ELSEWHERE = re.compile(r"\bhttps?:")
_OF_ROUTE = {route: rule.name for rule in RULES for route in rule.routes}


def rule_of(method: str, path: str) -> str | None:
    """Return the rule that a route stands under; None: nobody has decided that, so nobody may."""
    return _OF_ROUTE.get(f"{method} {path}")


class OsloPolicy:
    """`file`: the operator's own rules, read again when it changes.

    What it has said of a caller is kept for as long as the rules are the same: a page asks for all rules at once, and
    to judge them anew took a third of what the server had to compute for it. Where a rule asks a service of the
    operator's, nothing is kept.
    """

    def __init__(self, file: str | None = None) -> None:
        self._enforcer = enforcer(file)
        self._said: dict[tuple[str, Caller], bool] = {}
        self._by: Any = None  # the rules by which it was said
        self._lasting = False

    def allows(self, rule: str, caller: Caller) -> bool:
        self._enforcer.load_rules()
        if self._enforcer.rules is not self._by or len(self._said) > _KEPT:
            self._said, self._by = {}, self._enforcer.rules
            self._lasting = not any(_ASKS_ELSEWHERE.search(str(check)) for check in self._by.values())
        if not self._lasting:
            return self._judged(rule, caller)
        before, whom = self._said, (rule, replace(caller, token=""))
        said = before.get(whom)
        if said is None:
            said = before[whom] = self._judged(rule, caller)
        return said

    def _judged(self, rule: str, caller: Caller) -> bool:
        return bool(
            self._enforcer.authorize(
                rule,
                {"project_id": caller.project_id, "user_id": caller.user_id},
                {
                    "project_id": caller.project_id,
                    "user_id": caller.user_id,
                    "roles": list(caller.roles),
                    "user_domain_id": caller.user_domain_id,
                    "project_domain_id": caller.project_domain_id,
                },
                do_raise=False,
            )
        )


def enforcer(file: str | None = None) -> "Enforcer":
    from oslo_config import cfg
    from oslo_policy import opts, policy

    if file is not None and not os.path.isfile(file):  # noqa: PTH113 oslo.policy would go on without it
        raise InvalidInput(f"There is no policy file {file}.")
    conf = cfg.ConfigOpts()
    conf([], project="longshore", default_config_files=[], default_config_dirs=[])
    # A policy file is read because the operator has named it, never because one happens to lie somewhere
    opts.set_defaults(conf, policy_file=file or os.devnull)
    conf.set_override("policy_dirs", [], group="oslo_policy")
    made = policy.Enforcer(conf, policy_file=file or os.devnull)
    made.suppress_default_change_warnings = True
    made.register_defaults(list(defaults()))
    return made


def defaults() -> "Iterable[RuleDefault | DocumentedRuleDefault]":
    from oslo_policy import policy

    for name, (check, description) in PERSONAS.items():
        yield policy.RuleDefault(name, check, description)
    for rule in RULES:
        operations: list[Operation] = [
            {"method": method, "path": path} for method, _, path in (route.partition(" ") for route in rule.routes)
        ]
        yield policy.DocumentedRuleDefault(rule.name, rule.default, rule.description, operations)


def sample() -> str:
    """Return all rules as YAML, commented out. An operator puts those that are to be others into a policy file."""
    lines = [
        "# Rules of Longshore's API, with their defaults. Put those that shall be others into a file and name it as"
    ]
    lines += ["# policy_file in the server's configuration.", ""]
    for name, (check, description) in PERSONAS.items():
        lines += [f"# {description}", f'#"{name}": "{check}"', ""]
    for rule in RULES:
        lines += [f"# {description}" for description in textwrap.wrap(rule.description, 110)]
        lines += [f"#   {route}" for route in rule.routes]
        lines += [f'#"{rule.name}": "{rule.default}"', ""]
    return "\n".join(lines)
