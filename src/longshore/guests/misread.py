"""The reasons that are told when a guest's text is such that our own code raises: its files are strangers', and may say
anything."""

import sys
import traceback

from longshore.errors import LongshoreError


def reason(error: Exception) -> str:
    """Return why something couldn't be done, without a full stop at its end; how it came about goes to the log."""
    if isinstance(error, LongshoreError):
        return " ".join(error.message.split()).rstrip(".")
    if type(error) is RuntimeError:  # how guestfs raises everything
        return " ".join(str(error).split()).rstrip(".")
    traceback.print_exception(error, file=sys.stderr)
    return "something on its disks is in a form that Longshore can't read (the log says where that showed)"
