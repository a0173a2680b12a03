"""Whatever project a cloud allows, its export can be imported: there, where nothing is to be done, and elsewhere, once.

LONGSHORE_PROJECTS says how many projects there are (`make test`: 250; `make soak`: 50,000), and LONGSHORE_TURN, the
commit's time, which ones.
"""

import functools
import os
import pickle
import secrets
from concurrent.futures import Executor, Future

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from keystoneauth1 import _utils
from openstack.resource import Resource
from os_service_types import ServiceTypes
from resource_files import KINDS, Files, compared, exported, imported
from small_cloud import EXTENSIONS, SmallCloud
from small_projects import Project, projects

from longshore.tenancy import carry_out, cloud, validate, yamlfile

PROJECTS = int(os.environ.get("LONGSHORE_PROJECTS", "32"))
SEED = int(os.environ.get("LONGSHORE_TURN") or secrets.randbelow(1 << 32))
pytestmark = [pytest.mark.long, pytest.mark.timeout(600 + PROJECTS)]  # seconds

ONLY = f"{KINDS},images"
# What a target may lack, and a project do without
LACKING = st.sets(
    st.sampled_from(
        ["port-security", "net-mtu", "dns-integration", "vlan-transparent", "standard-attr-tag", "trunk", "binding",
         "allowed-address-pairs", "extra_dhcp_opt", "ext-gw-mode", "stateful-security-group", "address-group",
         "network_availability_zone", "qos"]
    ),
    max_size=2,
)  # fmt: skip
MOST_KEPT = 100  # texts of files
PARTS = 4  # which several processes run side by side


class AtOnce(Executor):
    """It works in its caller's thread: a cloud in this process needn't be waited for."""

    def __init__(self, _workers):
        """Start no thread."""

    def submit(self, work, *args):
        done = Future()
        try:
            done.set_result(work(*args))
        except Exception as error:  # noqa: BLE001 as executors do
            done.set_exception(error)
        return done


def remember(read):
    """Read the same text but once: each project's files are read six times."""
    known = {}

    def read_or_copy(content, **options):
        if content not in known:
            if len(known) > MOST_KEPT:
                known.clear()
            known[content] = pickle.dumps(read(content, **options))
        return pickle.loads(known[content])

    return read_or_copy


@pytest.fixture(scope="module", autouse=True)
def savings():
    """Do less of what is the same in every project, and takes two thirds of the time."""
    seek = Resource._attributes_iterator.__func__
    attributes = functools.cache(lambda *which: tuple(seek(*which)))
    mapped = functools.cache(Resource._get_mapping.__func__)
    types = functools.cache(ServiceTypes.all_types_by_service_type.fget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamlfile, "read_yaml", remember(yamlfile.read_yaml))
        patch.setattr(cloud, "ThreadPoolExecutor", AtOnce)
        patch.setattr(carry_out, "ThreadPoolExecutor", AtOnce)
        patch.setattr(Resource, "_attributes_iterator", classmethod(attributes))
        patch.setattr(Resource, "_get_mapping", classmethod(mapped))
        patch.setattr(ServiceTypes, "all_types_by_service_type", property(types))
        patch.setattr(_utils, "parse_isotime", functools.cache(_utils.parse_isotime))
        yield


@pytest.mark.parametrize("part", range(PARTS))
def test_an_export_is_importable(tmp_path_factory, part):
    """Each part has projects of its own, and so has each commit: in CI, Hypothesis would draw the same ones again."""
    seed(SEED * PARTS + part)(assert_importable)(tmp_path_factory)


@settings(
    max_examples=PROJECTS // PARTS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller one takes longer to find than to read this one
)
@given(drawn=projects, lacking=LACKING, largest_mtu=st.sampled_from([9000, 1442]), outer_there=st.booleans())
def assert_importable(tmp_path_factory, drawn, lacking, largest_mtu, outer_there):
    files = Files(tmp_path_factory.mktemp("files"))
    with SmallCloud() as small, small.connect("one", by_call=True) as here:
        project = Project(small, drawn)
        done = exported(here, files.path, ONLY)
        assert [str(fault) for fault in validate(files.path)[1] if not fault.warning] == []
        unnamed = project.not_told_of(files, done.notes)
        assert unnamed == []
        if not any(done.files.values()):
            return
        before = small.made()
        rows = compared(here, files.path, ONLY).rows
        assert [row for row in rows if row.action != "leave"] == []
        assert {row.action for row in imported(here, files.path, ONLY).rows} == {"left"}
        assert small.made() == before
    extensions = [each for each in EXTENSIONS if each not in lacking]
    with SmallCloud(extensions) as other, other.connect("one", by_call=True) as there:
        other.largest_mtu, other.zones = largest_mtu, ["nova"]
        if outer_there:
            other.add("networks", {"name": "public", "router:external": True, "shared": True}, "operator")
        rows = compared(there, files.path, ONLY).rows
        assert [row for row in rows if row.action not in ("make", "leave", "skip")] == []
        rows = imported(there, files.path, ONLY).rows
        assert [row for row in rows if row.action not in ("made", "left", "skipped")] == []
        assert all(row.said for row in rows if row.action == "skipped")
        before = other.made()
        rows = imported(there, files.path, ONLY).rows
        assert [row for row in rows if row.action not in ("left", "skipped")] == []
        assert other.made() == before
