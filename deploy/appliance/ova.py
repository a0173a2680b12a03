"""usage: ova.py DISK VERSION OVA    Write an OVA of the appliance's disk, by Longshore's own Python.

OVA is written in its directory, which is for nothing else.
"""

import sys
from pathlib import Path

from longshore.providers.vsphere.proxy_ova import pack_disk, write_ova

image, version, ova = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
disk, described = ova.with_name("longshore-disk1.vmdk"), ova.with_suffix(".ovf")
size = pack_disk(image, disk)
template = Path(__file__).with_name("appliance.ovf").read_text()
said = {"@DISK@": disk.name, "@STORED@": disk.stat().st_size, "@SIZE@": size, "@VERSION@": version}
for name, value in said.items():
    template = template.replace(name, str(value))
described.write_text(template)
write_ova(ova, described, disk)
