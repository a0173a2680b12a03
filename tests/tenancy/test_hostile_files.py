"""Directories that come from somebody else, and disks that don't take any more."""

import os
import subprocess

import pytest
from resource_files import Files, compared, exported, image, imported, network, ref

from longshore.errors import Conflict, InvalidInput, LongshoreError
from longshore.tenancy import validate
from longshore.tenancy.blobs import blob_name


@pytest.mark.parametrize("identity", ["../../secret", "/etc/passwd", "*", ""])
def test_bytes_are_only_read_from_the_directory(files, small, identity):
    (files.path.parent / "secret-tool").write_text("secret")
    (files.path / "image_blobs").mkdir()
    (files.path / "image_blobs" / "another-id-tool").write_text("not its bytes")
    files.write("images.yml", image("tool", identity))
    with pytest.raises(InvalidInput, match=r"images\.yml:3: Image tool has an id that can't be part of a file's name"):
        imported(small.connect(), files.path, "images")
    assert small.images == {}


def test_a_link_to_a_file_elsewhere_is_not_followed(files, small):
    secret = files.path.parent / "secret"
    secret.write_text("secret")
    (files.path / "image_blobs").mkdir()
    (files.path / "image_blobs" / "an-id-tool").symlink_to(secret)
    files.write("images.yml", image("tool"))
    with pytest.raises(InvalidInput, match="leads to a file elsewhere, which isn't read"):
        imported(small.connect(), files.path, "images")
    assert small.images == {}
    # All of them on another disk is somebody's own arrangement
    (files.path / "image_blobs" / "an-id-tool").unlink()
    (files.path / "image_blobs").rename(files.path.parent / "disk")
    (files.path / "image_blobs").symlink_to(files.path.parent / "disk")
    (files.path / "image_blobs" / "an-id-tool").write_text("its bytes")
    assert {row.action for row in imported(small.connect(), files.path, "images").rows} == {"made"}


def test_a_hostile_cloud_chooses_no_files(small, tmp_path):
    """An image's id is part of a file's name: one with a path in it would have an export write anywhere."""
    there = small.connect("there")
    data = b"* * * * * root id"
    for name in ("good", "bad"):
        there.image.create_image(name, data=data, disk_format="raw", container_format="bare")
    bad = next(each for each in small.images.values() if each["name"] == "bad")
    del small.images[bad["id"]]
    small.images |= {"bad": {**bad, "id": "../../cron/job"}}
    (tmp_path / "cron").mkdir()
    out = tmp_path / "out"
    done = exported(there, out, "images")
    assert done.notes == ["images: bad is left out: its id can't be part of a file's name."]
    assert [r["params"]["name"] for r in Files(out).read("images.yml")] == ["good"]
    assert [path.name for path in (out / "image_blobs").iterdir()] == [f"{next(iter(small.images))}-good"]
    assert list((tmp_path / "cron").iterdir()) == []
    with pytest.raises(InvalidInput, match="can't be part of a file's name"):
        blob_name("../../cron/job", "bad")


def test_a_hostile_cloud_fills_no_disk(small, tmp_path):
    there = small.connect("there")
    there.image.create_image("tool", data=b"bytes", disk_format="raw", container_format="bare")
    identity = next(iter(small.images))
    small.image_bytes[identity] = b"bytes" + bytes(3 << 20)
    (note,) = exported(there, tmp_path / "out", "images").notes
    assert "sends more bytes of image tool than it has" in note
    assert sum(path.stat().st_size for path in (tmp_path / "out" / "image_blobs").iterdir()) < 3 << 20


def test_a_name_too_long_for_a_file(files, small):
    there = small.connect("there")
    there.image.create_image("ü" * 200, data=b"bytes", disk_format="raw", container_format="bare")
    exported(there, files.path, "images")
    assert {row.action for row in imported(small.connect("here"), files.path, "images").rows} == {"made"}


def test_what_is_no_file_is_not_read(files):
    os.mkfifo(files.path / "networks.yml")
    (files.path / "routers.yml").symlink_to("/dev/zero")
    (files.path / "subnets.yml").mkdir()
    _, faults = validate(files.path)
    assert [str(fault) for fault in faults] == [
        f"{name}.yml: This isn't a file." for name in ("networks", "routers", "subnets")
    ]


def test_resources_that_need_each_other_without_an_end(files, small):
    chain = [image(f"i{n}", kernel_ref=ref(f"i{n + 1}")) for n in range(400)]
    files.write("images.yml", *chain, image("i400"))
    rows = compared(small.connect(), files.path, "images").rows
    assert "More than 50 resources need each other in a row" in " ".join(row.said for row in rows)


def mount(place, options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_full_disk_is_one_sentence_and_the_next_export_goes_on(files, small):
    there = small.connect("there")
    there.image.create_image("tool", data=b"bytes" * 4000, disk_format="raw", container_format="bare")
    for number in range(40):
        there.network.create_network(name=f"net-{number}")
    mount(files.path, "size=8k")
    try:
        for only in ("images", "networks"):
            with pytest.raises(LongshoreError, match="can't be written: No space left on device"):
                exported(there, files.path, only)
        assert not list(files.path.glob("*.yml"))
        assert not list(files.path.glob(".networks*"))
        mount(files.path, "remount,size=1m")
        exported(there, files.path, "images,networks")
        assert {row.action for row in imported(small.connect("here"), files.path, "images,networks").rows} == {"made"}
    finally:
        subprocess.run(["umount", files.path], check=True)


def test_a_place_where_nothing_can_be_written(files, small):
    (files.path / "file").write_text("")
    with pytest.raises(LongshoreError, match="can't be written: Not a directory"):
        exported(small.connect(), files.path / "file" / "out", "networks")


def test_no_file_is_overwritten_unasked(files, small):
    for name, cloud in (("networks.yml", "here"), ("users_keypairs.yml", "admin")):
        (files.path / name).write_text("mine")
        with pytest.raises(Conflict, match=f"{name} is there already"):
            exported(small.connect(cloud), files.path, "networks,keypairs")
        (files.path / name).unlink()


def test_limits_are_numbers_of_things_that_are_limited(files):
    project = {"name": "shop", "project_name": None, "domain_name": "Default"}
    for limits, said in (
        ({"cores": "many"}, 'params.compute has cores, which must be a whole number, not "many".'),
        ({"coers": 7}, "params.compute has coers, which isn't known; known: instances, cores,"),
    ):
        params = {"project_ref": project, "compute": limits}
        files.write("longshore/quotas.yml", {"type": "openstack.Quota", "params": params})
        assert said in str(validate(files.path)[1][0])


def test_a_directory_of_links_is_no_reason_to_refuse_it(files, small):
    files.write("elsewhere.txt", network("front"))
    (files.path / "networks.yml").symlink_to(files.path / "elsewhere.txt")
    assert {row.action for row in imported(small.connect(), files.path, "networks").rows} == {"made"}


def test_an_empty_filter_word_is_refused(files, small):
    files.write("networks.yml", network("front"))
    with pytest.raises(InvalidInput, match="isn't a filter"):
        compared(small.connect(), files.path, "networks", [""])
