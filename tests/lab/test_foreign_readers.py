"""What Longshore has written to a file server, as others' tools read it there: over NFS, without a mount, by QEMU's own
NFS client and libnfs's commands."""

import json
import random
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from conftest import PROJECT, Cli, end_engine, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]

NFS = PROJECT / "lab" / "nfs"
HOST = "127.0.0.5"
URL = f"nfs://{HOST}/vaults"
SIZE = 64 << 20  # bytes
PHRASE = "words of a vault on a file server"


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=300, check=False, **more)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def change(disk, seed):
    """As a guest does that goes on writing: here and there, at no block's border."""
    chance = random.Random(seed)
    with disk.open("r+b") as file:
        for _ in range(20):
            file.seek(chance.randrange(SIZE - 300_000))
            file.write(chance.randbytes(chance.randrange(1, 300_000)))


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    """What the server exports; `disks` beside it are the machine's as they were at each of two points."""
    root = tmp_path_factory.mktemp("file-server")
    share, source = root / "share", root / "source"
    for each in (share, source, root / "disks"):
        each.mkdir()
    cli = Cli(root / "state")
    disk = source / "shop.raw"
    with disk.open("wb") as file:
        file.truncate(SIZE)
    (root / "phrase").write_text(PHRASE + "\n")

    def does(*words):
        done = cli(*map(str, words))
        assert done.returncode == 0, done.stderr
        return done.stdout

    does("provider", "add", "files", "files", "--url", f"file://{source}")
    does("vault", "create", "offsite", share / "vault", "--pass-phrase-file", root / "phrase")
    for n in range(2):
        change(disk, n)
        shutil.copyfile(disk, root / "disks" / f"{n}.raw")
        does("backup", "create", "shop", "--source", "files", "--vault", "offsite", "--wait", "--plain")
    points = [one["Point"] for one in json.loads(does("backup", "list", "--vault", "offsite", "-f", "json"))]
    does("backup", "export", points[0], share / "flat", "--vault", "offsite")
    does("backup", "export", points[1], share / "chain", "--chain", "--vault", "offsite")
    end_engine(cli)
    subprocess.run([NFS / "up", share], check=True, stdin=subprocess.DEVNULL)
    try:
        yield share, root / "disks", points
    finally:
        subprocess.run([NFS / "down"], check=True)


def is_clean(image):
    checked = json.loads(run("qemu-img", "check", "--output=json", image))
    assert not {"corruptions", "leaks", "check-errors"} & {name for name, found in checked.items() if found}


def differ(image, disk):
    compared = subprocess.run(["qemu-img", "compare", "-F", "raw", image, disk], capture_output=True, check=False)
    assert compared.returncode in (0, 1), compared.stderr
    return bool(compared.returncode)


def file_at(path):
    """A file of the export, for QEMU's NFS client."""
    return {"driver": "nfs", "server": {"type": "inet", "host": HOST}, "path": path}


def alone(path):
    """An image, and nothing below it."""
    return f"json:{json.dumps({'driver': 'qcow2', 'file': file_at(path), 'backing': None})}"


@contextmanager
def layered(paths, socket):
    """The last one, above those before it, as QEMU reads them over NFS; it hands that out."""
    command, below = ["qemu-storage-daemon", "--nbd-server", f"addr.type=unix,addr.path={socket}"], None
    for n, path in enumerate(paths):
        layer = {
            "driver": "qcow2",
            "node-name": f"layer{n}",
            "file": file_at(path),
            "backing": below,
            "read-only": True,
        }
        command += ["--blockdev", json.dumps(layer)]
        below = f"layer{n}"
    daemon = subprocess.Popen([*command, "--export", f"type=nbd,id=disk,node-name={below},name=disk"])
    try:
        wait_for(socket.exists, 30, "QEMU to hand the disk out")
        yield f"nbd+unix:///disk?socket={socket}"
    finally:
        daemon.terminate()
        daemon.wait(30)


def test_qemu_reads_an_exported_point_over_nfs(share):
    _, disks, _ = share
    described = json.loads(run("nfs-cat", f"{URL}/flat/machine.json"))
    (told,) = described["disks"]
    image = f"{URL}/flat/{told['file']}"
    is_clean(image)
    assert not differ(image, disks / "0.raw")
    assert differ(image, disks / "1.raw")
    with (disks / "0.raw").open("rb") as file:
        file.seek(7 << 20)
        word = file.read(1)[0]
    run("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {word} 7M 1", image)


def test_qemu_reads_an_exported_chain_over_nfs(share, tmp_path):
    """QEMU mounts the directory that a file's name leads to, and the server refuses one that climbs, as the relative
    name of the layer below does. So the layers are named to it there; where they lie as files, names are enough."""
    _, disks, points = share
    folders = [point.rpartition("/")[2] for point in points]
    images = [f"/vaults/chain/{folder}/disk-1.qcow2" for folder in folders]
    for image in images:
        is_clean(alone(image))
    assert not differ(alone(images[0]), disks / "0.raw")
    assert differ(alone(images[1]), disks / "1.raw")  # it has only what is new
    with layered(images, tmp_path / "socket") as disk:
        assert not differ(disk, disks / "1.raw")

    for image in images:
        copy = tmp_path / image.removeprefix("/vaults/")
        copy.parent.mkdir(parents=True)
        run("nfs-cp", f"nfs://{HOST}{image}", copy)
    last = tmp_path / images[1].removeprefix("/vaults/")
    named = json.loads(run("qemu-img", "info", "--output=json", last))["backing-filename"]
    assert named == f"../{folders[0]}/disk-1.qcow2"
    is_clean(last)
    assert not differ(last, disks / "1.raw")


def test_a_vault_fetched_over_nfs_is_read_by_its_own_script(share, tmp_path):
    exported, disks, points = share
    files = {path.relative_to(exported).as_posix() for path in (exported / "vault").rglob("*") if path.is_file()}
    listed = run("nfs-ls", "-R", f"{URL}/vault").decode()
    assert {f"vault/{name.lstrip('/')}" for name in re.findall(r"^-\S+\s+.*?\s(\S+)$", listed, re.M)} == files
    for name in files:
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        run("nfs-cp", f"{URL}/{name}", copy)
        assert copy.read_bytes() == (exported / name).read_bytes()
    (tmp_path / "phrase").write_text(PHRASE)
    script = [sys.executable, "-I", tmp_path / "vault" / "restore.py"]
    given = ("--pass-phrase-file", tmp_path / "phrase")
    for n, point in enumerate(points):
        (disk,) = json.loads(run(*script, point, *given))["disks"]
        run(*script, point, disk["key"], tmp_path / f"{n}.raw", *given)
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", tmp_path / f"{n}.raw", disks / f"{n}.raw")
