#define _GNU_SOURCE
#include "init.h"

#include "console.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DISK_WAIT_SECONDS = 30 };

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

/* No address: many machines run from this one image. */
void
init_nics_up (void)
{
	struct if_nameindex *names = if_nameindex ();
	int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (struct if_nameindex *each = names; each && each->if_index; each++) {
		struct ifreq request = { 0 };

		snprintf (request.ifr_name, sizeof request.ifr_name, "%s", each->if_name);
		if (!ioctl (fd, SIOCGIFFLAGS, &request)) {
			request.ifr_flags |= IFF_UP;
			ioctl (fd, SIOCSIFFLAGS, &request);
		}
	}
	if (names)
		if_freenameindex (names);
	if (fd >= 0)
		close (fd);
}

int
init_pace (int otherwise)
{
	FILE *file = fopen ("/proc/cmdline", "re");
	char line[1024] = "", *option;

	if (file && fgets (line, sizeof line, file) && (option = strstr (line, "ledgerd.pace=")))
		otherwise = atoi (option + strlen ("ledgerd.pace="));
	if (file)
		fclose (file);
	return otherwise;
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
