"""Files on a guest's disks: found where the guest has them, whole, and whatever their makers called them."""

import io
import os
import subprocess
import tarfile
import threading

import pytest
from file_disk import FileDisk

from longshore.errors import InvalidInput, NotFound
from longshore.guests.file_names import meant_name, shown_name
from longshore.guests.files import fetched, find_files, list_files
from longshore.vault.errors import Damaged

MIB = 1 << 20
DATA = "0b1d8f7e-3c55-4a5e-9d0c-6d2f3a9b7c11"
SEVERAL = 4
BIG = bytes(range(256)) * 20_000  # some 5 MB that no other 5 MB are like


class LateDisk(FileDisk):
    """One that answers nobody until it is asked for several parts at once, if that comes soon."""

    def __init__(self, path):
        super().__init__(path)
        self.most = self._asked = 0
        self._change = threading.Condition()

    def parts(self, offset, length):
        with self._change:
            self._asked += 1
            self.most = max(self.most, self._asked)
            self._change.notify_all()
            self._change.wait_for(lambda: self.most >= SEVERAL, timeout=0.05)
            self._asked -= 1
        return super().parts(offset, length)


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """One with an EFI partition, a root and a volume of LVM; one that is a file system as a whole; one with NTFS."""
    home = tmp_path_factory.mktemp("disks")
    root, boot, data = (home / name for name in ("root", "boot", "data"))
    for directory in ("etc", "usr/lib", "srv/data", "boot/efi", "home/ann", "run"):
        (root / directory).mkdir(parents=True)
    table = f"# a comment\nUUID=ABCD-1234 /boot/efi vfat\nUUID={DATA} /srv/data ext4\n/dev/mapper/gone /gone xfs\n"
    (root / "etc/fstab").write_text(table)
    (root / "usr/lib/os-release").write_text("ID=debian\n")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "home/ann/big").write_bytes(BIG)
    (root / "home/ann/Notes.TXT").write_text("a note")
    (root / "home/ann/around").symlink_to("around")
    os.mkfifo(root / "run/queue")
    hostile = b"\x1b[31mred\nline\\\xff"
    os.close(os.open(os.fsencode(root) + b"/home/ann/" + hostile, os.O_CREAT | os.O_WRONLY))
    data.mkdir()
    (data / "photo.jpg").write_bytes(b"a picture")
    (home / "empty").mkdir()
    boot.mkdir()

    system = home / "system.img"
    with system.open("wb") as file:
        file.truncate(80 * MIB)
    table = "label: gpt\nfirst-lba: 2048\n,8M,U\n,48M,L\n,8M,L\n"
    run("sfdisk", "-q", str(system), stdin=table)
    ext4("-U", "random", "-d", root, home / "root.img", "48M")
    run("mformat", "-i", str(home / "boot.img"), "-C", "-T", str(8 * 2048), "-N", "abcd1234", "::")
    (boot / "loader.efi").write_bytes(b"MZ")
    run("mcopy", "-i", str(home / "boot.img"), str(boot / "loader.efi"), "::/LOADER.EFI")
    with system.open("r+b") as file:
        for place, image in ((1, home / "boot.img"), (9, home / "root.img")):
            file.seek(place * MIB)
            file.write(image.read_bytes())
        file.seek(57 * MIB + 512)
        file.write(b"LABELONE")
    ext4("-U", DATA, "-d", data, home / "data.img", "8M")
    windows = home / "windows.img"
    with windows.open("wb") as file:
        file.truncate(16 * MIB)
    run("mkntfs", "-q", "-F", str(windows))
    run("ntfscp", str(windows), str(root / "home/ann/big"), "Report.doc")
    return [FileDisk(path) for path in (system, home / "data.img", windows)]


def run(*command, stdin=None):
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)


def ext4(*command):
    run("mke2fs", "-q", "-t", "ext4", *map(str, command))


def paths(listing):
    return [entry.path for entry in listing.entries]


def test_what_is_on_the_disks_is_told(disks):
    looked = list_files(disks, "/").looked
    assert [(one.place, one.kind, one.path) for one in looked.systems] == [
        ("1.1", "FAT", "/boot/efi/"),
        ("1.2", "ext", "/"),
        ("2.0", "ext", "/srv/data/"),
        ("3.0", "NTFS", "3.0:/"),
    ]
    assert [(one.place, one.kind, one.size) for one in looked.unread] == [("1.3", "LVM", 8 * MIB)]
    assert (looked.more, looked.interrupted) == (False, [])


def test_the_guests_tree_is_as_the_guest_has_it(disks):
    listing = list_files(disks, "/")
    assert paths(listing) == ["/boot", "/etc", "/home", "/lost+found", "/run", "/srv", "/usr"]
    assert paths(list_files(disks, "/boot/efi")) == ["/boot/efi/LOADER.EFI"]
    assert paths(list_files(disks, "/srv/data")) == ["/srv/data/lost+found", "/srv/data/photo.jpg"]
    assert paths(list_files(disks, "1.2:/srv/data")) == []
    assert paths(list_files(disks, "3.0:/")) == ["3.0:/Report.doc"]
    (link,) = [entry for entry in list_files(disks, "/etc").entries if entry.kind == "link"]
    assert (link.path, link.target) == ("/etc/os-release", "../usr/lib/os-release")
    (file,) = list_files(disks, "/home/ann/big").entries
    assert (file.kind, file.size, abs(file.modified - os.stat("/proc/self").st_mtime) < 3600) == (
        "file",
        len(BIG),
        True,
    )


def test_names_are_found_whatever_their_case_in_all_file_systems(disks):
    assert paths(find_files(disks, "notes.*")) == ["/home/ann/Notes.TXT"]
    assert set(paths(find_files(disks, "*o*"))) >= {"/srv/data/photo.jpg", "3.0:/Report.doc", "/boot/efi/LOADER.EFI"}
    assert paths(find_files(disks, "/home/*/big")) == ["/home/ann/big"]
    assert paths(find_files(disks, "*.jpg", "/home")) == []
    assert paths(find_files(disks, "photo.jpg", "/srv")) == ["/srv/data/photo.jpg"]
    assert paths(find_files(disks, "nothing")) == []


@pytest.mark.parametrize("path", ["/home/ann/big", "3.0:/Report.doc", "3.0:/rePORT.doc", "1.2:/home/../home/ann/big"])
def test_a_file_is_fetched_whole(disks, path):
    with fetched(disks, path) as file:
        assert (file.kind, file.size) == ("file", len(BIG))
        assert b"".join(file.pieces) == BIG


def test_a_link_is_followed_to_what_it_means(disks):
    with fetched(disks, "/etc/os-release") as file:
        assert (file.name, b"".join(file.pieces)) == ("os-release", b"ID=debian\n")
    with pytest.raises(NotFound, match="too many links"):
        list_files(disks, "/home/ann/around")


def test_a_directory_comes_as_a_tar_of_all_that_is_in_it(disks):
    with fetched(disks, "/") as directory:
        assert (directory.kind, directory.size, directory.name) == ("directory", None, "files")
        packed = b"".join(directory.pieces)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = archive.getnames()
        assert {"etc/fstab", "srv/data/photo.jpg", "boot/efi/LOADER.EFI", "home/ann/big"} <= set(names)
        assert not [name for name in names if name.startswith("/")]
        assert archive.extractfile("home/ann/big").read() == BIG
        assert archive.getmember("etc/os-release").linkname == "../usr/lib/os-release"


def test_hostile_names_are_shown_harmless_and_can_be_given_back(disks):
    (found,) = [path for path in paths(list_files(disks, "/home/ann")) if "red" in path]
    assert found == r"/home/ann/\x1b[31mred\x0aline\\\xff"
    with fetched(disks, found) as file:
        assert b"".join(file.pieces) == b""


@pytest.mark.parametrize("name", [b"plain", "Größe".encode(), b"\\x41", b"a\\", b"\xff\xfe", b"\x00\x1b\n"])
def test_names_come_back_as_they_were(name):
    assert shown_name(name).isprintable()
    assert meant_name(shown_name(name)) == name


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("/etc/nothing", NotFound, "There is no /etc/nothing in it."),
        ("/etc/fstab/x", NotFound, "There is no /etc/fstab/x in it."),
        ("7.1:/x", NotFound, "no file system 7.1"),
        ("1.3:/x", NotFound, "no file system 1.3"),
        ("/run/queue", InvalidInput, "neither a file nor a directory"),
    ],
)
def test_what_isnt_there_is_said(disks, path, error, says):
    with pytest.raises(error, match=says), fetched(disks, path):
        pass


def test_a_disk_without_files_is_said_to_have_none(disks, tmp_path):
    (tmp_path / "noise").write_bytes(os.urandom(MIB))
    listing = list_files([FileDisk(tmp_path / "noise")], "/")
    assert (listing.entries, listing.looked.systems) == ([], [])
    assert [(one.place, one.kind) for one in listing.looked.unread] == [("1.0", "")]


def test_a_file_system_that_was_in_use_is_told(tmp_path):
    (tmp_path / "data").mkdir()
    ext4("-d", tmp_path / "data", tmp_path / "data.img", "8M")
    run("debugfs", "-w", "-R", "feature needs_recovery", str(tmp_path / "data.img"))
    assert list_files([FileDisk(tmp_path / "data.img")], "/").looked.interrupted == ["1.0"]


def test_a_disk_that_fails_is_an_error_and_no_short_file(disks, monkeypatch):
    system = disks[0]
    parts = FileDisk.parts
    with fetched([system], "/home/ann/big") as file:
        next(file.pieces)
        monkeypatch.setattr(FileDisk, "parts", lambda self, offset, length: refuse())
        with pytest.raises(NotFound, match="It is gone"):
            list(file.pieces)
    monkeypatch.setattr(FileDisk, "parts", parts)


def refuse():
    raise NotFound("It is gone.")


def test_what_is_broken_off_leaves_nothing_behind(disks):
    with fetched(disks, "/home/ann/big") as file:
        next(file.pieces)
    assert (
        b"files_confined"
        not in subprocess.run(["ps", "-o", "args", "--ppid", str(os.getpid())], capture_output=True, check=True).stdout
    )


class Broken(FileDisk):
    """Bytes that can't be read, as where a vault is damaged."""

    bad = range(0)

    def parts(self, offset, length):
        if any(place in self.bad for place in (offset, offset + length - 1)):
            raise Damaged("It can't be unpacked: some of its bytes have changed.")
        return super().parts(offset, length)


def test_a_file_that_is_damaged_is_said_in_a_sentence(tmp_path, capfd):
    """Its user has no use for where in our code that was noticed."""
    (tmp_path / "top").mkdir()
    (tmp_path / "top/big").write_bytes(BIG)
    ext4("-d", tmp_path / "top", tmp_path / "image", "24M")
    disk = Broken(tmp_path / "image")
    at = (tmp_path / "image").read_bytes().index(BIG[:4096])
    disk.bad = range((at + (1 << 20)) >> 17 << 17, ((at + (1 << 20)) >> 17) + 1 << 17)
    assert paths(find_files([disk], "big")) == ["/big"]
    with pytest.raises(Damaged, match="some of its bytes have changed"), fetched([disk], "/big") as file:
        for _ in file.pieces:
            pass
    assert "Traceback" not in capfd.readouterr().err


def test_of_a_walk_several_directories_are_asked_for_at_once(tmp_path):
    for number in range(40):
        directory = tmp_path / f"tree/{number}"
        directory.mkdir(parents=True)
        (directory / "between").write_bytes(BIG[:300_000])
        (directory / f"name-{number}").touch()
    ext4("-d", tmp_path / "tree", tmp_path / "image", "32M")
    disk = LateDisk(tmp_path / "image")
    assert sorted(paths(find_files([disk], "name-*"))) == sorted(f"/{number}/name-{number}" for number in range(40))
    assert disk.most >= SEVERAL
