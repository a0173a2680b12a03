"""Machines that a policy names are found again, whatever has become of their names and references since."""

import pytest

from longshore.errors import Conflict, NotFound
from longshore.flows.backups.looking_up import look_up_again
from longshore.model.backup_policy import KnownMachine
from longshore.model.machine import Machine, PowerState
from longshore.model.platform import Platform


class Source:
    """Servers by their ids, with their names."""

    def __init__(self, **names):
        self.names = names

    def by_reference(self, ref):
        if ref not in self.names:
            raise NotFound(f"There is no server {ref}.")
        return Machine(ref, self.names[ref], PowerState.ON, 1, 256, (), (), platform=Platform("openstack"))

    def machine(self, word):
        found = [ref for ref, name in self.names.items() if word in (ref, name)]
        if len(found) > 1:
            raise Conflict(f"{len(found)} servers are called {word}.")
        return self.by_reference(found[0] if found else word)


def again(**names):
    known = KnownMachine("web", "web", "s1", Platform("openstack"), "", "")
    return look_up_again(Source(**names), known.word, known).ref


def test_a_server_that_was_renamed_or_whose_name_another_has_too_is_the_same_one():
    assert again(s1="web-old") == "s1"
    assert again(s1="web", s2="web") == "s1"


def test_a_name_that_another_server_has_by_now_means_that_one():
    assert again(s1="web-old", s2="web") == "s2"
    assert again(s2="web") == "s2"


def test_of_one_that_is_gone_it_is_said_why_its_name_means_none():
    with pytest.raises(NotFound, match="no server web"):
        again(s2="db")
    with pytest.raises(Conflict, match="2 servers are called web"):
        again(s2="web", s3="web")
