#define _GNU_SOURCE
#include "init.h"

#include "cmdline.h"
#include "console.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AGENT_PORT "org.qemu.guest_agent.0"

enum { DISK_WAIT_SECONDS = 30, AGENT_WAIT_SECONDS = 5 };

static char root_device[64], data_device[64];

void
init_begin (void)
{
	mkdir ("/dev", 0755);
	mkdir ("/proc", 0755);
	mkdir ("/sys", 0755);
	mkdir (TINY_ROOT, 0755);
	mount ("dev", "/dev", "devtmpfs", 0, "");
	mount ("proc", "/proc", "proc", 0, "");
	mount ("sys", "/sys", "sysfs", 0, "");
	sethostname ("tiny", 4);
}

/* /modules/list names the files in the order they need each other. */
void
init_modules (void)
{
	FILE *list = fopen ("/modules/list", "re");
	char name[128], path[160];

	while (list && fgets (name, sizeof name, list)) {
		int fd;

		name[strcspn (name, "\n")] = 0;
		snprintf (path, sizeof path, "/modules/%s", name);
		fd = open (path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall (SYS_finit_module, fd, "", 0) && errno != EEXIST && errno != ENODEV))
			say ("module %s: %s", name, strerror (errno));
		if (fd >= 0)
			close (fd);
	}
	if (list)
		fclose (list);
}

/* The root disk is the one with a second partition; the data disk has none. Names and buses don't matter. */
static int
look_for_disks (void)
{
	DIR *directory = opendir ("/sys/block");
	struct dirent *entry;

	while (directory && (entry = readdir (directory))) {
		char path[80];

		if (strncmp (entry->d_name, "sd", 2) && strncmp (entry->d_name, "vd", 2))
			continue;
		snprintf (path, sizeof path, "/dev/%.32s2", entry->d_name);
		if (!access (path, F_OK))
			snprintf (root_device, sizeof root_device, "%s", path);
		else {
			path[strlen (path) - 1] = 0;
			if (!access (path, F_OK))
				snprintf (data_device, sizeof data_device, "%s", path);
		}
	}
	if (directory)
		closedir (directory);
	return *root_device && *data_device;
}

const char *
init_disks (void)
{
	/* A disk's partitions come a moment after the disk itself: what looks like a data disk may not be one yet. */
	for (int i = 0; i < DISK_WAIT_SECONDS * 20; i++) {
		*root_device = *data_device = 0;
		if (look_for_disks ())
			return mount (root_device, TINY_ROOT, "ext4", MS_NOATIME, "") ? NULL : data_device;
		usleep (50000);
	}
	errno = ENODEV;
	return NULL;
}

int
init_pace (int otherwise)
{
	char pace[16];

	return told ("ledgerd.pace=", pace, sizeof pace) ? atoi (pace) : otherwise;
}

/* Nobody makes the port's link in /dev/virtio-ports here. 0 when there is no such port. */
static int
agent_port (char *path, size_t size)
{
	DIR *directory = opendir ("/sys/class/virtio-ports");
	struct dirent *entry;
	int found = 0;

	while (directory && !found && (entry = readdir (directory))) {
		char name[64] = "", file[320];
		FILE *opened;

		snprintf (file, sizeof file, "/sys/class/virtio-ports/%s/name", entry->d_name);
		if (!(opened = fopen (file, "re")))
			continue;
		if (fgets (name, sizeof name, opened) && !strncmp (name, AGENT_PORT, strlen (AGENT_PORT))) {
			snprintf (path, size, "/dev/%s", entry->d_name);
			found = 1;
		}
		fclose (opened);
	}
	if (directory)
		closedir (directory);
	return found;
}

void
init_agent (void)
{
	char wanted[2], port[300];
	sigset_t none;

	if (!told ("ledgerd.agent", wanted, sizeof wanted))
		return;
	for (int i = 0; !agent_port (port, sizeof port); i++) {
		if (i == AGENT_WAIT_SECONDS * 20) {
			say ("no agent port");
			return;
		}
		usleep (50000);
	}
	mkdir ("/run", 0755);
	if (fork ())
		return;
	sigemptyset (&none);
	sigprocmask (SIG_SETMASK, &none, NULL);
	execl ("/bin/qemu-ga", "qemu-ga", "-m", "virtio-serial", "-p", port, "-t", "/run", "-F/init", NULL);
	say ("no agent: %s", strerror (errno));
	_exit (1);
}

void
init_power_off (void)
{
	if (umount (TINY_ROOT))
		say ("unmounting: %s", strerror (errno));
	sync ();
	usleep (50000);		/* the last line is still on its way through the serial port */
	reboot (RB_POWER_OFF);
	for (;;)
		pause ();
}
