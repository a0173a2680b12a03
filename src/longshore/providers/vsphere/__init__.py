"""VMware vSphere as a source: a vCenter (or a single ESXi host) through pyVmomi, its disks through VDDK or SSH."""
