"""Errors of a vault."""

from longshore.errors import AccessDenied, LongshoreError

ARCHIVED = "vault-archived"  # the code of a Damaged that isn't lost: a bucket has to bring it back from its archive


class Damaged(LongshoreError):
    """The error for something in the vault that isn't what was written: bytes that flipped, or objects that are
    gone."""

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


def full_vault(store: object, why: str = "") -> VaultFull:
    return VaultFull(
        f"The vault in {store} is full{f' ({why})' if why else ''}.",
        advice="Make it larger, or delete points and prune it: a prune a day later frees what they leave.",
    )


def too_large(name: str, most: int) -> Damaged:
    return Damaged(f"{name} isn't what was written: it has more than {most} bytes.")
