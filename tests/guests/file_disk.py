"""An image file, served as a disk of a vault's point is."""

import os

from longshore.vault.disks import DiskReader


class FileDisk(DiskReader):
    """A raw image as a disk to be served."""

    def __init__(self, path):
        self.size = path.stat().st_size
        self._file = os.open(path, os.O_RDONLY)

    def entry(self, block):
        raise NotImplementedError

    def block(self, number, entry):
        raise NotImplementedError

    def leaf_is_zero(self, leaf):
        return False

    def parts(self, offset, length):
        return [os.pread(self._file, length, offset)]
