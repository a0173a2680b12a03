/* The tools agent: answers the hypervisor's lines on the second serial port, as VMware Tools would on its own channel. */
#ifndef LEDGERD_TOOLS_H
#define LEDGERD_TOOLS_H

/* FILESYSTEMS: open directories, one per file system to freeze, innermost mount first. */
void tools_start (const int *filesystems, int count);

#endif
