"""Doubts about a guest are told in the viewer's language.

A look tells them in English: the texts are those of `longshore.guests`, with a place for each name.
tests/web/test_doubts_in_words.py holds that none is missing, and that none outlives its code.
"""

from longshore.wording.events import in_words
from longshore.wording.texts import _, marked

_SO = marked("So its interfaces' names can't be kept.")  # behind why nothing was looked into
DOUBTS = (
    marked("%(device)s couldn't be read, so what is on it isn't known: %(why)s."),
    marked(
        "Its %(path)s calls disks by what their hardware calls them (%(names)s): they may be called otherwise on the "
        "target, and nothing changes that file. Name them there by UUID or label."
    ),
    marked(
        "Its %(path)s lists disks by what their hardware calls them (%(names)s): unless it is converted, which removes "
        "that file, volume groups may not come up on the target. There, in the guest: vgimportdevices -a."
    ),
    marked(
        "Its EFI system partition is on disk %(number)s, and a server boots from the first of its disks: it may find "
        "no loader there."
    ),
    marked(
        "Its network configuration goes by %(names)s, and nothing says which of %(count)s adapters have these names: "
        "where they are called otherwise on the target, their addresses aren't there."
    ),
    marked(
        "Its network configuration is for adapters that are or have %(names)s, by which the target's may not be known: "
        "where it isn't applied, the guest has no network. Have it match them by name or MAC address."
    ),
    marked("No operating system was found on the machine's disks.%(why)s"),
    marked("The guest's disks couldn't be inspected: %(why)s."),
    marked("The guest's disks couldn't be read: %(why)s."),
    marked("The guest's file systems couldn't be mounted: %(why)s."),
    marked("The guest's registry couldn't be read (%(why)s), so what it can boot from isn't known."),
    marked("The guest's registry couldn't be read: %(why)s."),
    marked("The guest's %(path)s couldn't be read: %(why)s."),
    marked("The machine's disks hold several operating systems: %(names)s."),
    marked("What %(system)s can boot from isn't known to Longshore."),
    marked("What is on the guest's disks couldn't all be read: %(why)s."),
    marked("What the guest can boot from couldn't be found out: %(why)s."),
    marked("Which entry of its boot menu the guest starts isn't clear; the likeliest was looked at."),
    marked("Which kernel the guest boots couldn't be found out, so what it can boot from isn't known."),
)


def doubt_in_words(text: str) -> str:
    """Return a doubt about a guest; as it is where its text is of no known form, or in English."""
    if text.endswith(_SO):
        return f"{doubt_in_words(text.removesuffix(_SO).rstrip())} {_(_SO)}"
    return in_words(text, DOUBTS)
