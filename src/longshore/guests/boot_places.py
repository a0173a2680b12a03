"""The places that a GRUB menu boots from: does one that was made anew boot what the old one did?"""

import re


def difference(before: str, after: str) -> str | None:
    """Return why the menu that was made isn't one to boot with; None when it is."""
    old, new = boot_places(before), boot_places(after)
    if old == new:
        return None
    return f"the new menu would boot from {_listed(new - old)} and not from {_listed(old - new)}"


def boot_places(menu: str) -> set[str]:
    """Return where GRUB's menu looks for kernels, and what its kernels take for their root file system.

    `set root='hd0,msdos1'`, GRUB's own name for a disk, counts only without a `search` for the file system's UUID: that
    comes after it and corrects it.
    """
    searched, named, roots = set[str](), set[str](), set[str]()
    for words in (line.split() for line in menu.splitlines()):
        if words[:1] == ["search"] and "--fs-uuid" in words:
            searched.add(words[-1])
        elif words[:1] == ["set"]:
            named.update(word for word in words[1:] if word.startswith("root="))
        elif words and re.fullmatch(r"linux(?:efi|16)?", words[0]):
            roots.update(word for word in words if word.startswith(("root=", "rootflags=")))
    return roots | (searched or named)


def _listed(places: set[str]) -> str:
    return ", ".join(sorted(places)) or "nothing else"
