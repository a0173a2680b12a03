"""The one exception hierarchy: each error says what happened, to what, and what to do about it.

`str(error)` is the sentence a user reads. It must never hold a secret. `code` is stable and is what scripts and tests
match on; `advice` is what to do, a sentence of its own. `field`: which part of what was asked for is wrong, where that
is known, as requests call it.
"""


class LongshoreError(Exception):
    """Something Longshore can explain. Anything else that escapes is a bug and keeps its traceback."""

    code = "error"

    def __init__(self, message: str, *, advice: str = "", code: str | None = None, field: str = "") -> None:
        self.message = message
        self.advice = advice
        self.field = field
        if code is not None:
            self.code = code
        super().__init__(f"{message} {advice}".strip())


class InvalidInput(LongshoreError):
    """The user's wish can't be done as asked; nothing was changed."""

    code = "invalid-input"


class NotFound(LongshoreError):
    """A named thing isn't there."""

    code = "not-found"


class Conflict(LongshoreError):
    """A thing is in a state, or of a name, that doesn't allow what was asked."""

    code = "conflict"


class ChangedMeanwhile(LongshoreError):
    """It isn't any more what the caller has seen."""

    code = "changed-meanwhile"


class AccessDenied(LongshoreError):
    """A cloud refused the credentials, or what they may do."""

    code = "access-denied"


class LoginRefused(AccessDenied):
    """A cloud refused the user name or the password; vCenter does so too while its directory doesn't answer."""


class Occupied(Conflict):
    """Something else is under way on a machine or a volume, and ends by itself: asked again, the cloud may do it."""

    code = "occupied"


class NotSharedAnyMore(AccessDenied):
    """A provider that another project has shared, and has taken back."""

    code = "not-shared-any-more"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The provider {name} isn't shared with this project any more.",
            advice="Ask who has shared it, or use another one.",
        )


class FingerprintMismatch(AccessDenied):
    """A server showed another certificate than the one that was pinned."""

    code = "fingerprint-mismatch"


class SourceRunning(Conflict):
    """A source machine that was to be off runs, or has run: what it wrote is missing at the target."""

    code = "source-running"


class Unreachable(LongshoreError):
    """A server didn't answer."""

    code = "unreachable"


class ProviderError(LongshoreError):
    """A cloud answered with an error that isn't one of the others."""

    code = "provider-error"


DISK_HELD = "disk-held"  # code of a Conflict where a running machine lets nobody else read its disk
FAULT = "cloud-fault"  # code of a ProviderError where the cloud speaks of an error of its own, and gives no reason


class QuotaExceeded(LongshoreError):
    """The target project's quota has no room for what is asked."""

    code = "quota-exceeded"


class ExportError(LongshoreError):
    """An NBD server couldn't be started, or ended on its own; its last words are in the message."""

    code = "export-failed"


class CopyError(LongshoreError):
    """Reading or writing blocks failed for good; the message names disk, offset and length (bytes)."""

    code = "copy-failed"


class VerificationError(CopyError):
    """The target, read back, isn't what was copied, twice; the message names the byte ranges."""

    code = "verification-failed"


class CheckpointError(CopyError):
    """A checkpoint or manifest is damaged, or belongs to another copy."""

    code = "checkpoint-refused"


class CheckpointLocked(CheckpointError):
    """Another copy is using a checkpoint; or was, on a machine whose death its file system hasn't noticed yet."""

    code = "checkpoint-locked"


class CheckpointMisfit(CheckpointError):
    """A checkpoint is damaged or another copy's: without it, the copy begins anew, which is always right."""

    code = "checkpoint-misfit"


class ConversionError(LongshoreError):
    """The guest couldn't be made ready for its new hardware."""

    code = "conversion-failed"


class BootError(LongshoreError):
    """The server was made but didn't come up."""

    code = "boot-failed"


class Cancelled(LongshoreError):
    """Stopped because the user asked for it."""

    code = "cancelled"


class HookError(LongshoreError):
    """A user's playbook failed."""

    code = "hook-failed"


class NotInstalled(LongshoreError):
    """A program, or a library for Python, isn't on this machine; nothing was changed."""

    code = "not-installed"


class NotConfined(LongshoreError):
    """This machine can't confine a program that looks at strangers' bytes, so it isn't started: no second try helps."""

    code = "not-confined"


class Overstepped(LongshoreError):
    """A look at what strangers have made took more time or memory than it may: a second try would, too."""

    code = "too-much-work"


class Busy(LongshoreError):
    """The caller's project has as much under way as it may."""

    code = "too-many-requests"
