/* What this machine has: disks, network cards, mounts, firmware. Read from sysfs, so the same on every hypervisor. */
#ifndef LEDGERD_MACHINE_H
#define LEDGERD_MACHINE_H

#include <stddef.h>

void say_disks (void);
void say_mounts (void);
void say_firmware (void);
void say_nics_if_changed (void);

/* One line of JSON: {"hostname": …, "os": …, "nics": [{"name": …, "mac": …, "addrs": ["10.0.0.1/24"]}]} */
void machine_json (char *text, size_t size);

#endif
