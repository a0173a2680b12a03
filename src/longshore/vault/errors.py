"""What can be wrong with a vault."""

from longshore.errors import AccessDenied, LongshoreError


class Damaged(LongshoreError):
    """Something in the vault isn't what was written: bytes that flipped, or objects that are gone."""

    code = "vault-damaged"


class WrongKey(AccessDenied):
    """The vault is encrypted, and what was given doesn't open it."""

    code = "vault-key"


class WriterLost(LongshoreError):
    """A backup gave no sign of life for so long that its blocks may have been removed."""

    code = "vault-writer-lost"


class VaultFull(LongshoreError):
    """There is no room for what is to be stored."""

    code = "target-full"
