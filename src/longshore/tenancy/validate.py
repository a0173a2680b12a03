"""Checks of files without any cloud."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from longshore.model.strict_yaml import Entries
from longshore.tenancy.addresses import address_faults
from longshore.tenancy.api_rules import limit_faults
from longshore.tenancy.blobs import blob_faults
from longshore.tenancy.documents import Resource, read_directory
from longshore.tenancy.faults import FileFault, FilePlace
from longshore.tenancy.kind import AUTH, Field, ResourceKind, Scope
from longshore.tenancy.kinds import BY_NAME
from longshore.tenancy.normal import still


def validate(directory: Path) -> tuple[list[Resource], list[FileFault]]:
    """Return all resources of a directory, and all that is wrong with them, in the order of the files.

    Raises InvalidInput when there is nothing to read.
    """
    read, faults = read_directory(directory)
    resources = list(_without_repeats(read))
    return resources, sorted([*faults, *faults_among(resources), *blob_faults(resources, directory)])


def _without_repeats(resources: Iterable[Resource]) -> Iterator[Resource]:
    """OS-Migrate writes an administrator's own key pairs twice: to keypairs.yml and to users_keypairs.yml."""
    seen: dict[tuple[Any, ...], Resource] = {}
    for resource in resources:
        if resource.kind.scope is Scope.USER:
            first = seen.setdefault(still(resource.params), resource)
            if first is not resource:
                continue
        yield resource


def faults_among(resources: Sequence[Resource]) -> list[FileFault]:
    """Return what is wrong with each, and with them together."""
    faults: list[FileFault] = []
    sound: list[Resource] = []
    for resource in resources:
        faults += _unknown_fields(resource)
        wrong = [*_wrong_fields(resource), *_wrong_how(resource), *_choices(resource)]
        faults += wrong
        if not wrong:
            sound.append(resource)
            faults += _not_followed(resource)
            faults += limit_faults(resource)
    # What is compared with others must be sound itself
    faults += _duplicates(sound)
    faults += _dangling(sound, resources)
    faults += address_faults(sound)
    return faults


def _unknown_fields(resource: Resource) -> Iterator[FileFault]:
    kind = resource.kind
    for name in resource.params:
        if name not in kind.by_name:
            said = f"params.{name} isn't a field of a {kind.name}{_meant(name, kind.by_name)}"
            yield FileFault(resource.line(name), said)


def _wrong_fields(resource: Resource) -> Iterator[FileFault]:
    kind, params = resource.kind, resource.params
    for field in kind.fields:
        value = params.get(field.name)
        if field.required and value is None:
            yield FileFault(resource.line(field.name), f"params.{field.name} of this {kind.name} is missing.")
        elif field.required and value == "":
            yield FileFault(resource.line(field.name), f"params.{field.name} of this {kind.name} is empty.")
        elif value is not None and (wrong := field.form(value)):
            yield FileFault(resource.line(field.name), f"params.{field.name} {wrong.rstrip('.?')}{_end(wrong)}")


def _wrong_how(resource: Resource) -> Iterator[FileFault]:
    forms, lines = resource.kind.how or {}, resource.how.lines if isinstance(resource.how, Entries) else {}
    for name, value in resource.how.items():
        form = forms.get(name)
        if form and value is not None and (wrong := form(value)):
            place = FilePlace(resource.place.file, lines.get(name, resource.place.line))
            yield FileFault(place, f"_migration_params has {name}, which {wrong.rstrip('.?')}{_end(wrong)}")


_MISTYPED = 0.85  # so much alike are words that somebody mistyped; less, and it's a word of another version


def _not_followed(resource: Resource) -> Iterator[FileFault]:
    """Yield what OS-Migrate's roles of other versions write, or somebody mistyped: the rest is followed without it."""
    how, lines = resource.kind.how, resource.how.lines if isinstance(resource.how, Entries) else {}
    words: list[tuple[str, Any, Iterable[str] | None]]
    words = [("_migration_params", name, how) for name in (resource.how if how is not None else ())]
    for field in resource.kind.fields if how is not None else ():
        parts = resource.params.get(field.name) or () if field.inner is not None else ()
        words += [(f"params.{field.name}", name, field.inner) for part in parts for name in part.get("params") or ()]
    for where, name, known in words:
        if name not in (known or ()):
            meant = _meant(name, known or (), alike=_MISTYPED)
            place = FilePlace(resource.place.file, lines.get(name, resource.place.line))
            yield FileFault(place, f"{where} has {name}, which isn't followed{meant}", True)


def _meant(name: Any, known: Iterable[str], *, alike: float = 0.6) -> str:
    close = get_close_matches(str(name), known, 1, alike)
    return f"; did you mean {close[0]}?" if close else "."


def _choices(resource: Resource) -> Iterator[FileFault]:
    for names in resource.kind.either:
        if sum(resource.params.get(name) is not None for name in names) != 1:
            yield FileFault(resource.place, f"A {resource.kind.name} has exactly one of {' and '.join(names)}.")


def _end(sentence: str) -> str:
    return "?" if sentence.endswith("?") else "."


def file_key(resource: Resource) -> tuple[Any, ...]:
    """Return what tells a resource from others of its kind, in the words of the files."""
    kind = resource.kind
    fields = {field.attribute: field for field in kind.fields}
    parts = []
    for name in kind.key:
        if name == "subnets":  # of a router interface: whatever its addresses
            ips = resource.params.get("fixed_ips_refs") or ()
            parts.append(tuple(sorted(str(still(ip.get("subnet_ref"))) for ip in ips)))
        else:
            parts.append(still(fields[name].one(resource.params.get(fields[name].name))))
    return kind.name, *parts


def _duplicates(resources: Iterable[Resource]) -> Iterator[FileFault]:
    first: dict[tuple[Any, ...], Resource] = {}
    for resource in (each for each in resources if each.kind.key):
        earlier = first.setdefault(file_key(resource), resource)
        if earlier is not resource:
            what = f"{resource.kind.name} {resource.name}"
            yield FileFault(
                resource.line("name"), f"The {what} is here a second time; the first is in {earlier.place}."
            )


def references(resource: Resource) -> Iterator[tuple[Field, str, Mapping[str, Any]]]:
    """Yield each reference in it, with its field and the kind (or kinds) that it may name."""
    for field in resource.kind.fields:
        if field.refs:
            yield from (
                (field, kind, ref) for kind, ref in _within(field, field.name, resource.params, resource.params)
            )


def _within(field: Field, key: str, holder: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    value = holder.get(key)
    if key in field.refs:
        kind = field.refs[key]
        named = value if isinstance(value, list) else [value]
        yield from ((kind if isinstance(kind, str) else kind(params), ref) for ref in named if ref is not None)
        return
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, Mapping):
            for inner in part:
                yield from _within(field, inner, part, params)


def _dangling(sound: Iterable[Resource], everything: Iterable[Resource]) -> Iterator[FileFault]:
    """Yield references to what the files should have and don't: of one's own project, and of a kind that the files
    have.

    What is there and wrong itself is there all the same: its own fault says what to do.
    """
    names: dict[str, set[str]] = defaultdict(set)
    subnets: set[tuple[str, str]] = set()
    for resource in everything:
        names[resource.kind.name].add(str(resource.params.get("name")))
        network = resource.params.get("network_ref")
        if resource.kind.name == "subnet" and isinstance(network, Mapping):
            subnets.add((str(network.get("name")), str(resource.params.get("name"))))
    present = set(names)
    for resource in sound:
        for field, kinds, ref in references(resource):
            if ref.get("project_name") != AUTH or not _known(kinds, present):
                continue
            kind = BY_NAME[kinds]
            network = resource.params.get("network_ref")
            if kind.name == "subnet" and network and ref["name"] in names["subnet"]:
                if (network["name"], ref["name"]) not in subnets:
                    yield FileFault(
                        resource.line(field.name),
                        f"params.{field.name} of {resource.kind.name} {resource.name} names the subnet {ref['name']}, "
                        f"which isn't one of network {network['name']} in these files.",
                    )
                continue
            if ref["name"] in names[kind.name] or (kind.name == "security group" and ref["name"] == "default"):
                continue
            meant = _meant(ref["name"], names[kind.name])
            yield FileFault(
                resource.line(field.name),
                f"params.{field.name} of {resource.kind.name} {resource.name} names the {kind.name} {ref['name']}, "
                f"which isn't in these files{meant}",
            )


def _known(kinds: str, present: set[str]) -> bool:
    kind: ResourceKind | None = BY_NAME.get(kinds)
    return kind is not None and kind.scope is Scope.PROJECT and kind.name in present
