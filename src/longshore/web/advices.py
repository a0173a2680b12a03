"""Advice about something, as pages say it. The service's advice often names an option of a command, which nobody has on
a page: there the same thing is called as the page's own field is, or the option is left out."""

import re

from markupsafe import Markup, escape

from longshore.client.calls import part
from longshore.wording.language import language
from longshore.wording.meanings import advised, meaning_of
from longshore.wording.texts import _, marked

_PROVE = marked(
    "Say what its console shows when it is up. In a plan's mappings that may be a port that answers, too, or nothing. "
    "A dry run tells whether it is right."
)
_LAND = marked(
    "Choose another way for the guest: unchanged, on hardware that it knows or, with virtio, on the target's."
)
_UNKNOWN = marked(
    "If it is none that can be converted, such as a small or old Linux, let it land unchanged. A dry run tells."
)
_CONVERT = marked("Choose another way for the guest: converted.")
_RENAME = marked("In a plan, its server is given another name where its wave is changed.")
_SIZE = marked("Choose a flavor for its size.")
# Concerns that are gone where the guest lands unchanged
LAND_UNCHANGED = ("guest-os-unknown", "guest-os-unsupported", "windows-drivers-missing")
# By the code of a concern, or of the error that a migration ended with
_ON_PAGES = {
    **dict.fromkeys(("boot-not-provable", "boot-proof-unsure", "boot-failed"), _PROVE),
    **dict.fromkeys(("guest-not-inspected", "guest-several-systems", "guest-encrypted"), _LAND),
    **dict.fromkeys(("guest-root-not-in-fstab", "guest-os-unsupported", "windows-drivers-missing"), _LAND),
    **dict.fromkeys(("guest-read-only", "guest-no-inodes", "guest-part-not-mounted"), _LAND),
    **dict.fromkeys(("guest-no-kernel", "guest-no-initramfs-tool", "guest-no-boot-menu"), _LAND),
    "guest-os-unknown": _UNKNOWN,
    **dict.fromkeys(("as-is-no-hardware", "guest-no-virtio"), _CONVERT),
    **dict.fromkeys(
        ("server-name-refused", "server-name-no-host-name", "server-name-taken", "duplicate-name"), _RENAME
    ),
    **dict.fromkeys(("network-unmapped", "network-undecided"), marked("Choose its network.")),
    **dict.fromkeys(("no-flavor-large-enough", "flavor-undecided"), _SIZE),
    "guest-no-room": marked("Make room in the guest, or choose another way for it: unchanged."),
}
_OPTION = re.compile(r" \(--[^()]*\)")
_SENTENCE = re.compile(r"(?<=[.!?]) +")
_NAMES_OPTION = re.compile(r"(?:^|[\s:])--[a-z]")
_ITS_PAGE = marked("its page")
# The button or link that does the same as a command, by its words, on the page of what it is told about
_PRESSED = {
    "migration show": _ITS_PAGE,
    "migration cancel": marked("Cancel …"),
    "migration cleanup": marked("Remove what is left"),
    "migration cutover": marked("Cut over …"),
    "migration resume": marked("Go on now"),
    "restore commit": marked("Keep it …"),
    "restore undo": marked("Go back …"),
    "replica commit": marked("Commit …"),
    "replica delete": marked("Delete …"),
    "replica failback": marked("Fail back …"),
    "replica undo": marked("Undo …"),
    "replica group commit": marked("Commit …"),
    "replica group failover": marked("Fail over …"),
    "replica group undo": marked("Undo …"),
    "plan cancel": marked("Cancel …"),
    "plan check": marked("Check and start …"),
    "plan show": _ITS_PAGE,
}
_PAGES = {
    "migration": "/ui/migrations/",
    "restore": "/ui/migrations/",
    "replica": "/ui/replicas/",
    "replica group": "/ui/replicas/groups/",
    "plan": "/ui/plans/",
}
_COMMAND = re.compile(
    r"(?:(?:Run|Use): )?longshore "
    r"(?:(?P<named>replica group|plan) (?P<does>\w+)(?: (?P<name>\w+(?:[.-]+\w+)*))?"
    r"|(?P<one>migration|restore|replica) (?P<verb>\w+)(?: (?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?)"
)


def on_page(advice: str, code: str = "") -> str:
    """Return the advice of an error, or of what is called `code`, as a page says it.

    It is in the viewer's language, where that is known; it is empty where only commands can do what is advised.
    """
    said = advised(advice)
    if "--" not in said and "longshore " not in said:
        return said
    if code in _ON_PAGES:
        return advice_about(code)
    left = said_on_page(said)
    return "" if "--" in left or "longshore " in left else left


def in_english(advice: str, code: str = "") -> bool:
    """Tell whether `on_page` has an advice in the service's English, on a page of another language."""
    by_code = code in _ON_PAGES and ("--" in advice or "longshore " in advice)
    return language() != "en" and not by_code and advised(advice) == advice


def meaning_on_page(code: str) -> Markup:
    """Return what a kind of concern means as a page says it; empty in English, where its own sentence says it."""
    return said_on_page(meaning_of(code))


def advice_about(code: str | None) -> str:
    """Return the pages' own advice about a code; empty where they have none."""
    return _(_ON_PAGES[code]) if code in _ON_PAGES else ""


def said_on_page(text: str) -> Markup:
    """Return a text of the command line as a page says it: each command becomes a link to the page that does the same.

    Options in brackets behind what they are for are left out, and so are sentences that can't be said without an
    option, if there are others.
    """
    bare, said, end = _without_options(text), Markup(""), 0
    for command in _COMMAND.finditer(bare):
        said += escape(bare[end : command.start()]) + _pressed(command)
        end = command.end()
    return said + escape(bare[end:])


def _without_options(text: str) -> str:
    bare = _OPTION.sub("", text)
    if not _NAMES_OPTION.search(bare):
        return bare
    return " ".join(one for one in _SENTENCE.split(bare) if not _NAMES_OPTION.search(one)) or bare


def _pressed(command: re.Match[str]) -> Markup:
    of, verb = command["named"] or command["one"], command["does"] or command["verb"]
    which = command["name"] or command["id"]
    if f"{of} {verb}" not in _PRESSED:
        return escape(command[0])
    label = _(_PRESSED[f"{of} {verb}"])
    if which is None:
        return Markup("<strong>{}</strong>").format(label)
    return Markup('<a class="ls-press" href="{}">{}</a>').format(_PAGES[of] + part(which), label)
