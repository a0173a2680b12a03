"""Images that can't come along, or not whole: each is named, and the rest is carried."""

import pytest
from resource_files import compared, exported, image, imported, of

from longshore.errors import Unreachable
from longshore.tenancy import validate

ONLY = "networks,images"


def there_and_back(small, files):
    notes = exported(small.connect("one"), files.path, ONLY).notes
    assert [str(fault) for fault in validate(files.path)[1]] == []
    assert {row.action for row in compared(small.connect("one"), files.path, ONLY).rows} == {"leave"}
    assert {row.action for row in imported(small.connect("two"), files.path, ONLY).rows} == {"made"}
    assert {row.action for row in imported(small.connect("two"), files.path, ONLY).rows} == {"left"}
    return notes


@pytest.fixture
def filled(small):
    """Ids by name of three images, beside a network."""
    there = small.connect("one")
    there.network.create_network(name="front")
    for name in ("a-good", "b-odd", "c-good"):
        there.image.create_image(name, data=name.encode() * 100, disk_format="raw", container_format="bare")
    return {i["name"]: id_ for id_, i in small.images.items()}


def names(files):
    return [r["params"]["name"] for r in files.read("images.yml")]


def test_an_image_whose_bytes_are_gone_does_not_end_the_export(small, filled, files):
    """MirantisWorkloadMobility/CloudFerry#980, #230"""
    small.lost_bytes.add(filled["b-odd"])
    done = exported(small.connect("one"), files.path, ONLY)
    assert done.failed == [("image", "b-odd")]
    assert done.notes == [
        "images: b-odd is left out: The cloud couldn't download image b-odd, something needed for it isn't there: Not "
        "Found."
    ]
    assert names(files) == ["a-good", "c-good"]
    assert len(files.read("networks.yml")) == 1


def test_an_image_of_which_the_store_has_lost_a_part_does_not_end_each_export(small, filled, files):
    """The image service says that all is well, sends what there is, and hangs up."""
    small.breaks_at[filled["b-odd"]] = 2 << 20
    small.keep(filled["b-odd"], b"odd!" * (1 << 20))
    with pytest.raises(Unreachable, match=r"The bytes of image b-odd stopped coming.*Export again"):
        exported(small.connect("one"), files.path, ONLY)
    done = exported(small.connect("one"), files.path, ONLY)
    assert done.failed == [("image", "b-odd")]
    assert done.notes == [
        "images: b-odd is left out: The bytes of image b-odd stop coming where they did before, after 2,097,152 of "
        "4,194,304: the cloud's store may have lost a part."
    ]
    assert names(files) == ["a-good", "c-good"]


def test_what_needs_such_an_image_goes_without_it(small, filled, files):
    small.lost_bytes.add(filled["b-odd"])
    small.images[filled["a-good"]]["kernel_id"] = filled["b-odd"]
    assert exported(small.connect("one"), files.path, ONLY).notes[1:] == [
        "images: a-good is without its kernel_ref: what its kernel_ref names is left out, too."
    ]


def test_an_image_that_is_in_snapshots_of_volumes(small, filled, files):
    """SAP-cloud-infrastructure/elektra#616: what Nova makes of a server that boots from a volume."""
    small.images[filled["b-odd"]] |= {
        "size": 0,
        "block_device_mapping": '[{"snapshot_id": "73b21ed5"}]',
        "bdm_v2": "True",
    }
    assert there_and_back(small, files) == [
        "images: b-odd is left out: what it holds is in snapshots of volumes, which aren't carried."
    ]
    files.write("images.yml", {**image("old", properties={"block_device_mapping": "[]"}), "_info": {"size": 0}})
    (row,) = imported(small.connect("two"), files.path, "images").rows
    assert (row.action, row.said) == (
        "skipped",
        "Left out: what it holds is in snapshots of volumes, which aren't carried.",
    )


def test_a_signed_image_comes_along_without_its_signature(small, filled, files):
    small.images[filled["b-odd"]] |= {
        "img_signature": "b" * 88, "img_signature_certificate_uuid": "11111111-2222", "team": "web"
    }  # fmt: skip
    assert there_and_back(small, files) == [
        "images: b-odd is without img_signature, img_signature_certificate_uuid, which only this cloud understands."
    ]
    assert [i["team"] for i in small.images.values() if i["owner"] == "two" and "team" in i] == ["web"]


def test_an_encrypted_image_is_of_no_use_without_its_key(small, filled, files):
    small.images[filled["b-odd"]]["cinder_encryption_key_id"] = "a-key"
    (note,) = there_and_back(small, files)
    assert note.startswith("images: b-odd is left out: its bytes are encrypted with a key")


def test_two_images_of_one_name(small, filled, files):
    """RedHatQE/openstack-gitlab-executor#10"""
    for each in small.images.values():
        each["name"] = "nightly"
    (note,) = there_and_back(small, files)
    assert note.startswith("images: nightly is the name of several there, so they are called nightly-")
    assert sorted(small.image_bytes.values()) == sorted(n.encode() * 100 for n in filled for _ in (1, 2))


def labelled(files, disk_format):
    files.write("images.yml", image("tool", disk_format=disk_format))
    (files.path / "image_blobs").mkdir(exist_ok=True)
    (files.path / "image_blobs" / "an-id-tool").write_bytes(b"raw bytes")


def test_an_image_that_is_refused_can_be_imported_when_it_is_put_right(small, files):
    labelled(files, "qcow2")
    (fault,) = validate(files.path)[1]
    assert fault.warning
    assert fault.sentence.startswith("disk_format of image tool is qcow2, but its bytes don't begin as qcow2's do")
    (row,) = imported(small.connect(), files.path, "images").rows
    assert row.action == "failed"
    said = "415 Unsupported Media Type Image declared as 'qcow2' isn't one."
    assert row.said == f"The cloud couldn't upload image tool (HTTP 415): {said}"
    assert small.images == {}
    labelled(files, "raw")
    assert {row.action for row in imported(small.connect(), files.path, "images").rows} == {"made"}


def test_one_that_takes_no_bytes_any_more_is_made_anew(small, files):
    """A process that died has left it queued, with a piece in the store."""
    labelled(files, "raw")
    queued = small.connect().image.create_image("tool", disk_format="raw", container_format="bare", kernel_id=None)
    small.in_pieces.add(queued.id)
    assert of(imported(small.connect(), files.path, "images"), "changed") == {("image", "tool")}
    assert [(i["status"], i["disk_format"]) for i in small.images.values()] == [("active", "raw")]
    assert {row.action for row in imported(small.connect(), files.path, "images").rows} == {"left"}


def test_images_without_a_name_get_one(small, files):
    """Glance gives an image no name where none was asked for."""
    for number, status in enumerate(("active", "active", "queued")):
        bare = {"name": None, "disk_format": "raw", "container_format": "bare", "tags": [], "visibility": "shared"}
        small.images[f"0000000{number}-id"] = {"id": f"0000000{number}-id", "owner": "one", "size": None} | bare
        small.images[f"0000000{number}-id"]["status"] = status
        if status == "active":
            small.keep(f"0000000{number}-id", f"bytes {number}".encode())
    assert there_and_back(small, files) == ["images: unnamed-00000002 is queued, so it has no bytes to take along."]
    assert names(files) == ["unnamed-00000000", "unnamed-00000001"]


def test_an_image_of_a_server_names_no_image_and_no_user_of_its_cloud(small, filled, files):
    """Nova rescues a server with the image that the one it was made of says it was made of."""
    small.images[filled["b-odd"]] |= {"base_image_ref": "a-uuid", "user_id": "ann", "image_type": "snapshot"}
    assert there_and_back(small, files) == [
        "images: b-odd is without base_image_ref, user_id, which only this cloud understands."
    ]
    (made,) = (i for i in small.images.values() if i["owner"] == "two" and "image_type" in i)
    assert {"base_image_ref", "user_id"}.isdisjoint(made)


def test_properties_that_only_the_operator_may_set_are_left_out_and_named(small, filled, files):
    small.images[filled["a-good"]] |= {"licence": "gold", "x_bill": "7", "team": "web"}
    exported(small.connect("one"), files.path, ONLY)
    small.kept_properties = {"licence", "x_bill"}
    done = imported(small.connect("two"), files.path, ONLY)
    assert {row.action for row in done.rows} == {"made"}
    assert [note for note in done.notes if "lets its operator" in note] == [
        f"images: a-good is without {name}, which this cloud lets its operator set alone."
        for name in ("licence", "x_bill")
    ]
    (made,) = [i for i in small.images.values() if (i["owner"], i["name"]) == ("two", "a-good")]
    assert (made["team"], "licence" in made, "x_bill" in made) == ("web", False, False)


def test_an_image_is_not_made_without_the_hardware_that_its_servers_may_need(small, filled, files):
    small.images[filled["a-good"]]["hw_firmware_type"] = "uefi"
    exported(small.connect("one"), files.path, ONLY)
    small.kept_properties = {"hw_firmware_type"}
    rows = {row.name: row for row in imported(small.connect("two"), files.path, ONLY).rows}
    assert (rows["a-good"].action, rows["b-odd"].action) == ("failed", "made")
    assert "Attribute 'hw_firmware_type' is reserved" in str(rows["a-good"])
