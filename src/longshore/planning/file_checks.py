"""Oddities of a machine in files: missing bytes, claims that aren't so, parts that nobody understands."""

from collections.abc import Iterable, Iterator

from longshore.model.concern import Concern
from longshore.model.machine import FileDoubt
from longshore.planning.kinds import blocker, information, warning

FILE_BYTES_MISSING = blocker(
    "file-bytes-missing",
    "Not all bytes of a disk are in its file: it is cut off, damaged, or another disk than was described.",
    "Copy or export it again.",
    acceptable=True,
)
FILE_MANIFEST_DIFFERS = blocker(
    "file-manifest-differs",
    "The digest that the manifest has for a disk's file isn't that of the file: it was damaged or changed since.",
    "Copy or export it again.",
    acceptable=True,
)
FILE_SECTORS = blocker(
    "file-sectors",
    "The partitions of a disk count in sectors of 4096 bytes, and a volume has sectors of 512: its guest doesn't find "
    "them there.",
    "Copy what is on it in the guest, to a disk with sectors of 512 bytes.",
    acceptable=True,
)
FILE_OLDER_STATE = blocker(
    "file-older-state",
    "An image is the base of another one beside it, or isn't the one that the machine's .vmx or .vbox names: what was "
    "written later isn't in it.",
    "Name the newer one; longshore machine list shows it.",
    acceptable=True,
)
FILE_MACHINE_SUSPENDED = blocker(
    "file-machine-suspended",
    "The machine was suspended when its files were copied: what it had in memory isn't on its disks, as after a power "
    "failure.",
    "Resume the machine where it ran, shut its guest down, and copy its files again.",
    acceptable=True,
)
FILE_CLAIM_DIFFERS = warning(
    "file-claim-differs",
    "An OVF, a manifest or an image's own header says what its files contradict. The files count.",
    "Compare the machine with its source when it has arrived.",
)
FILE_UNUSED = warning(
    "file-unused",
    "A disk image belongs to the machine's package, and no disk of a machine in it uses it. It stays behind.",
    "See whether the machine needs it: it can be moved as a machine of its own.",
)
FILE_PART_UNKNOWN = warning(
    "file-part-unknown",
    "The description has a part that isn't understood, and says that it is required. It isn't carried over.",
    "See what it is for.",
)
FILE_NOT_SAID = warning(
    "file-not-said",
    "The description leaves something open that a machine has to have, or says it in a way that isn't understood: a "
    "choice was made.",
    "Say it yourself: the provider's --cpus and --memory count where the description says nothing.",
)
FILE_DISK_EMPTY = information(
    "file-disk-empty", "A disk has no file: it is made empty, as it would be where the OVF was made for."
)
FILE_LEFT_BEHIND = information(
    "file-left-behind", "The package holds something that is neither a disk nor an adapter. It stays behind."
)

_KINDS = {
    kind.code: kind
    for kind in (
        *(FILE_BYTES_MISSING, FILE_MANIFEST_DIFFERS, FILE_SECTORS, FILE_OLDER_STATE, FILE_MACHINE_SUSPENDED),
        *(FILE_CLAIM_DIFFERS, FILE_UNUSED, FILE_PART_UNKNOWN, FILE_NOT_SAID, FILE_DISK_EMPTY, FILE_LEFT_BEHIND),
    )
}


def file_concerns(doubts: Iterable[FileDoubt]) -> Iterator[Concern]:
    for doubt in doubts:
        yield _KINDS[doubt.kind.value](doubt.subject, doubt.text)
