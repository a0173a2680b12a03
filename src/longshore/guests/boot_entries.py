"""The entry of its boot menu that a Linux guest starts unless somebody chooses otherwise.

The menu is GRUB 2's, in /boot or in the EFI system partition, with entries of the Boot Loader Specification where it
asks for them (`blscfg`); or that of the GRUB before it; or systemd-boot's, which has only those. A default that a menu
doesn't have is a guess here: GRUB then starts the first entry, but nobody meant that one.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import PurePosixPath

from longshore.guests.appliance import Guest
from longshore.guests.rpm_order import newest_first

_EFI = ("/boot/efi", "/efi")  # where the EFI system partition is mounted
_MENUS = ("/boot/grub2", "/boot/grub")  # each with its grub.cfg and its grubenv
_MENU, _OWN = "grub.cfg", "custom.cfg"  # the latter is read at the end of the former, as 41_custom of GRUB has it
_OLD_MENUS = ("grub.conf", "menu.lst")
_ENTRIES = "loader/entries"  # Boot Loader Specification: Fedora, RHEL 8 and later; systemd-boot
INITRAMFS = re.compile(r"^(?:initrd|initramfs)-?(?:\.img-)?(?P<kernel>\d.*?)(?:\.img)?$")
_NOT_FOR_BOOT = ("rescue", "kdump", "fallback", "pre-v2v")
# A word as GRUB's shell takes it: parts in quotes and parts without
_WORD = re.compile(r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+""")
_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|(\\.)|([^'"\\]+)""")
_INITRD = re.compile(r"initrd(?:efi|16)?")
_LINUX = re.compile(r"linux(?:efi|16)?")
_LONGEST_NUMBER = 4  # digits
_TRIES = re.compile(r"\+\d+(?:-\d+)?$")  # that an entry has left, behind its name


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One choice of the boot menu."""

    initramfs: str  # path in the guest; "" when it has none
    options: str = ""  # kernel command line
    sure: bool = True  # that it is the one that is booted


@dataclass(slots=True)
class _Choice:
    """An entry of a menu, or a submenu."""

    title: str
    id: str = ""
    below: "list[_Choice] | None" = None  # a submenu's entries
    initrds: list[str] = field(default_factory=list)
    options: str | None = None  # None: it starts no Linux


def default_entry(guest: Guest) -> BootEntry | None:
    """Return the entry that the boot loader starts unless somebody chooses otherwise; when that isn't clear, the newest
    kernel.

    Menus in /boot and in the EFI system partition may say different things, and firmware decides between them.
    """
    found = list(filter(None, (_of_grub(guest, directory) for directory in _grub_directories(guest))))
    if found:
        return replace(found[0], sure=found[0].sure and all(entry == found[0] for entry in found))
    return _of_old_grub(guest) or _by_specification_alone(guest) or _newest(guest)


def boot_files(guest: Guest) -> Iterator[str]:
    """Yield the paths of what may hold kernels' command lines: menus, GRUB's environments, and entries."""
    for directory in _grub_directories(guest):
        yield from (f"{directory}/{name}" for name in (_MENU, *_OLD_MENUS, "grubenv"))
    yield from (f"/boot/{_ENTRIES}/{name}" for name in guest.names_in(f"/boot/{_ENTRIES}") if name.endswith(".conf"))


def _grub_directories(guest: Guest) -> Iterator[str]:
    """Yield those in /boot, and in the EFI system partition, where RHEL 7's only menu is, or one that leads to that in
    /boot."""
    yield from _MENUS
    for partition in _EFI:
        yield from (f"{partition}/EFI/{name}" for name in guest.names_in(f"{partition}/EFI"))


def _of_grub(guest: Guest, directory: str) -> BootEntry | None:
    """Return the entry that GRUB starts. None where there is no menu, or only a wrapper that leads to another."""
    if not guest.has_file(f"{directory}/{_MENU}"):
        return None
    menu = _menu(guest, directory)
    environment = _environment(guest, directory)
    # The menu sets them where the environment has none
    variables = dict.fromkeys(["kernelopts"], "".join(_settings(menu, "kernelopts")[-1:])) | environment
    choices = _choices(menu, lambda: _specified(guest, f"/boot/{_ENTRIES}"))
    wanted = _default(menu, environment)
    chosen = None if wanted is None else _chosen(choices, wanted)
    entry = None if chosen is None else _entry(guest, chosen, variables)
    if entry is not None:
        return entry
    others = (found for choice in _flat(choices) if (found := _entry(guest, choice, variables)) is not None)
    return next((replace(found, sure=False) for found in others), None)


def _menu(guest: Guest, directory: str) -> str:
    """Return the menu's text with what it includes of the administrator's own, each command on one line."""
    menu, own = guest.text(f"{directory}/{_MENU}"), f"{directory}/{_OWN}"
    if _OWN in menu and guest.has_file(own):
        menu += f"\n{guest.text(own)}"
    return menu.replace("\\\n", " ")


def _default(menu: str, environment: Mapping[str, str]) -> str | None:
    """Return what the menu wants to be started: places or names of entries, with ">" between. None: only its script
    knows."""
    said = _settings(menu, "default")
    if environment.get("next_entry") and any("next_entry" in value for value in said):
        return environment["next_entry"]
    default = next((value for value in reversed(said) if "next_entry" not in value), "0")
    if "saved_entry" in default:
        default = environment.get("saved_entry", "")
    return None if "$" in default else default or "0"


def _settings(menu: str, name: str) -> list[str]:
    values = re.findall(rf"(?m)^[ \t]*set[ \t]+{name}=(.*)$", menu)
    return [next(iter(_words(value)), "") for value in values]


def _environment(guest: Guest, directory: str) -> dict[str, str]:
    """Return grubenv's variables: the menu's own, or that of /boot."""
    for place in (directory, *_MENUS):
        if guest.has_file(f"{place}/grubenv"):
            return dict(re.findall(r"(?m)^(\w+)=(.*?)[ \t\r]*$", guest.text(f"{place}/grubenv")))
    return {}


# Menus


def _choices(menu: str, specified: Callable[[], list[_Choice]]) -> list[_Choice]:
    """Return the menu's entries in their order; `specified` answers those that stand where the menu asks for them."""
    top: list[_Choice] = []
    blocks: list[_Choice | None] = []  # that are open; None: a function's
    lists = [top]  # to which entries belong, in each of those
    for line in menu.splitlines():
        first = (line.split(None, 1) or [""])[0]
        opens = line.rstrip().endswith("{")
        if first in ("menuentry", "submenu"):
            choice = _heading(_words(line), submenu=first == "submenu")
            lists[-1].append(choice)
            if opens:
                blocks.append(choice)
                lists.append(lists[-1] if choice.below is None else choice.below)
        elif first == "}":
            if blocks:
                del blocks[-1], lists[-1]
        elif opens:
            blocks.append(None)
            lists.append(lists[-1])
        elif first == "blscfg":
            lists[-1].extend(specified())
        elif blocks and (inside := blocks[-1]) is not None:
            if _LINUX.fullmatch(first):
                inside.options = " ".join(_words(line)[2:])
            elif _INITRD.fullmatch(first):
                inside.initrds += _words(line)[1:]
    return top


def _heading(words: Sequence[str], *, submenu: bool) -> _Choice:
    title = words[1] if len(words) > 1 else ""
    following = dict(pairwise(words))
    named = following.get("$menuentry_id_option") or following.get("--id") or ""
    return _Choice(title, named, [] if submenu else None)


def _words(line: str) -> list[str]:
    """Split a line into words as GRUB's shell does, with nothing put in the place of variables."""
    return ["".join(map(_plain, _PART.findall(word))) for word in _WORD.findall(line)]


def _plain(parts: tuple[str, str, str, str]) -> str:
    single, double, escaped, bare = parts
    return single + re.sub(r"\\(.)", r"\1", double) + escaped[1:] + bare


def _chosen(choices: Sequence[_Choice], wanted: str) -> _Choice | None:
    """Find an entry by place, title or id, and in a submenu the next one. A submenu of which nothing is said starts its
    first."""
    here, _, below = re.sub(">>", "\0", wanted).partition(">")
    here = here.replace("\0", ">").strip()
    if re.fullmatch(rf"[0-9]{{1,{_LONGEST_NUMBER}}}", here):
        found = next(iter(choices[int(here) : int(here) + 1]), None)
    else:
        found = next((choice for choice in choices if here in (choice.title, choice.id)), None)
    if found is None or found.below is None:
        return found
    return _chosen(found.below, below.replace("\0", ">>") or "0")


def _flat(choices: Sequence[_Choice]) -> Iterator[_Choice]:
    for choice in choices:
        yield from (choice,) if choice.below is None else _flat(choice.below)


def _entry(guest: Guest, choice: _Choice, variables: Mapping[str, str]) -> BootEntry | None:
    """Return what an entry starts. None where that is no Linux, or one without an initramfs that is there."""
    if choice.options is None:
        return None
    # Of several initramfs the last one: those with microcode come before it
    paths = (_in_boot(guest, path) for path in reversed(choice.initrds) if not path.startswith("$tuned"))
    options = re.sub(r"\$\{?(\w+)\}?", lambda name: variables.get(name[1], ""), choice.options)
    return next((BootEntry(path, options) for path in paths if path), None)


def _in_boot(guest: Guest, path: str) -> str:
    """A boot loader counts from the root of the file system that it reads, which may be mounted on /boot."""
    path = "/" + re.sub(r"^\([^)]*\)|^\$\{?\w+\}?", "", path).lstrip("/")  # (hd0,msdos1)/boot/…, or a variable for it
    candidates = (path, f"/boot{path}", *(f"{efi}{path}" for efi in _EFI), f"/boot/{PurePosixPath(path).name}")
    return next((candidate for candidate in candidates if guest.has_file(candidate)), "")


# The menu of GRUB before 2: RHEL 6, SLES 11


def _of_old_grub(guest: Guest) -> BootEntry | None:
    for directory in _grub_directories(guest):
        path = next((p for n in _OLD_MENUS if guest.has_file(p := f"{directory}/{n}")), "")
        if not path:
            continue
        default, choices = _old_menu(guest.text(path))
        entry = None if (chosen := _chosen(choices, default)) is None else _entry(guest, chosen, {})
        if entry is not None:
            return replace(entry, sure=default.isdigit())
        others = (found for choice in choices if (found := _entry(guest, choice, {})) is not None)
        if (other := next(others, None)) is not None:
            return replace(other, sure=False)
    return None


def _old_menu(menu: str) -> tuple[str, list[_Choice]]:
    """Return the default's number, or "saved", and the menu's entries in their order."""
    default, choices = "0", list[_Choice]()
    for line in menu.splitlines():
        key, *said = re.split(r"[ \t=]+", line.strip(), maxsplit=1)
        value = " ".join(said)
        if key == "default":
            default = value
        elif key == "title":
            choices.append(_Choice(value))
        elif choices and key == "kernel":
            choices[-1].options = " ".join(value.split()[1:])
        elif choices and key == "initrd":
            choices[-1].initrds += value.split()
    return default, choices


# Entries of the Boot Loader Specification


def _specified(guest: Guest, directory: str) -> list[_Choice]:
    """Return the entries of the Boot Loader Specification, the newest first. An id is the file's name without .conf."""
    ids = [name.removesuffix(".conf") for name in guest.names_in(directory) if name.endswith(".conf")]
    return [_read(guest.text(f"{directory}/{name}.conf"), name) for name in newest_first(ids)]


def _read(text: str, name: str) -> _Choice:
    """Keys may have no value, and initrd and options stand there more than once."""
    choice = _Choice("", name, options="")
    for line in text.splitlines():
        key, *said = line.split(None, 1)[:2] or [""]
        value = " ".join(said).strip()
        if key == "title":
            choice.title = value
        elif key == "initrd":
            choice.initrds += value.split()
        elif key == "options":
            choice.options = f"{choice.options} {value}".strip()
    return choice


def _by_specification_alone(guest: Guest) -> BootEntry | None:
    """Return the entry that starts where there is no menu: systemd-boot's, or that of a GRUB that isn't where it is
    known to be."""
    for place in ("/boot", *_EFI):
        choices = _specified(guest, f"{place}/{_ENTRIES}")
        if not choices:
            continue
        environment = _environment(guest, _MENUS[0])
        wanted = environment.get("saved_entry", "")
        if pattern := _of_systemd_boot(guest, place):
            chosen = next((c for c in choices if _is_called(c, pattern)), None)
        else:
            chosen = _chosen(choices, wanted or "0")
        entry = None if chosen is None else _entry(guest, chosen, environment)
        if entry is not None:
            return replace(entry, sure=bool(pattern) or not _has_unified_kernel(guest))
        usual = [c for c in choices if not any(word in c.id for word in _NOT_FOR_BOOT)]
        others = (found for c in usual if (found := _entry(guest, c, environment)) is not None)
        if (other := next(others, None)) is not None:
            return replace(other, sure=False)
    return None


def _of_systemd_boot(guest: Guest, place: str) -> str:
    """Return the pattern that systemd-boot starts by; "" where it says none."""
    path = f"{place}/loader/loader.conf"
    found = re.search(r"(?m)^[ \t]*default[ \t]+(\S+)", guest.text(path)) if guest.has_file(path) else None
    return found[1] if found else ""


def _is_called(choice: _Choice, pattern: str) -> bool:
    """Tell whether a pattern of systemd-boot means an entry: with .conf or without, as its releases have it."""
    name = _TRIES.sub("", choice.id).lower()
    return any(fnmatchcase(one, pattern.lower()) for one in (name, f"{name}.conf"))


def _has_unified_kernel(guest: Guest) -> bool:
    """Tell whether there are kernels that have their initramfs in one file with them, which systemd-boot finds."""
    return any(name.endswith(".efi") for place in ("/boot", *_EFI) for name in guest.names_in(f"{place}/EFI/Linux"))


def _newest(guest: Guest) -> BootEntry | None:
    """Return the entry of the newest kernel: a guess, unless there is only one."""
    fit = [
        name
        for name in guest.names_in("/boot")
        if INITRAMFS.match(name) and not any(word in name for word in _NOT_FOR_BOOT)
    ]
    alone = len(fit) == 1 and not _has_unified_kernel(guest)
    return BootEntry(f"/boot/{newest_first(fit)[0]}", sure=alone) if fit else None
