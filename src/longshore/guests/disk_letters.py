"""Letters by which Linux counts disks."""


def disk_letters(position: int) -> str:
    """Return a disk's letters by its place, from 0 on: a … z, aa …"""
    letters = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters
