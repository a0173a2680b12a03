"""Machines in files as a source: OVAs, OVFs and loose disk images, in a directory or behind HTTPS."""

from longshore.providers.files.local import directory_above
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource

__all__ = ["FilesSettings", "FilesSource", "directory_above"]
