"""A Linux guest's kernel uses the first serial port, too: what it prints there the cloud shows as the server's console.

Debian's family makes its boot menu anew, from a snippet that a package's update leaves alone. Everywhere else the
kernels' command lines are changed where they are, as the distributions' own grubby does it: in the entries of the Boot
Loader Specification (RHEL 8 and later, Fedora), in GRUB 2's menu (SUSE, RHEL 7), in GRUB legacy's (RHEL 6). That needs
no program of the guest's, and a menu that is only added to boots what it did.
"""

import re

from longshore.guests.appliance import Guest
from longshore.guests.boot_entries import boot_files
from longshore.guests.report import Finished

DEFAULTS = "/etc/default/grub"
SNIPPET = "/etc/default/grub.d/90-longshore-console.cfg"
MENU = "/boot/grub/grub.cfg"
ARGUMENTS = "console=tty0 console=ttyS0,115200n8"
_SERIAL = "console=ttyS"
_ENVIRONMENT = "/grubenv"
_ENVIRONMENT_SIZE = 1024  # bytes, filled up with "#"
_KERNEL_COMMAND_LINE = "/etc/kernel/cmdline"  # what RHEL 9's and Fedora's next kernels get
# A line that boots a kernel: GRUB 2's commands, GRUB legacy's, an entry's options
_BOOTS = re.compile(r"(?m)^([ \t]*(?:linux(?:efi|16)?|kernel)[ \t]+\S+[ \t][^\n]*\broot=[^\n]*?)[ \t]*$")
_OPTIONS = re.compile(r"(?m)^(options[ \t]+[^\n]*?)[ \t]*$")
_KERNEL_OPTIONS = re.compile(r"(?m)^(kernelopts=[^\n]*?)[ \t]*$")
_SETTING = re.compile(r"""(?m)^([ \t]*GRUB_CMDLINE_LINUX=)(["']?)([^"'\n]*)\2[ \t]*$""")
_MEANS = (
    "So the console that the cloud shows stays empty once the kernel runs, and a login prompt can't prove there that "
    "the guest is up."
)


def enable_serial_console(guest: Guest) -> Finished:
    """Enable the serial console. One that is set up already stays as it is. A guest that boots is worth more than its
    console."""
    files = guest.files
    if files.is_file(DEFAULTS) and files.is_file(MENU) and files.is_file("/usr/sbin/update-grub"):
        return _by_snippet(guest)
    # A link to one of the others is none
    texts = {path: guest.text(path) for path in boot_files(guest) if files.is_file(path)}
    if any(_SERIAL in text for text in texts.values()):
        return Finished()
    shared = any(_KERNEL_OPTIONS.search(text) for path, text in texts.items() if path.endswith(_ENVIRONMENT))
    changed = {
        path: new for path, text in texts.items() if (new := _with_console(path, text, shared)) not in (None, text)
    }
    if not changed:
        return _nothing_done("no boot menu that Longshore knows was found")
    for path, new in changed.items():
        files.write(path, (new or "").encode())
    _for_next_kernels(guest)
    return Finished((f"The kernel uses the serial console ttyS0 as well ({', '.join(sorted(changed))}).",))


def _by_snippet(guest: Guest) -> Finished:
    """Have the guest's own tool make its menu anew. A menu that would boot something else is put back."""
    files = guest.files
    before = guest.text(MENU)
    if _SERIAL in before or files.is_file(SNIPPET):
        return Finished()
    saved = files.read_file(MENU)
    files.mkdir_p(SNIPPET.rpartition("/")[0])
    files.write(
        SNIPPET,
        f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {ARGUMENTS}"\n'
        'GRUB_TERMINAL="console serial"\n'
        'GRUB_SERIAL_COMMAND="serial --speed=115200"\n'.encode(),
    )
    try:
        guest.run("update-grub")
        after = guest.text(MENU)
        fault = difference(before, after) if _SERIAL in after else "update-grub left the new settings out"
    except RuntimeError as error:
        fault = f"update-grub failed: {str(error).strip().splitlines()[-1]}"
    if fault is None:
        return Finished((f"The kernel and GRUB use the serial console ttyS0 as well ({SNIPPET}).",))
    files.rm_f(SNIPPET)
    files.write(MENU, saved)
    return _nothing_done(fault)


def _nothing_done(why: str) -> Finished:
    return Finished(
        warnings=(f"The serial console couldn't be set up and the boot menu is as it was: {why}. {_MEANS}",)
    )


def _with_console(path: str, text: str, shared: bool) -> str | None:
    """Add the console to a text. Returns None when it can't be added. `shared`: GRUB's environment has options for the
    entries that ask for them."""
    added = rf"\1 {ARGUMENTS}"
    if "/loader/entries/" in path:
        return _OPTIONS.sub(lambda line: line[0] if shared and "$kernelopts" in line[0] else line.expand(added), text)
    if path.endswith(_ENVIRONMENT):
        return _in_environment(_KERNEL_OPTIONS.sub(added, text))
    return _BOOTS.sub(added, text)


def _in_environment(text: str) -> str | None:
    """Fit a text into GRUB's environment, whose size never changes: GRUB writes to its blocks."""
    content = text.rstrip("#")
    return content.ljust(_ENVIRONMENT_SIZE, "#") if len(content.encode()) <= _ENVIRONMENT_SIZE else None


def _for_next_kernels(guest: Guest) -> None:
    """Give kernels that are installed later the same command line."""
    files = guest.files
    if files.is_file(DEFAULTS):
        text = guest.text(DEFAULTS)
        new = text if _SERIAL in text else _SETTING.sub(rf'\1"\3 {ARGUMENTS}"', text)
        if _SERIAL not in new:  # not set, or in a way that only a shell understands, which it is for
            new = f'{text.rstrip()}\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {ARGUMENTS}"\n'
        files.write(DEFAULTS, new.encode())
    if files.is_file(_KERNEL_COMMAND_LINE):
        files.write(_KERNEL_COMMAND_LINE, f"{guest.text(_KERNEL_COMMAND_LINE).rstrip()} {ARGUMENTS}\n".encode())


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
