"""The files of a directory, as resources that know where they stand; and resources as files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.strict_yaml import Entries, Items
from longshore.tenancy import yamlfile
from longshore.tenancy.faults import NOWHERE, FileFault, FilePlace
from longshore.tenancy.kind import AUTH, ResourceKind, Scope
from longshore.tenancy.kinds import BY_TYPE

FORMAT = "1.0.5"  # the version of OS-Migrate that reads what is written here; it insists on its own number


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource of a file."""

    kind: ResourceKind
    params: Mapping[str, Any]
    info: Mapping[str, Any] = field(default_factory=dict)
    place: FilePlace = NOWHERE
    how: Mapping[str, Any] = field(default_factory=dict)  # `_migration_params`

    @property
    def name(self) -> str:
        """Return what to call it in a sentence: with the user whose it is, where names are unique for each user
        only."""
        name = self.params.get("name")
        if not isinstance(name, str) or not name:
            return self._told()
        user = self.params.get("user_ref") if self.kind.scope is Scope.USER else None
        user_name = user.get("name") if isinstance(user, Mapping) else None
        return name if user_name in (None, AUTH) else f"{name} of {user_name}"

    def _told(self) -> str:
        """A resource without a name of its own is told by what it is about."""
        words = []
        for name in self.kind.telling:
            value = self.params.get(name)
            if value not in (None, "", [], {}) and not isinstance(value, bool) and name != "description":
                words += _texts(value)
        return " ".join(dict.fromkeys(words)) or "without a name"

    def line(self, name: str) -> FilePlace:
        """Return where a field of it stands."""
        if isinstance(self.params, Entries):
            return FilePlace(self.place.file, self.params.lines.get(name, self.params.line))
        return self.place


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        if "name" in value:
            return [str(value["name"])]
        return [text for key in sorted(value, key=str) for text in _texts(value[key])]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]


def read_directory(directory: Path) -> tuple[list[Resource], list[FileFault]]:
    """Read all resources of all files, and what can't be understood as one. Raises InvalidInput without any file."""
    if not directory.is_dir():
        raise InvalidInput(f"There is no directory {directory}.", advice="`longshore tenant export` makes one.")
    files = sorted(directory.glob("*.yml")) + sorted(directory.glob("longshore/*.yml"))
    if not files:
        raise InvalidInput(f"There are no *.yml files in {directory}.", advice="`longshore tenant export` writes them.")
    return read_files({str(path.relative_to(directory)): path for path in files})


def read_files(files: Mapping[str, Path]) -> tuple[list[Resource], list[FileFault]]:
    """Read files by what they are called in faults, as `read_directory` does."""
    resources: list[Resource] = []
    faults: list[FileFault] = []
    for name, path in files.items():
        try:
            document = yamlfile.read(path, name)
        except yamlfile.BadYaml as error:
            faults.append(error.fault)
        else:
            _read_document(document, name, resources, faults)
    return resources, faults


def _read_document(document: Any, name: str, resources: list[Resource], faults: list[FileFault]) -> None:
    if not isinstance(document, Entries):
        faults.append(FileFault(FilePlace(name, 1), "This must be a mapping with os_migrate_version and resources."))
        return
    version = document.get("os_migrate_version")
    if not re.match(r"1(\.|$)", str(version)):
        line = document.lines.get("os_migrate_version", 1)
        said = "os_migrate_version is missing" if version is None else f"os_migrate_version is {version}"
        faults.append(FileFault(FilePlace(name, line), f'{said}; files of version 1 are read, for example "{FORMAT}".'))
        return
    listed = document.get("resources")
    if not isinstance(listed, Items):
        faults.append(FileFault(FilePlace(name, document.lines.get("resources", 1)), "resources must be a list."))
        return
    for item, line in zip(listed, listed.lines, strict=True):
        found = _read_resource(item, FilePlace(name, line))
        if isinstance(found, FileFault):
            faults.append(found)
        else:
            resources.append(found)


def _read_resource(item: Any, place: FilePlace) -> Resource | FileFault:
    if not isinstance(item, Entries):
        return FileFault(place, "A resource must be a mapping with type and params.")
    type_ = item.get("type")
    if not isinstance(type_, str):
        return FileFault(place, "This resource has no type.")
    if type_ not in BY_TYPE:
        return FileFault(FilePlace(place.file, item.lines["type"]), f"There is no type {type_}.")
    params = item.get("params")
    if not isinstance(params, Entries):
        return FileFault(FilePlace(place.file, item.lines.get("params", place.line)), "params must be a mapping.")
    info, how = item.get("_info"), item.get("_migration_params")
    kind = BY_TYPE[type_]
    how = how if isinstance(how, Entries) else Entries(place.line)
    joined = _join(params, how, kind, place)
    if isinstance(joined, FileFault):
        return joined
    return Resource(kind, joined, info if isinstance(info, Entries) else {}, place, how)


def _join(params: Entries, how: Entries, kind: ResourceKind, place: FilePlace) -> Entries | FileFault:
    """Join `params` with what OS-Migrate doesn't know, which is in `_migration_params`: see `_split`."""
    joined = _copy(params)
    for name, value in how.items():
        f = kind.by_name.get(name)
        if f is None or not (f.extra or f.extra_parts):
            continue  # OS-Migrate's own, if any: not used for these kinds
        there = params.get(name)
        if f.extra_parts:
            if isinstance(there, Entries) and isinstance(value, Entries):
                joined[name] = _copy(there, value)
        elif there is not None:
            return FileFault(
                FilePlace(place.file, how.lines[name]), f"{name} is here a second time: params has it, too."
            )
        else:
            joined[name], joined.lines[name] = value, how.lines[name]
    return joined


def _copy(*parts: Entries) -> Entries:
    """Return what several mappings say, as one of their own. With aliases in a file, one mapping can belong to several
    resources."""
    copy = Entries(parts[0].line)
    for part in parts:
        copy.update(part)
        copy.lines |= part.lines
    return copy


def write_file(path: Path, resources: Iterable[Resource], *, own: bool) -> None:
    """Write a file as OS-Migrate does: keys sorted, block style. It doesn't read files that are our `own`."""
    listed = []
    for r in resources:
        params, how = (dict(r.params), {}) if own else _split(r)
        listed.append({"_info": dict(r.info), "_migration_params": how, "params": params, "type": r.kind.type_name})
    yamlfile.write(path, {"os_migrate_version": FORMAT, "resources": listed})


def _split(resource: Resource) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split what OS-Migrate knows from what it doesn't. It compares all of `params` with the cloud, and would find them
    different for ever; `_migration_params` it doesn't compare."""
    params, how = dict(resource.params), {}
    for f in resource.kind.fields:
        value = params.get(f.name)
        if f.extra and f.name in params:
            how[f.name] = params.pop(f.name)
        elif isinstance(value, Mapping) and (parts := {p: value[p] for p in f.extra_parts if p in value}):
            params[f.name] = {key: each for key, each in value.items() if key not in parts}
            how[f.name] = parts
    return params, how
