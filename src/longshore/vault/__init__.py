"""The backup store "longshore vault 1": blocks in packs, a map of digests for each disk, points written last.

What lives here: the format (docs/formats/vault.md), a directory or a bucket that holds it, its keys, the writing and
reading of disks, pruning, verification, and an NBD server that hands a disk of a point out or takes one in. It knows no
cloud, no flow and no database; whoever uses it says what a point's machine is.
"""

from longshore.vault.geometry import BLOCK, Top
from longshore.vault.vault import Vault

__all__ = ["BLOCK", "Top", "Vault"]
