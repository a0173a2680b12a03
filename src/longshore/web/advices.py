"""What to do about something, as pages say it. The service's advice often names an option of a command, which nobody
has on a page: there the same thing is called as the page's own field is, or the option is left out.
"""

import re

from longshore.web.texts import _, marked

_PROVE = marked(
    "Say what its console shows when it is up. In a plan's mappings that may be a port that answers, too, or nothing. "
    "A dry run tells whether it is right."
)
_LAND = marked(
    "Choose another way for the guest: unchanged, on hardware that it knows or, with virtio, on the target's."
)
_CONVERT = marked("Choose another way for the guest: converted.")
_RENAME = marked("In a plan, its server is given another name where its wave is changed.")
_SIZE = marked("Choose a flavor for its size.")
# By the code of a concern, or of the error that a migration ended with
_ON_PAGES = {
    **dict.fromkeys(("boot-not-provable", "boot-proof-unsure", "boot-failed"), _PROVE),
    **dict.fromkeys(("guest-not-inspected", "guest-several-systems", "guest-encrypted"), _LAND),
    **dict.fromkeys(("guest-root-not-in-fstab", "guest-os-unsupported", "windows-drivers-missing"), _LAND),
    **dict.fromkeys(("as-is-no-hardware", "guest-no-virtio"), _CONVERT),
    **dict.fromkeys(
        ("server-name-refused", "server-name-no-host-name", "server-name-taken", "duplicate-name"), _RENAME
    ),
    **dict.fromkeys(("network-unmapped", "network-undecided"), marked("Choose its network.")),
    **dict.fromkeys(("no-flavor-large-enough", "flavor-undecided"), _SIZE),
    "guest-no-room": marked("Make room in the guest, or choose another way for it: unchanged."),
}
_OPTION = re.compile(r" \(--[^()]*\)")


def on_page(advice: str, code: str = "") -> str:
    """Of what is called `code`. In the viewer's language, where it is known; empty where only commands can do it."""
    if "--" not in advice and "longshore " not in advice:
        return _(advice)
    if code in _ON_PAGES:
        return advice_about(code)
    left = without_options(advice)
    return "" if "--" in left or "longshore " in left else left


def advice_about(code: str | None) -> str:
    """Empty where pages have nothing of their own to say."""
    return _(_ON_PAGES[code]) if code in _ON_PAGES else ""


def without_options(text: str) -> str:
    """Without those that stand in brackets behind what they are for."""
    return _OPTION.sub("", text)
