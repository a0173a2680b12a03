"""VMware vSphere as a source: a vCenter (or a single ESXi host) through pyVmomi, its disks through VDDK."""

from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.disks import library
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource

__all__ = ["VsphereSettings", "VsphereSource", "fetch_fingerprint", "library"]
