"""VMware vSphere as a source: a vCenter (or a single ESXi host) through pyVmomi, its disks through VDDK or SSH."""

from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.disks import library
from longshore.providers.vsphere.host_keys import none_given as no_host_keys
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.source import VsphereSource
from longshore.providers.vsphere.ssh_disks import usable_key as usable_ssh_key

__all__ = ["VsphereSettings", "VsphereSource", "fetch_fingerprint", "library", "no_host_keys", "usable_ssh_key"]
