"""From a cloud to files."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longshore.errors import Conflict, LongshoreError
from longshore.tenancy.blobs import BLOBS
from longshore.tenancy.cloud import Cloud, Progress
from longshore.tenancy.documents import Resource, write_file
from longshore.tenancy.kind import OWN, ResourceKind
from longshore.tenancy.selection import Selection
from longshore.tenancy.services.image import Images


@dataclass(frozen=True, slots=True)
class Exported:
    files: dict[str, int]  # resources in each file
    notes: list[str]  # what was left out, and why


def export(cloud: Cloud, directory: Path, selection: Selection, *, overwrite: bool, progress: Progress) -> Exported:
    """Everything of the project (and, for an administrator, of the cloud) that is selected.

    The bytes of images come first and the files at the end, so that an export that was broken off can be run again and
    goes on. Raises Conflict when a file is there already and may not be overwritten.
    """
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)  # now, and not after all images have come
        may_write = [file for kind in selection.kinds for file in cloud.operations(kind).files()]
        there = [file for file in may_write if (directory / file).exists()]
    if there and not overwrite:
        raise Conflict(
            f"{directory / there[0]} is there already; it may hold what somebody edited.",
            advice="Name another directory, or use --overwrite.",
        )
    notes = _left_out(cloud, selection)
    kinds = [kind for kind in selection.kinds if not cloud.missing(kind)]
    cloud.look(kinds, progress)
    found: list[tuple[Resource, Any]] = []
    for done, kind in enumerate(kinds, 1):
        found += _resources(cloud, kind, notes)
        progress(done, len(kinds), f"reading {kind.plural}")
    chosen = set(map(id, selection.of([resource for resource, _ in found])))
    found = [(resource, raw) for resource, raw in found if id(resource) in chosen]
    _download(cloud, directory, [raw for resource, raw in found if resource.kind.name == "image"], progress)
    by_file: dict[str, list[Resource]] = defaultdict(list)
    for resource, _ in found:
        by_file[cloud.operations(resource.kind).file(resource.params)].append(resource)
    files_of_rules = [kind.file for kind in kinds if kind.name == "security group rule"]
    has_groups = any(resource.kind.name == "security group" for resource, _ in found)
    for file in (*there, *(files_of_rules if has_groups else ())):  # no rules are something else than none said
        by_file.setdefault(file, [])
    for file, resources in by_file.items():
        with writing(directory / file):
            in_order = sorted(resources, key=lambda r: (r.name, repr(sorted(r.params.items()))))
            write_file(directory / file, in_order, own=file.startswith(OWN))
    return Exported({file: len(resources) for file, resources in by_file.items()}, notes)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full or read-only disk is one sentence. Raises LongshoreError."""
    try:
        yield
    except OSError as error:
        raise LongshoreError(
            f"{path} can't be written: {error.strerror or error}.",
            advice="Export again when there is room: what is there whole isn't fetched again.",
            code="not-writable",
        ) from None


def _left_out(cloud: Cloud, selection: Selection) -> list[str]:
    """One sentence for each reason, not for each kind."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for kind in selection.kinds:
        if reason := cloud.missing(kind):
            by_reason[reason].append(kind.plural)
    return [f"{', '.join(plurals)}: left out, {reason}." for reason, plurals in by_reason.items()]


def _resources(cloud: Cloud, kind: ResourceKind, notes: list[str]) -> list[tuple[Resource, Any]]:
    operations = cloud.operations(kind)
    found = []
    for raw in cloud.all(kind):
        mine = operations.own(raw)
        why = operations.hidden(raw) if mine or kind.name == "floating ip" else None
        if why is not None:
            notes.append(why)
            cloud.left_out.add((kind.name, operations.identity(raw)))
        elif mine:
            lost: dict[str, str] = {}
            resource = Resource(kind, cloud.params(kind, raw, lost), operations.info(raw))
            what = f"{kind.plural}: {resource.name}"
            needed = [name for name in lost if kind.by_name[name].required or kind.limits(kind.by_name[name])]
            if needed:
                notes.append(f"{what} is left out: what its {needed[0]} names {lost[needed[0]]}.")
                cloud.left_out.add((kind.name, operations.identity(raw)))
                continue
            for name, reason in lost.items():
                lacking = "without some of" if resource.params.get(name) else "without"
                notes.append(f"{what} is {lacking} its {name}: what it names {reason}.")
            found.append((resource, raw))
    return found


def _download(cloud: Cloud, directory: Path, images: list[Any], progress: Progress) -> None:
    total, done = sum(raw.size or 0 for raw in images), 0
    operations = cloud.operations(cloud.kind("image"))
    if not images or not isinstance(operations, Images):
        return
    for raw in images:

        def moved(count: int, name: str = raw.name) -> None:
            nonlocal done
            done += count
            progress(min(done, total), total, f"bytes of image {name}")

        cloud.moved = moved
        with writing(directory / BLOBS):
            operations.download(raw, directory / BLOBS)
