"""Appliances and images as other people's programs make them: README.md says how to add one."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tomllib
import zlib
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import MIB, disk_bytes, make_image, read_all
from virtual_disks import cowd, se_sparse, uefi_disk, vhd_footer

from longshore.errors import LongshoreError
from longshore.model.target import Owner
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource

FOLDER = Path(__file__).parent / "files"
_FORMATS = {"ustar": tarfile.USTAR_FORMAT, "pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


def _qemu(kind):
    name, *options = kind.split()
    return lambda path, data: make_image(path, name, *options, data=data)


def _fixed_vhd(creator):
    return lambda path, data: path.write_bytes(data + vhd_footer(len(data), creator.encode()))


def _delta(path, _data, parent):
    """Upon a parent that lies beside it: with another content from the second MiB on."""
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vmdk", "-b", parent, "-F", "vmdk", path.name], cwd=path.parent, check=True
    )
    write = ["qemu-io", "-f", "vmdk", "-c", "write -P 78 1M 64k", path.name]
    subprocess.run(write, cwd=path.parent, check=True, capture_output=True)


_MAKERS = {
    "gz": lambda path, data: path.write_bytes(gzip.compress(data, 1)),
    "raw": lambda path, data: path.write_bytes(data),
    "nothing": lambda path, _data: path.write_bytes(b""),
    "cowd": lambda path, data: path.write_bytes(cowd(_what_is_new(data))),
    "sesparse": lambda path, data: path.write_bytes(se_sparse(_what_is_new(data))),
}


def _make(directory, name, kind, data):
    kind, _, then = kind.partition(" / ")
    how, _, rest = kind.partition(":")
    if how == "qemu":
        _qemu(rest)(directory / name, data)
    elif how == "vhd":
        _fixed_vhd(rest)(directory / name, data)
    elif how == "vmdk-upon":
        _delta(directory / name, data, rest)
    elif how == "cut":  # some bytes from its end
        (directory / name).write_bytes((directory / name).read_bytes()[: -int(rest)])
    else:
        _MAKERS[how](directory / name, data)
    if then:
        _make(directory, name, then, data)


def _content(kind):
    """`newer` is `base` with something written to it."""
    if kind == "uefi":
        return uefi_disk(4 * MIB)
    data = disk_bytes(zlib.crc32(b"base" if kind == "newer" else kind.encode()), 4 * MIB)
    return data[:MIB] + b"N" * 65536 + data[MIB + 65536 :] if kind == "newer" else data


def _what_is_new(data):
    base = _content("base")
    parts = ((data[at : at + 4096], base[at : at + 4096]) for at in range(0, len(data), 4096))
    return b"".join(bytes(4096) if new == old else new for new, old in parts)


def _pack(path, directory, form, manifest):
    files = {
        one.relative_to(directory).as_posix(): one.read_bytes() for one in sorted(directory.rglob("*")) if one.is_file()
    }
    if manifest:
        algorithm = "sha512" if "512" in manifest else "sha1" if manifest.endswith("1") else "sha256"
        lines = (f"{manifest}({name})= {hashlib.new(algorithm, data).hexdigest()}\n" for name, data in files.items())
        files[f"{path.stem}.mf"] = "".join(lines).encode()
    with tarfile.open(path, "w", format=_FORMATS[form]) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _disks(source, ref, count):
    snapshot = source.snapshot(ref, "s", Owner("m-1", "s"), quiesce=False)
    assert len(snapshot.disks) == count
    for disk in snapshot.disks:
        with source.open_disk(snapshot, disk.key) as export:
            yield read_all(export.uri)


@pytest.mark.parametrize("case", sorted(path.name for path in FOLDER.iterdir()))
def test_what_a_stranger_made_is_read_as_it_is(tmp_path, case):
    folder = FOLDER / case
    source_line = (folder / "source").read_text()
    assert len(source_line.splitlines()) == 1
    wanted = tomllib.loads((folder / "expected.toml").read_text())
    directory = tmp_path / "files"
    directory.mkdir()
    given = directory / "packed" if "pack" in wanted else directory
    given.mkdir(exist_ok=True)
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in ("source", "expected.toml"):
            target = given / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    contents = {}
    for name, kind in wanted.get("make", {}).items():
        told = wanted.get("data", {}).get(name, name)
        contents[name] = _content(told)
        (given / name).parent.mkdir(exist_ok=True)
        _make(given, name, kind, contents[name])
    if "pack" in wanted:
        _pack(directory / wanted["pack"], given, wanted.get("tar", "ustar"), wanted.get("manifest"))
        for file in sorted(given.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        given.rmdir()
    source = FilesSource(FilesSettings(f"file://{directory}"))
    found = {machine.ref: machine for machine in source.machines()}
    refused = wanted.get("refused", {})
    assert set(found) == set(wanted["machines"]) | set(refused)
    for ref, words in refused.items():
        assert found[ref].unreadable
        assert words in found[ref].unreadable_because
    for ref, said in wanted["machines"].items():
        machine = found[ref]
        assert not machine.unreadable, machine.unreadable_because
        doubts = {doubt.kind.value for doubt in machine.file_doubts}
        accept = said.get("doubts", ())
        doubts |= {doubt.kind.value for doubt in source.check_machine(ref, lambda _done, _total: None, accept)}
        assert doubts == set(said.get("doubts", ()))
        for key in ("name", "cpus", "memory_mib", "firmware"):
            assert key not in said or str(getattr(machine, key)) == str(said[key])
        hardware = {
            "controllers": [d.controller for d in machine.disks],
            "macs": [n.mac for n in machine.nics],
            "slots": [str(n.pci_slot) for n in machine.nics],
            "tpm": str(machine.devices.vtpm),
        }
        assert all(said.get(key, found) == found for key, found in hardware.items())
        stopping = [doubt for doubt in machine.file_doubts if doubt.kind.stops]
        if stopping:
            with pytest.raises(LongshoreError, match="--accept"):
                source.check_machine(ref, lambda _done, _total: None)
        if "disks" not in said:  # it can't be had whole
            continue
        for image, data in zip(said["disks"], _disks(source, ref, len(said["disks"])), strict=True):
            whole = bytes(image) if isinstance(image, int) else contents[image]
            there = min(len(data), len(whole))
            assert data[:there] == whole[:there], f"{image} of {ref} is another"
            assert stopping or len(data) == len(whole)
            assert not any(data[there:])
