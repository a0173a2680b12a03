/* The tiny guest: this program is its first process, so it does what an init must. */
#ifndef LEDGERD_INIT_H
#define LEDGERD_INIT_H

#define TINY_ROOT "/root"		/* where the root disk's file system gets mounted */

void init_begin (void);			/* pseudo file systems */
void init_modules (void);
/* Finds the two disks and mounts the root disk's; answers the data disk's device, or NULL when they don't come. */
const char *init_disks (void);
int init_pace (int otherwise);		/* ledgerd.pace=MICROSECONDS on the kernel's command line */
void init_agent (void);			/* qemu-guest-agent, if ledgerd.agent is on the kernel's command line */
_Noreturn void init_power_off (void);

#endif
