"""Others' backups come into a vault as points of their own moments, once, and are read from there as they were."""

import json
import sys
from pathlib import Path

import pytest

from in_process import longshore

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import qemu_img
from trilio_share import VM, make_share

from longshore.vault.geometry import BLOCK

pytestmark = pytest.mark.long

PHRASE = "as long as a sentence"


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """(an installation, what was in the disks by snapshot, what the import said)"""
    place = tmp_path_factory.mktemp("installation")
    held = make_share(place / "share")
    (place / "phrase").write_text(PHRASE)
    state = place / "state"
    words = ("vault", "create", "offsite", place / "vault", "--pass-phrase-file", place / "phrase")
    assert longshore(state, *words).returncode == 0
    assert longshore(state, "provider", "add", "files", "trilio", "--url", f"file://{place}/share").returncode == 0
    done = longshore(state, "backup", "import", "trilio", "--vault", "offsite", "-f", "json")
    assert done.returncode == 0, done.stderr
    return state, held, json.loads(done.stdout)


def exported(state, point, directory):
    """What is in the point's disks."""
    done = longshore(state, "backup", "export", point, str(directory), "--vault", "offsite", "-f", "json")
    assert done.returncode == 0, done.stderr
    contents = []
    for disk in json.loads((directory / "machine.json").read_text())["disks"]:
        qemu_img("convert", "-f", "qcow2", "-O", "raw", directory / disk["file"], directory / "raw")
        contents.append((directory / "raw").read_bytes())
    return contents


def test_each_snapshot_is_a_point_of_its_moment_with_what_was_in_it(imported, tmp_path):
    state, held, told = imported
    assert [row["Result"] for row in told] == ["imported"] * 3
    points = json.loads(longshore(state, "backup", "list", "--vault", "offsite", "-f", "json").stdout)
    assert [(row["Machine"], row["Moment"][:16], row["Consistency"]) for row in points] == [
        ("web", f"2026-05-0{day}T02:00", "crash") for day in (1, 2, 3)
    ]
    assert [row["Point"] for row in points] == [row["Point"] for row in told]
    for row, contents in zip(points, held, strict=True):
        assert exported(state, row["Point"], tmp_path / row["Moment"][:10]) == [contents["vda"], contents["vdb"]]


def test_an_increment_stores_what_it_holds(imported):
    """A block of each disk that it changed, and the map above them: less than half of what the first one took."""
    state, held, _ = imported
    stored = sum(path.stat().st_size for path in (state.parent / "vault/packs").rglob("*.pack"))
    data = sum(len(content) - content.count(0) for content in held[0].values())
    assert stored < data + 2 * 2 * 1.2 * BLOCK, (stored, data)


def test_again_nothing_is_brought_in_twice(imported):
    state, _, _ = imported
    done = longshore(state, "backup", "import", "trilio", "--vault", "offsite", "-f", "json")
    assert [row["Result"] for row in json.loads(done.stdout)] == ["there-already"] * 3, done.stderr
    assert len(json.loads(longshore(state, "backup", "list", "--vault", "offsite", "-f", "json").stdout)) == 3


def test_nor_by_a_backup_of_the_same_machine(imported):
    state, _, _ = imported
    done = longshore(state, "backup", "create", "web", "--source", "trilio", "--vault", "offsite", "--wait")
    assert (done.returncode, "The vault has web as of 2026-05-03 02:00:00+00:00 already" in done.stderr) == (1, True)
    assert len(json.loads(longshore(state, "backup", "list", "--vault", "offsite", "-f", "json").stdout)) == 3


def test_the_machine_is_what_it_was(imported):
    state, _, _ = imported
    shown = json.loads(longshore(state, "machine", "show", "offsite", "web", "-f", "json").stdout)
    assert (shown["instance_uuid"], shown["cpus"], shown["memory_mib"], shown["platform"]) == (VM, 1, 256, "openstack")
    people = longshore(state, "machine", "show", "trilio", "web").stdout
    assert "2026-05-03T02:00:00Z (crash)" in people


def test_an_exported_chain_comes_back_as_it_went(imported, tmp_path):
    state, held, told = imported
    done = longshore(state, "backup", "export", "web", str(tmp_path / "out"), "--vault", "offsite", "--chain")
    assert done.returncode == 0, done.stderr
    (tmp_path / "out").rename(tmp_path / "moved")
    assert longshore(state, "provider", "add", "files", "moved", "--url", f"file://{tmp_path}/moved").returncode == 0
    assert longshore(state, "vault", "create", "other", tmp_path / "vault").returncode == 0
    done = longshore(state, "backup", "import", "moved", "--vault", "other", "-f", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["Moment"], row["Result"]) for row in rows] == [(row["Moment"], "imported") for row in told]
    out = tmp_path / "again"
    done = longshore(state, "backup", "export", rows[-1]["Point"], str(out), "--vault", "other")
    assert done.returncode == 0, done.stderr
    qemu_img("convert", "-f", "qcow2", "-O", "raw", out / "disk-1.qcow2", out / "raw")
    assert (out / "raw").read_bytes() == held[-1]["vda"]


def test_a_chain_of_a_machine_without_an_id_is_one_machine_again_and_again(tmp_path):
    """A loose image has none: what the export says of its points tells that they are of one machine."""
    state, images = tmp_path / "state", tmp_path / "images"
    images.mkdir()
    assert longshore(state, "provider", "add", "files", "files", "--url", f"file://{images}").returncode == 0
    for name in ("first", "second"):
        assert longshore(state, "vault", "create", name, tmp_path / name).returncode == 0
    for content in (b"one", b"two"):
        (images / "web.img").write_bytes(content.ljust(3 * BLOCK, content[:1]))
        done = longshore(state, "backup", "create", "web", "--source", "files", "--vault", "first", "--wait")
        assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    done = longshore(state, "backup", "export", "web", str(out), "--vault", "first", "--chain")
    assert done.returncode == 0, done.stderr
    assert longshore(state, "provider", "add", "files", "moved", "--url", f"file://{out}").returncode == 0
    for expected in ("imported", "there-already"):
        done = longshore(state, "backup", "import", "moved", "--vault", "second", "-f", "json")
        assert [row["Result"] for row in json.loads(done.stdout)] == [expected] * 2, done.stderr
    points = json.loads(longshore(state, "backup", "list", "--vault", "second", "-f", "json").stdout)
    assert len({row["Point"].partition("/")[0] for row in points}) == 1
    shown = longshore(state, "backup", "show", "web", "--vault", "second", "-f", "json")
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trilio", "--vault", "nowhere"), "There is no vault named nowhere."),
        (("nothing", "--vault", "offsite"), "nothing"),
        (("trilio", "--vault", "offsite", "--machine", "db-*"), "There is no backup in trilio that is called so."),
    ],
)
def test_what_is_not_there_is_said(imported, words, said):
    state, _, _ = imported
    done = longshore(state, "backup", "import", *words)
    assert done.returncode != 0
    assert said in done.stderr
