"""Who puts files where they are read gets to see nothing else, and files that change are noticed."""

import errno
import gzip
import lzma
import os
import struct
import time
import zlib

import pytest
from files_made import MIB, SIZE, Ranges, https, make_image, make_ova, ovf, packed
from test_files_source import OWNER, disks_of, source_of

from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.request import MigrationRequest
from longshore.planning.machine_checks import machine_concerns
from longshore.providers.files import spool as spooling
from longshore.providers.files.archive import FileArchive
from longshore.providers.files.local import DEEPEST, directory_above
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource
from longshore.providers.files.stored import LocalFile
from longshore.providers.grounds import Grounds
from longshore.service.remote import provider_settings


def test_a_piece_is_the_file_beside_it_whatever_else_its_name_may_mean(tmp_path):
    data = make_image(tmp_path / "a.vmdk", "vmdk", "subformat=monolithicFlat")
    text = (tmp_path / "a.vmdk").read_text()
    (tmp_path / "a.vmdk").write_text(text.replace("a-flat.vmdk", "nbd:127.0.0.1:1"))
    (tmp_path / "a-flat.vmdk").rename(tmp_path / "nbd:127.0.0.1:1")
    assert disks_of(source_of(tmp_path), "a") == [data]


def test_a_provider_of_one_file_opens_none_beside_it(tmp_path):
    make_image(tmp_path / "mine.raw", "raw")
    make_image(tmp_path / "other.raw", "raw")
    source = source_of(tmp_path / "mine.raw")
    assert source.machine("mine.raw").disks[0].size == SIZE
    with pytest.raises(NotFound):
        source.machine("other.raw")


@pytest.mark.parametrize("name", ["notes.txt", "image"])
def test_a_file_that_is_no_machine_is_refused_when_it_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(4096))
    for url in (f"file://{tmp_path}/{name}", f"https://localhost/{name}"):
        with pytest.raises(InvalidInput, match="neither an OVA"):
            FilesSource(FilesSettings(url)).check()
    assert source_of(tmp_path).check()["machines"] == "0"


def test_links_in_a_circle_and_unreadable_files_leave_the_rest_to_be_listed(tmp_path):
    make_image(tmp_path / "a.raw", "raw")
    (tmp_path / "circle.raw").symlink_to("circle.raw")
    (tmp_path / "nowhere.raw").symlink_to("gone")
    os.mkfifo(tmp_path / "pipe.raw")
    make_image(tmp_path / os.fsdecode(b"\xff.raw"), "raw")
    (tmp_path / "bad.ova").write_bytes(b"no archive".ljust(1024))
    source = source_of(tmp_path)
    assert {machine.ref: bool(machine.disks) for machine in source.machines()} == {
        "a.raw": True,
        "bad.ova": False,
        "circle.raw": False,
        "nowhere.raw": False,
        "\\xff.raw": True,
    }
    assert [(m.ref, bool(m.disks)) for m in source.describe(["a.raw", "gone.raw", "bad.ova"])] == [
        ("a.raw", True),
        ("bad.ova", False),
    ]


def test_a_directory_that_may_not_be_looked_into_is_told(tmp_path, monkeypatch):
    """What is in it would be left out without a word, as where a server runs as a user of its own."""
    for name in ("closed", "lost+found"):
        (tmp_path / name).mkdir()
        make_image(tmp_path / name / "web.raw", "raw")
    make_image(tmp_path / "a.raw", "raw")
    opened = os.open

    def refused(path, *how, **more):
        if path in ("closed", "lost+found"):  # tests may run as root, who isn't refused anything
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, *how, **more)

    monkeypatch.setattr(os, "open", refused)
    found = {machine.ref: machine.unreadable_because for machine in source_of(tmp_path).machines()}
    assert found == {"a.raw": "", "closed/": "closed may not be read by this user."}


def test_directories_that_are_too_deep_are_told(tmp_path):
    inner = tmp_path.joinpath(*"d" * DEEPEST)
    (inner / "further").mkdir(parents=True)
    make_image(inner / "found.raw", "raw")
    make_image(inner / "further" / "hidden.raw", "raw")
    source = source_of(tmp_path)
    told = {machine.name: machine.unreadable_because for machine in source.machines()}
    assert told == {
        "found": "",
        "further": f"{'d/' * DEEPEST}further/ is too deep: more than 64 directories are above it.",
    }
    with pytest.raises(InvalidInput, match="is too deep"):
        source.machine("further")


def test_a_plan_says_why_a_file_cannot_be_read(tmp_path):
    (tmp_path / "bad.ova").write_bytes(b"no archive".ljust(1024))
    (machine,) = source_of(tmp_path).describe(["bad.ova"])
    (concern,) = machine_concerns(machine, MigrationRequest())
    assert concern.code == "machine-unreadable"
    assert "bad.ova is no tar archive" in concern.text


def test_a_directory_of_more_files_than_anybody_means_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("longshore.providers.files.local.MOST_ENTRIES", 5)
    for n in range(4):
        (tmp_path / str(n)).mkdir()
        (tmp_path / str(n) / "x").touch()
    with pytest.raises(InvalidInput, match="more than 5 files"):
        source_of(tmp_path).check()


def flat(path):
    make_image(path / "a.vmdk", "vmdk", "subformat=monolithicFlat")
    return "a.vmdk", path / "a-flat.vmdk"


def raw(path):
    make_image(path / "a.raw", "raw")
    return "a.raw", path / "a.raw"


def archive(path):
    make_ova(path / "a.ova")
    return "a.ova", path / "a.ova"


@pytest.mark.parametrize("make", [flat, raw, archive])
def test_files_that_change_while_they_are_read_end_the_migration(tmp_path, make):
    ref, data = make(tmp_path)
    source = source_of(tmp_path)
    snapshot = source.snapshot(ref, "s", OWNER, quiesce=False)
    with source.open_disk(snapshot, "disk0"):
        pass
    with pytest.raises(Conflict, match="changed since"), source.open_disk(snapshot, "disk0"):
        os.utime(data, ns=(0, data.stat().st_mtime_ns + 1))


def test_the_end_of_an_archive_belongs_to_its_last_member(tmp_path):
    """Some makers leave out what fills its last block; then there is nothing to round up to."""
    make_ova(tmp_path / "a.ova", algorithm="")
    path = tmp_path / "a.ova"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        last = FileArchive(LocalFile("a.ova", descriptor)).open("web01-disk2.vmdk")
        os.truncate(path, last._offset + last.size - 512)
        with pytest.raises(InvalidInput, match="cut off"):
            FileArchive(LocalFile("a.ova", descriptor))
        with pytest.raises(InvalidInput, match="cut off"):
            LocalFile("a.ova", descriptor).serve(512, path.stat().st_size)
    finally:
        os.close(descriptor)


def test_a_file_of_many_small_members_is_unpacked_as_quickly_as_others(tmp_path):
    def seconds(members):
        path = tmp_path / "a.raw.gz"
        path.write_bytes(gzip.compress(b"", 1) * members + gzip.compress(bytes(MIB), 1))
        with path.open("rb") as file:
            began = time.process_time()
            assert sum(map(len, spooling.unpacked(LocalFile("a.raw.gz", file.fileno()), "gz"))) == MIB
        return time.process_time() - began

    assert seconds(200_000) < 8 * seconds(50_000)  # 4 times as it is, 16 where what is left is copied for each member


def test_a_bomb_is_refused_where_it_gets_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(spooling, "LARGEST", 16 * MIB)
    (tmp_path / "a.raw.gz").write_bytes(gzip.compress(bytes(17 * MIB), 1))
    with pytest.raises(InvalidInput, match="unpacked"):
        source_of(tmp_path).machine("a.raw.gz")
    monkeypatch.setattr(spooling, "LEFT_FREE", 1 << 60)
    (tmp_path / "b.raw.gz").write_bytes(gzip.compress(b"x" * MIB, 1))
    with pytest.raises(InvalidInput) as refusal:
        source_of(tmp_path).machine("b.raw.gz")
    assert refusal.value.code == "no-scratch-space"


def test_a_scratch_directory_that_is_not_there_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.raw.gz").write_bytes(packed(bytes(MIB), "gz"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(LongshoreError) as refusal:
        source_of(tmp_path).machine("a.raw.gz")
    assert "gone" in refusal.value.message


def test_a_dictionary_of_four_gigabytes_is_not_made_for_a_small_file(tmp_path):
    """xz's tables are read in a process of bounded memory; what that refuses isn't unpacked either."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(bytes(MIB), filters=filters))
    at = data.index(b"\x21\x01") + 2
    data[at] = 40  # 4 GiB - 1, as an LZMA2 filter says it
    header = 12 + (data[12] + 1) * 4
    data[header - 4 : header] = struct.pack("<I", zlib.crc32(bytes(data[12 : header - 4])))
    (tmp_path / "a.raw.xz").write_bytes(data)
    with pytest.raises(InvalidInput, match="unpacked"):
        disks_of(source_of(tmp_path), "a.raw.xz")


# Servers that aren't what they say


class Careless(Ranges):
    """Says that it gives ranges and gives all of a file; or sends one elsewhere; or has another file each time."""

    def do_GET(self):
        if "elsewhere" in self.path:
            self.send_response(302)
            self.send_header("Location", "https://localhost/secret.raw")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        if "whole" in self.path:
            del self.headers["Range"]
        if "broken" in self.path:
            self.send_error(503)
            return None
        return super().do_GET()


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    directory = tmp_path_factory.mktemp("careless")
    served = directory / "served"
    served.mkdir()
    for name in ("whole", "elsewhere", "broken", "odd"):
        make_image(served / f"{name}.raw", "raw")
    (served / "odd.raw").write_bytes(b"EFI PART" * 73 + b"EFI")
    (served / "none.raw").touch()
    (served / "side.ovf").write_bytes(ovf(("elsewhere.raw", SIZE, SIZE, 0)).replace(b"vmdk", b"q"))
    with https(served, directory, Careless) as (url, certificate):
        yield lambda name: FilesSource(FilesSettings(f"{url}/{name}", ca_file=str(certificate)))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("whole.raw", InvalidInput, "gives no ranges"),
        ("elsewhere.raw", InvalidInput, "leads elsewhere"),
        ("side.ovf", InvalidInput, "leads elsewhere"),
        ("broken.raw", Unreachable, "answers 503"),
        ("none.raw", InvalidInput, "too small"),
    ],
)
def test_a_web_server_that_would_give_something_else_is_refused(careless, name, error, words):
    with pytest.raises(error, match=words):
        careless(name).machine(name)


def test_a_name_that_is_no_name_cannot_be_reached():
    with pytest.raises(Unreachable, match="can't be reached"):
        FilesSource(FilesSettings("https://a..b/x.raw")).check()


def test_a_file_on_the_web_that_ends_within_a_sector_is_a_disk_of_whole_ones(careless):
    source = careless("odd.raw")
    assert source.machine("odd.raw").disks[0].size == 1024
    assert disks_of(source, "odd.raw") == [(b"EFI PART" * 73 + b"EFI").ljust(1024, b"\0")]


def test_on_a_server_a_directory_that_was_replaced_by_a_link_is_not_followed(tmp_path):
    """Between the look at its path and the opening: the path is opened step by step."""
    allowed = tmp_path / "allowed"
    (allowed / "mine").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    make_image(tmp_path / "secret" / "a.raw", "raw")
    source = source_of(allowed / "mine", beneath=str(allowed))
    (allowed / "mine").rmdir()
    (allowed / "mine").symlink_to(tmp_path / "secret")
    for look in (source.check, lambda: source.machine("a.raw")):
        with pytest.raises((AccessDenied, NotFound)):
            look()


# What callers of a server may name


def test_on_a_server_no_link_leads_out_of_its_directory(tmp_path):
    make_image(tmp_path / "secret.raw", "raw")
    allowed = tmp_path / "allowed"
    (allowed / "mine").mkdir(parents=True)
    make_image(allowed / "mine" / "a.raw", "raw")
    (allowed / "mine" / "link.raw").symlink_to(tmp_path / "secret.raw")
    (allowed / "out").symlink_to(tmp_path)
    mine = source_of(allowed / "mine", beneath=str(allowed))
    assert [(machine.name, machine.unreadable) for machine in mine.machines()] == [("a", False), ("link", True)]
    assert mine.machine("a.raw").disks[0].size == SIZE
    for refused in (
        lambda: mine.machine("link.raw"),
        lambda: mine.machine("../../secret.raw"),
        lambda: source_of(allowed / "out", beneath=str(allowed)).check(),
        lambda: source_of(tmp_path, beneath=str(allowed)),
    ):
        with pytest.raises((AccessDenied, NotFound)):
            refused()
    assert "link" in {machine.name for machine in source_of(allowed / "mine").machines()}  # the user's own rights


@pytest.mark.parametrize(
    "url",
    [
        *("http://host/a.ova", "https://u:p@host/a.ova", "https://host/a.ova?signature=x", "https://host/"),
        *("file://host/dir", "file:///a/../b", "ftp://host/a.ova", "/srv/a.ova", "https://ho st/a", "file:relative"),
        # What parsers of URLs see through, and rules that go by the first letters don't
        *("FILE:///srv/a.ova", " file:///srv/a.ova", "fi\tle:///srv/a.ova", "HTTPS://host/a.ova", "file:///a%00b"),
        *("https://[host/a.ova", "file://[/a.ova", "https://host:x/a.ova", "https://host/\u00e9.ova"),
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(InvalidInput) as refusal:
        FilesSettings(url)
    assert "u:p" not in str(refusal.value)


def test_a_server_takes_paths_below_its_directories_alone():
    assert directory_above("file:///srv/images/mine", ["/srv/isos", "/srv/images"]) == "/srv/images"
    for url in ("file:///srv/imagesother", "file:///etc", "file:///srv"):
        with pytest.raises(AccessDenied):
            directory_above(url, ["/srv/images"])


GROUNDS = Grounds(files_directories=("/srv/exports",))


def test_a_server_keeps_its_callers_to_the_directories_of_its_operator():
    said = {"url": "file:///srv/exports/web01.ova", "cpus": 2}
    assert provider_settings("files", said, GROUNDS) == {**said, "beneath": "/srv/exports"}
    assert provider_settings("files", {"url": "https://host/a.ova"}, GROUNDS) == {"url": "https://host/a.ova"}


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "file:///etc"},
        {"url": "file:///srv/exports/../../etc"},
        {"url": "file:/srv/exports%2f..%2f..%2fetc/a.raw"},
        {"url": "file:////srv/exports/a.raw"},
        {"url": "file://localhost/etc"},
        {"url": "https://host/a.ova", "ca_file": "/etc/shadow"},
        {"url": "file:///etc", "beneath": "/"},
        *({"url": url} for url in ("FILE:///etc", " file:///etc", "fi\tle:///etc", "\x00file:///etc")),
    ],
)
def test_a_server_opens_nothing_else_for_them(settings):
    with pytest.raises((AccessDenied, InvalidInput)):
        FilesSource(FilesSettings(**provider_settings("files", settings, GROUNDS)))
    with pytest.raises((AccessDenied, InvalidInput)):
        FilesSource(FilesSettings(**provider_settings("files", settings, Grounds())))
