"""Resources that have no name: which one it is is said by what they say."""

from types import SimpleNamespace

import pytest

from longshore.tenancy.kinds import BY_NAME
from longshore.tenancy.registry import OPERATIONS


class Nameless(SimpleNamespace):
    """What the services tell of such a resource: anything but a name."""

    def __getattr__(self, attribute):
        if attribute == "name":
            raise AttributeError(attribute)
        return {} if attribute in ("scope", "user", "group", "role") else None


@pytest.mark.parametrize("name", [name for name, kind in BY_NAME.items() if "name" not in kind.key])
def test_no_name_is_asked_of_what_has_none(name):
    kind = BY_NAME[name]
    cloud = SimpleNamespace(called=lambda _kind, raw: raw.name)
    operations = OPERATIONS[name](cloud, kind)
    operations.key = lambda _raw: ("its key",)
    assert operations.keys(Nameless()) == [("its key",)]
