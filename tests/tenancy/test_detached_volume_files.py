"""OS-Migrate's detached_volumes.yml: which volumes it means, and what it wants otherwise than they are."""

from pathlib import Path

import pytest
import yaml

from longshore.errors import InvalidInput
from longshore.model.machine import Disk, Machine, PowerState, ServerSettings
from longshore.model.platform import Platform
from longshore.model.request import VolumeWishes
from longshore.tenancy import read_detached_volumes, wanted

EXAMPLE = Path(__file__).parent / "os_migrate" / "walkthrough" / "detached_volumes.yml"
ID = "0e9ff1ab-fb8d-4c12-81c4-29d519d09cb9"
# The example's volume, at its source
VOLUME = Machine(
    f"volume:{ID}",
    "test-detached-volume",
    PowerState.OFF,
    0,
    0,
    (
        Disk(
            ID, "volume", 0, 5 << 30, ID, "tripleo", name="test-detached-volume", image_properties={"os_type": "linux"}
        ),
    ),
    (),
    platform=Platform("openstack"),
    annotation="kept for years",
    server_settings=ServerSettings(availability_zone="nova"),
)


@pytest.fixture
def asked(tmp_path):
    """What the example asks for once it was edited."""
    path = tmp_path / "detached_volumes.yml"

    def edited(how=None, info=None, loose=(VOLUME,), **params):
        document = yaml.safe_load(EXAMPLE.read_text())
        (volume,) = document["resources"]
        volume["params"] |= params
        volume["_migration_params"] |= how or {}
        volume["_info"] |= info or {}
        path.write_text(yaml.safe_dump(document))
        (found,) = read_detached_volumes(path)
        return wanted(found, {one.disks[0].key: one for one in loose})

    return edited


def test_what_nobody_edited_asks_for_the_type_only(asked):
    one = asked()
    assert (one.meant, one.name) == (ID, "test-detached-volume")
    assert (one.wishes, one.storage, one.zone, one.notes) == (VolumeWishes(), {"tripleo": "tripleo"}, None, ())


def test_what_was_edited_is_followed(asked):
    metadata = {"os_type": "windows", "image_id": "of-the-source", "min_disk": 0}
    one = asked(
        name="store", description="", availability_zone="az2", volume_type="fast", volume_image_metadata=metadata
    )
    assert one.wishes == VolumeWishes("store", "", {"os_type": "windows", "min_disk": "0"})
    assert (one.storage, one.zone) == ({"tripleo": "fast"}, "az2")


def test_a_volume_is_found_by_its_name_where_the_file_has_no_id(asked):
    one = asked(info={"id": None}, volume_type="fast")
    assert (one.meant, one.storage) == ("test-detached-volume", {"tripleo": "fast"})


def test_what_migration_params_say_is_not_followed_and_said(asked, tmp_path):
    place = f"{tmp_path}/detached_volumes.yml:3"
    said = (f"{place}: what _migration_params says of test-detached-volume isn't followed: data_copy.",)
    assert asked(how={"data_copy": False}).notes == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resources: [", r":\d: This isn't YAML"),
        ("os_migrate_version: 1.0.5\nresources: []\n", r"There are no volumes in .*yml\."),
        (
            EXAMPLE.read_text().replace("volume_type: tripleo", "volume_type: [1]"),
            r":13: params\.volume_type must be text",
        ),
        (
            EXAMPLE.read_text().replace("volume_type", "volume_typ"),
            r":13: params\.volume_typ isn't a field of a volume",
        ),
        (
            EXAMPLE.read_text().replace(f"id: {ID}", "id: null").replace("name: test-detached-volume", "name: null"),
            r":3: This volume has neither an id in _info nor a name",
        ),
        (
            EXAMPLE.read_text() + EXAMPLE.read_text().partition("resources:\n")[2],
            r":15: The volume test-detached-volume is here a second time; the first is in .*yml:3\.",
        ),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_line(tmp_path, text, said):
    path = tmp_path / "detached_volumes.yml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=said) as refused:
        read_detached_volumes(path)
    assert "\n" not in str(refused.value)
