#define _GNU_SOURCE
#include "machine.h"

#include "console.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <limits.h>
#include <mntent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MAX_NICS = 16, ADDRESSES_SIZE = 256 };

struct nic {
	char name[IF_NAMESIZE], mac[24], driver[32];
	char addresses[ADDRESSES_SIZE];		/* "10.0.0.1/24,2001:db8::1/64"; link-local ones left out */
};

static int
read_line (const char *path, char *text, int size)
{
	FILE *file = fopen (path, "re");
	int got = file && fgets (text, size, file);

	if (file)
		fclose (file);
	if (!got)
		*text = 0;
	text[strcspn (text, "\n")] = 0;
	return got;
}

/* The driver of the hardware below a sysfs device: a SCSI disk's own driver is sd, the adapter's is what counts. */
static void
hardware_driver (const char *sysfs_path, char *driver, size_t size)
{
	char path[PATH_MAX], link[PATH_MAX + 8], target[PATH_MAX];

	snprintf (driver, size, "none");
	if (!realpath (sysfs_path, path))
		return;
	for (; strlen (path) > strlen ("/sys/devices"); dirname (path)) {
		ssize_t length;
		const char *name;

		snprintf (link, sizeof link, "%s/driver", path);
		if ((length = readlink (link, target, sizeof target - 1)) < 0)
			continue;
		target[length] = 0;
		name = basename (target);
		if (!strcmp (name, "sd"))
			continue;
		snprintf (driver, size, "%.30s", name);
		return;
	}
}

static int
is_disk (const struct dirent *entry)
{
	return !strncmp (entry->d_name, "sd", 2) || !strncmp (entry->d_name, "vd", 2) || !strncmp (entry->d_name, "nvme", 4);
}

void
say_disks (void)
{
	struct dirent **entries;
	int count = scandir ("/sys/block", &entries, is_disk, alphasort);

	for (int i = 0; i < count; i++) {
		char path[PATH_MAX], sectors[32], driver[32];

		snprintf (path, sizeof path, "/sys/block/%s/size", entries[i]->d_name);
		read_line (path, sectors, sizeof sectors);
		snprintf (path, sizeof path, "/sys/block/%s", entries[i]->d_name);
		hardware_driver (path, driver, sizeof driver);
		say ("disk name=%s driver=%s size=%llu", entries[i]->d_name, driver, strtoull (sectors, NULL, 10) * 512);
		free (entries[i]);
	}
	if (count >= 0)
		free (entries);
}

void
say_mounts (void)
{
	FILE *file = setmntent ("/proc/self/mounts", "re");
	struct mntent *mount;

	while (file && (mount = getmntent (file)))
		if (!strncmp (mount->mnt_fsname, "/dev/", 5))
			say ("mount %s %s", mount->mnt_dir, mount->mnt_fsname);
	if (file)
		endmntent (file);
}

/* Needs efivarfs mounted, as systemd does it; the variable's value comes behind four bytes of attributes. */
void
say_firmware (void)
{
	unsigned char variable[5] = "";
	FILE *file;

	if (access ("/sys/firmware/efi", F_OK)) {
		say ("firmware bios");
		return;
	}
	file = fopen ("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "re");
	say ("firmware uefi secure-boot=%s", file && fread (variable, sizeof variable, 1, file) && variable[4] ? "on" : "off");
	if (file)
		fclose (file);
}

static int
prefix_length (const struct sockaddr *mask)
{
	const unsigned char *bytes;
	int size, bits = 0;

	if (!mask)
		return 0;
	if (mask->sa_family == AF_INET6) {
		bytes = ((const struct sockaddr_in6 *) (const void *) mask)->sin6_addr.s6_addr;
		size = 16;
	} else {
		bytes = (const void *) &((const struct sockaddr_in *) (const void *) mask)->sin_addr;
		size = 4;
	}
	for (int i = 0; i < size; i++)
		bits += __builtin_popcount (bytes[i]);
	return bits;
}

static void
add_address (struct nic *nic, const struct ifaddrs *interface)
{
	char text[INET6_ADDRSTRLEN];
	const void *address;
	size_t used = strlen (nic->addresses);

	if (interface->ifa_addr->sa_family == AF_INET)
		address = &((struct sockaddr_in *) (void *) interface->ifa_addr)->sin_addr;
	else
		address = &((struct sockaddr_in6 *) (void *) interface->ifa_addr)->sin6_addr;
	if (interface->ifa_addr->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL ((const struct in6_addr *) address))
		return;
	if (!inet_ntop (interface->ifa_addr->sa_family, address, text, sizeof text))
		return;
	snprintf (nic->addresses + used, sizeof nic->addresses - used, "%s%s/%d", used ? "," : "", text,
		  prefix_length (interface->ifa_netmask));
}

static int
is_nic (const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp (entry->d_name, "lo");
}

static int
find_nics (struct nic *nics)
{
	struct dirent **entries;
	struct ifaddrs *interfaces;
	int count = scandir ("/sys/class/net", &entries, is_nic, alphasort), used = 0;

	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];
		struct nic *nic = &nics[used];

		snprintf (path, sizeof path, "/sys/class/net/%s/device", entries[i]->d_name);
		if (used < MAX_NICS && !access (path, F_OK)) {	/* hardware only */
			memset (nic, 0, sizeof *nic);
			snprintf (nic->name, sizeof nic->name, "%.15s", entries[i]->d_name);
			hardware_driver (path, nic->driver, sizeof nic->driver);
			snprintf (path, sizeof path, "/sys/class/net/%s/address", entries[i]->d_name);
			read_line (path, nic->mac, sizeof nic->mac);
			used++;
		}
		free (entries[i]);
	}
	if (count >= 0)
		free (entries);
	if (getifaddrs (&interfaces))
		return used;
	for (struct ifaddrs *each = interfaces; each; each = each->ifa_next)
		for (int i = 0; i < used; i++)
			if (each->ifa_addr && !strcmp (each->ifa_name, nics[i].name)
			    && (each->ifa_addr->sa_family == AF_INET || each->ifa_addr->sa_family == AF_INET6))
				add_address (&nics[i], each);
	freeifaddrs (interfaces);
	return used;
}

/* The network comes up, and may change, on its own time: say each card again when it looks different. */
void
say_nics_if_changed (void)
{
	static struct nic said[MAX_NICS];
	struct nic nics[MAX_NICS] = { 0 };
	int count = find_nics (nics);

	for (int i = 0; i < count; i++)
		if (memcmp (&said[i], &nics[i], sizeof nics[i]))
			say ("nic name=%s mac=%s driver=%s addr=%s", nics[i].name, nics[i].mac, nics[i].driver,
			     *nics[i].addresses ? nics[i].addresses : "-");
	memcpy (said, nics, sizeof said);
}

static void
os_name (char *text, size_t size)
{
	FILE *file = fopen ("/etc/os-release", "re");
	char line[128];
	struct utsname kernel;

	uname (&kernel);
	snprintf (text, size, "Linux %s", kernel.release);
	while (file && fgets (line, sizeof line, file))
		if (!strncmp (line, "PRETTY_NAME=\"", 13))
			snprintf (text, size, "%.*s", (int) strcspn (line + 13, "\""), line + 13);
	if (file)
		fclose (file);
}

void
machine_json (char *text, size_t size)
{
	struct nic nics[MAX_NICS] = { 0 };
	char host[HOST_NAME_MAX + 1] = "", os[128];
	int count = find_nics (nics);
	FILE *out = fmemopen (text, size, "w");

	gethostname (host, sizeof host);
	os_name (os, sizeof os);
	fprintf (out, "{\"hostname\": \"%s\", \"os\": \"%s\", \"nics\": [", host, os);
	for (int i = 0; i < count; i++) {
		char *rest = nics[i].addresses, *address;

		fprintf (out, "%s{\"name\": \"%s\", \"mac\": \"%s\", \"addrs\": [", i ? ", " : "", nics[i].name, nics[i].mac);
		for (int n = 0; rest && *rest && (address = strsep (&rest, ",")); n++)
			fprintf (out, "%s\"%s\"", n ? ", " : "", address);
		fprintf (out, "]}");
	}
	fprintf (out, "]}");
	fclose (out);
}
