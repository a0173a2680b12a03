"""What a policy has said of a caller is kept, and never longer than its rules."""

import os

import pytest

from longshore.service.caller import Caller
from longshore.service.policy import OsloPolicy
from longshore.service.rules import RULES

RULE = RULES[0].name
MEMBER = Caller("shop", "ann", roles=("member", "reader"), token="one")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "policy.yaml"


def judged(policy, monkeypatch):
    """Each time that the rules are gone through for somebody."""
    times, judge = [], policy._enforcer.authorize

    def authorize(rule, *given, **named):
        times.append(rule)
        return judge(rule, *given, **named)

    monkeypatch.setattr(policy._enforcer, "authorize", authorize)
    return times


def test_a_second_request_of_the_same_user_needs_no_judging(monkeypatch):
    policy = OsloPolicy()
    times = judged(policy, monkeypatch)
    assert policy.allows(RULE, MEMBER)
    assert policy.allows(RULE, Caller("shop", "ann", roles=("member", "reader"), token="another"))
    assert times == [RULE]
    assert not policy.allows(RULE, Caller("shop", "ann", roles=("nothing",), token="one"))


def test_a_changed_file_counts_at_once(file):
    file.write_text(f'"{RULE}": "role:member"\n')
    policy = OsloPolicy(str(file))
    assert policy.allows(RULE, MEMBER)
    file.write_text(f'"{RULE}": "role:nobody-has-it"\n')
    os.utime(file, (2_000_000_000, 2_000_000_000))
    assert not policy.allows(RULE, MEMBER)


def test_what_is_asked_of_a_service_is_asked_each_time(file, monkeypatch):
    file.write_text(f'"{RULE}": "role:member or http://127.0.0.1:1/%(user_id)s"\n')
    policy = OsloPolicy(str(file))
    times = judged(policy, monkeypatch)
    assert policy.allows(RULE, MEMBER)
    assert policy.allows(RULE, MEMBER)
    assert times == [RULE, RULE]
