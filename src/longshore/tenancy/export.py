"""Export from a cloud to files."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longshore.errors import (
    AccessDenied,
    Conflict,
    LoginRefused,
    LongshoreError,
    NotFound,
    ProviderError,
    VerificationError,
)
from longshore.providers.openstack.faults import explained
from longshore.tenancy.blobs import BLOBS
from longshore.tenancy.cloud import Cloud, Progress
from longshore.tenancy.documents import Resource, write_file
from longshore.tenancy.faults import FilePlace
from longshore.tenancy.kind import OWN, ResourceKind, Whose, whose
from longshore.tenancy.selection import Selection
from longshore.tenancy.services.image import Images
from longshore.tenancy.validate import faults_among, references

_Found = list[tuple[Resource, Any]]  # each with what the cloud has
# What goes wrong with one resource, and needn't with the next
_OF_ONE = (AccessDenied, Conflict, NotFound, ProviderError, VerificationError)


@dataclass(frozen=True, slots=True)
class Exported:
    files: dict[str, int]  # resources in each file
    notes: list[str]  # what was left out, and why
    failed: list[tuple[str, str]]  # kind and name of what the cloud couldn't tell, or whose bytes couldn't be had


def export(cloud: Cloud, directory: Path, selection: Selection, *, overwrite: bool, progress: Progress) -> Exported:
    """Export everything of the project (and, for an administrator, of the cloud) that is selected.

    The bytes of images come first and the files at the end, so that an export that was broken off can be run again and
    goes on. What the cloud can't tell, and an image whose bytes can't be had, is left out. Raises Conflict when a file
    is there already and may not be overwritten.
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
    unlisted = cloud.look(selection.kinds, progress)
    kinds = [kind for kind in selection.kinds if kind.name not in unlisted and not cloud.missing(kind)]
    if unlisted and not kinds:
        raise next(iter(unlisted.values()))
    notes = _left_out(cloud, selection, unlisted)
    found: _Found = []
    failed = [(name, "all of them") for name in unlisted]
    for done, kind in enumerate(kinds, 1):
        found += _resources(cloud, kind, notes, failed)
        progress(done, len(kinds), f"reading {kind.plural}")
    chosen = set(map(id, selection.of([resource for resource, _ in found])))
    found = _importable([(resource, raw) for resource, raw in found if id(resource) in chosen], notes)
    notes += _renamed(cloud, found)
    images = [each for each in found if each[0].kind.name == "image"]
    lost = _download(cloud, directory, images, progress)
    failed += [("image", resource.name) for resource, _ in images if id(resource.place) in lost]
    found = _without(found, lost, notes)
    by_file: dict[str, list[Resource]] = defaultdict(list)
    for resource, _ in found:
        by_file[cloud.operations(resource.kind).file(resource.params)].append(resource)
    files_of_rules = [kind.file for kind in kinds if kind.name == "security group rule"]
    has_groups = any(resource.kind.name == "security group" for resource, _ in found)
    looked_at = {file for kind in kinds for file in cloud.operations(kind).files()}
    for file in there:
        if file in looked_at:
            by_file.setdefault(file, [])
        else:  # an empty one would say that there are none
            notes.append(f"{file} is left as it was, since this export leaves out its kind. Delete it if it is no use.")
    for file in files_of_rules if has_groups else ():  # no rules are something else than none said
        by_file.setdefault(file, [])
    if not by_file and kinds:  # an export of nothing is one, too: to be validated, compared and imported
        by_file[kinds[0].file] = []
    for file, resources in by_file.items():
        with writing(directory / file):
            in_order = sorted(resources, key=lambda r: (r.name, repr(sorted(r.params.items()))))
            write_file(directory / file, in_order, own=file.startswith(OWN))
    return Exported({file: len(resources) for file, resources in by_file.items()}, notes, failed)


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


def _left_out(cloud: Cloud, selection: Selection, unlisted: Mapping[str, LongshoreError]) -> list[str]:
    """Return one sentence for each reason to leave something out, not for each kind."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for kind in selection.kinds:
        if kind.name in unlisted:
            by_reason[f"since they can't be listed: {unlisted[kind.name].message}"].append(kind.plural)
        elif reason := cloud.missing(kind):
            by_reason[f"{reason}."].append(kind.plural)
    return [f"{', '.join(plurals)}: left out, {reason}" for reason, plurals in by_reason.items()]


def _renamed(cloud: Cloud, found: _Found) -> Iterator[str]:
    """Yield one sentence for each name that several have."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for resource, raw in found:
        if resource.kind.named and raw.name and raw.name != resource.params["name"]:
            names[resource.kind.plural, raw.name].append(resource.params["name"])
    for (plural, name), apart in names.items():
        yield f"{plural}: {name} is the name of several there, so they are called {', '.join(apart)} here."


def _importable(found: _Found, notes: list[str]) -> _Found:
    """Return what was found without what `validate` would refuse: a cloud may have things that it wouldn't make
    today."""
    while True:
        wrong: dict[int, str] = {}
        for fault in faults_among([resource for resource, _ in found]):
            if not fault.warning:
                wrong.setdefault(id(fault.place), fault.sentence)
        left = _without(found, wrong, notes)
        if len(left) == len(found):
            return left
        found = left


def _without(found: _Found, why: Mapping[int, str], notes: list[str]) -> _Found:
    """Leave out those for which there is a sentence that says why, by the identity of their place, and what needs
    them."""
    while why:
        gone = set()
        for resource, _ in found:
            if id(resource.place) in why:
                notes.append(f"{resource.kind.plural}: {resource.name} is left out: {why[id(resource.place)]}")
                gone.add(_meant(resource.kind.name, resource.params))
        found = [each for each in found if id(each[0].place) not in why]
        why = {}
        for resource, _ in found:
            for f, kinds, ref in references(resource):
                among = {_meant(name, {**resource.params, **ref}) for name in kinds.split(" or ")}
                if whose(ref) is not Whose.OWN or not gone & among:
                    continue
                said = f"what its {f.name} names is left out, too."
                if f.required or resource.kind.limits(f):
                    why[id(resource.place)] = said
                elif isinstance(resource.params, dict):
                    resource.params[f.name] = None
                    notes.append(f"{resource.kind.plural}: {resource.name} is without its {f.name}: {said}")
    return found


def _meant(kind: str, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a reference goes by: names, and of a subnet its network's, too."""
    network = params.get("network_ref") if kind == "subnet" else None
    return kind, params.get("name"), network and network["name"]


def _resources(cloud: Cloud, kind: ResourceKind, notes: list[str], failed: list[tuple[str, str]]) -> _Found:
    operations = cloud.operations(kind)

    @contextmanager
    def passing_over(raw: Any) -> Iterator[None]:
        """Tell what goes wrong with one of them, and go on with the others."""
        called = cloud.called(kind, raw) or operations.identity(raw)
        try:
            with explained(f"read {kind.name} {called}"):
                yield
        except LoginRefused:
            raise
        except _OF_ONE as error:
            why = "it was deleted during the export." if isinstance(error, NotFound) else error.message
            notes.append(f"{kind.plural}: {called} is left out: {why}")
            cloud.left_out.add((kind.name, operations.identity(raw)))
            if not isinstance(error, NotFound):
                failed.append((kind.name, called))

    mine, found = [], []
    for raw in cloud.all(kind):
        own = operations.own(raw)
        with passing_over(raw):
            why = operations.hidden(raw) if own or kind.name == "floating ip" else None
            if why is not None:
                notes.append(why)
                cloud.left_out.add((kind.name, operations.identity(raw)))
            elif own:
                mine.append(raw)
    for raw in mine:  # when all that is left out is known, as they may name each other
        lost: dict[str, str] = {}
        with passing_over(raw):
            resource = Resource(kind, cloud.params(kind, raw, lost), operations.info(raw), FilePlace(kind.file, 0))
            what = f"{kind.plural}: {resource.name}"
            needed = [name for name in lost if kind.by_name[name].required or kind.limits(kind.by_name[name])]
            if needed:
                notes.append(f"{what} is left out: what its {needed[0]} names {lost[needed[0]]}.")
                cloud.left_out.add((kind.name, operations.identity(raw)))
                continue
            for f in kind.fields:
                foreign = sorted(f.names_of_cloud & set(operations.value(raw, f) or ())) if f.names_of_cloud else []
                if foreign:
                    notes.append(f"{what} is without {', '.join(foreign)}, which only this cloud understands.")
            for name, reason in lost.items():
                lacking = "without some of" if resource.params.get(name) else "without"
                notes.append(f"{what} is {lacking} its {name}: what it names {reason}.")
            found.append((resource, raw))
    lost_of_all: Counter[str] = Counter()
    for resource, raw in found:
        try:
            with explained(f"read what {kind.name} {resource.name} has"):
                lost_of_all.update(operations.not_carried(raw))
        except LoginRefused:
            raise
        except NotFound:  # it was deleted meanwhile, and has nothing any more
            continue
        except _OF_ONE as error:
            notes.append(f"{kind.plural}: {resource.name} may have what isn't carried: {error.message}")
    notes += [f"{kind.plural}: {name} of {count} isn't carried." for name, count in sorted(lost_of_all.items())]
    for name in (f.name for f in kind.fields if f.of_key_manager):
        if count := sum(bool(resource.params.get(name)) for resource, _ in found):
            notes.append(
                f"{kind.plural}: {name} of {count} names this cloud's key manager: put the target's own there."
            )
    return found


def _download(cloud: Cloud, directory: Path, images: _Found, progress: Progress) -> dict[int, str]:
    """Answers why the bytes of some couldn't be had, by the identity of their place."""
    total, done = sum(raw.size or 0 for _, raw in images), 0
    operations = cloud.operations(cloud.kind("image"))
    lost: dict[int, str] = {}
    if not images or not isinstance(operations, Images):
        return lost
    for resource, raw in images:

        def moved(count: int, name: str = resource.name) -> None:
            nonlocal done
            done += count
            progress(min(done, total), total, f"bytes of image {name}")

        cloud.moved = moved
        try:
            with writing(directory / BLOBS):
                operations.download(raw, directory / BLOBS)
        except LoginRefused:
            raise
        except _OF_ONE as error:
            lost[id(resource.place)] = error.message
    return lost
