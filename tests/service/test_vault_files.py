"""Files of a point over REST: listed, found and sent, to whoever may, and nothing of it stays open."""

import io
import os
import subprocess
import tarfile
import threading
import time

import pytest
from asking import asking

from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.disks import PointDisk
from longshore.vault.vault import Vault
from point_in_vault import with_point

BIG = bytes(range(256)) * 12_000  # some 3 MB


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    yield store
    store.close()


@pytest.fixture
def point(tmp_path, monkeypatch):
    """Of a machine whose only disk is a file system as a whole."""
    root, image = tmp_path / "root", tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/hostname").write_text("web01\n")
    (root / "etc/fstab").write_text("")
    (root / "big").write_bytes(BIG)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, "8M"], check=True, capture_output=True)
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    return with_point(vault, tmp_path, content_of_disk=image.read_bytes())


@pytest.fixture
def ask(store, point, monkeypatch):
    with asking(store, monkeypatch) as ask:
        yield lambda what: ask("GET", f"/v1/vaults/offsite/{what.replace('?', f'/{point}?', 1)}")


def test_a_directory_is_listed_with_what_the_answer_is_good_for(ask, point):
    told = ask("files?path=/etc").json()
    assert told["point"] == point
    assert [(file["path"], file["kind"], file["size"]) for file in told["files"]] == [
        ("/etc/fstab", "file", 0),
        ("/etc/hostname", "file", 6),
    ]
    (part,) = told["parts"]
    assert (part["place"], part["kind"], part["path"], part["interrupted"]) == ("1.0", "ext", "/", False)
    assert told["more"] is False


def test_files_are_found_by_their_names_no_more_than_asked_for(ask):
    told = ask("files?find=HOST*").json()
    assert ([file["path"] for file in told["files"]], told["more"]) == (["/etc/hostname"], False)
    told = ask("files?find=*&limit=1").json()
    assert (len(told["files"]), told["more"]) == (1, True)


def test_who_looks_again_has_nothing_read_again(ask, monkeypatch):
    read, checked = [], PointDisk._checked
    monkeypatch.setattr(PointDisk, "_checked", lambda disk, *block: read.append(block[0]) or checked(disk, *block))
    first, there = ask("files?find=*").json(), len(read)
    assert ask("files?find=HOST*").json()["files"] == [f for f in first["files"] if f["path"] == "/etc/hostname"]
    assert len(read) == there > 0


def test_a_file_is_sent_as_it_is_and_a_directory_as_a_tar(ask):
    sent = ask("file?path=/big")
    assert (sent.content, sent.headers["content-length"]) == (BIG, str(len(BIG)))
    assert sent.headers["content-disposition"] == "attachment; filename*=UTF-8''big"
    sent = ask("file?path=/etc")
    assert (sent.headers["content-type"], "content-length" in sent.headers) == ("application/x-tar", False)
    with tarfile.open(fileobj=io.BytesIO(sent.content)) as archive:
        assert archive.extractfile("hostname").read() == b"web01\n"


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("files?path=/nowhere", 404, "There is no /nowhere in it."),
        ("file?path=/nowhere", 404, "There is no /nowhere in it."),
        ("files?path=4.1:/", 404, "There is no file system 4.1"),
        ("file?", 400, "path"),
        ("files?limit=0", 400, "limit"),
    ],
)
def test_what_cant_be_had_is_said(ask, what, status, says):
    answer = ask(what)
    assert answer.status_code == status
    assert says in answer.json()["message"]


def test_what_was_sent_or_refused_leaves_no_thread_and_no_process(ask):
    ask("file?path=/big")
    before = {thread.name for thread in threading.enumerate()}
    ask("file?path=/big")
    ask("file?path=/nowhere")

    def left():
        return [name for name in {thread.name for thread in threading.enumerate()} - before if "files" in name]

    end = time.monotonic() + 30  # a busy machine takes a moment to end one
    while left() and time.monotonic() < end:
        time.sleep(0.05)
    assert not left()
    assert (
        b"files_confined"
        not in subprocess.run(["ps", "-o", "args", "--ppid", str(os.getpid())], capture_output=True, check=True).stdout
    )


def test_a_point_that_is_damaged_sends_no_whole_file(ask, tmp_path):
    for pack in (tmp_path / "vault").glob("packs/*/*.pack"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
        pack.chmod(0o600)
        pack.write_bytes(data)
    answers = [ask("file?path=/big"), ask("files?path=/")]
    assert [answer for answer in answers if answer.status_code >= 400 or len(answer.content) < len(BIG)]
    assert all("web01" not in answer.text or answer.status_code == 200 for answer in answers)
