"""Machines as they are: a QEMU process each, disks as chains of layers, a channel into the guest; no vSphere."""

from .chain import Chain
from .machine import Busy, DiskFiles, Machine, MachineError

__all__ = ["Busy", "Chain", "DiskFiles", "Machine", "MachineError"]
