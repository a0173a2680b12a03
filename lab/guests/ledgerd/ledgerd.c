/* ledgerd: a guest's reason to exist in the lab. It writes numbered records to two disks and says which ones are safe,
   so that whoever copies the disks can prove that nothing was lost. Runs as a service (Debian guest) or as the only
   process of a machine (tiny guest). */
#define _GNU_SOURCE
#include "console.h"
#include "init.h"
#include "machine.h"
#include "network.h"
#include "power.h"
#include "records.h"
#include "tools.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* The tiny guest's data disk has no file system: load goes to the first areas, records to the second. */
static const off_t raw_load_area = 8 << 20, raw_data_area = 128 << 20;

static struct stores stores;
static int filesystems[2], filesystem_count;

static void
fatal (const char *what)
{
	say ("failed %s: %s", what, strerror (errno));
	if (getpid () == 1)
		init_power_off ();
	exit (1);
}

static int
open_directory (const char *path)
{
	int fd;

	if ((mkdir (path, 0755) && errno != EEXIST) || (fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		fatal (path);
	return fd;
}

static int
open_in (int directory, const char *name, int flags, off_t size)
{
	int fd = openat (directory, name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
	struct stat status;

	if (fd < 0 || fstat (fd, &status) || (status.st_size < size && ftruncate (fd, size)) || fsync (fd) || fsync (directory))
		fatal (name);
	return fd;
}

static void
open_root (const char *path)
{
	int directory = open_directory (path);

	stores.root = open_in (directory, "journal", 0, 0);
	filesystems[filesystem_count++] = directory;
}

static void
open_data_directory (const char *path)
{
	int directory = open_directory (path);

	stores.data = open_in (directory, "slots", O_DIRECT, DATA_AREA_SIZE);
	stores.load = open_in (directory, "load", O_DIRECT, (off_t) LOAD_BLOCKS * LOAD_BLOCK);
	filesystems[filesystem_count++] = directory;
}

static void
open_data_device (const char *path)
{
	stores.data = stores.load = open (path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (stores.data < 0)
		fatal (path);
	stores.area = raw_data_area;
	stores.load_area = raw_load_area;
}

/* Answers the number of the next record. The root disk is written first, so it may be one ahead, never behind. */
static uint64_t
verify (void)
{
	struct findings root, data;

	if (verify_root (stores.root, &root) || verify_data (stores.data, stores.area, &data))
		fatal ("reading the ledger");
	root.bad += data.bad + (root.last != data.last && root.last != data.last + 1);
	say ("verified last=%llu root=%llu data=%llu bad=%llu", (unsigned long long) data.last, (unsigned long long) root.last,
	     (unsigned long long) data.last, (unsigned long long) root.bad);
	return data.last + 1;
}

/* Returns on SIGTERM or when the power button is pressed; once a second says what is new. */
static void
wait_for_end (const struct pollfd *buttons, int count, int signals)
{
	struct pollfd sources[MAX_BUTTONS + 1];

	memcpy (sources, buttons, count * sizeof *buttons);
	sources[count] = (struct pollfd) { signals, POLLIN, 0 };
	for (;;) {
		poll (sources, count + 1, 1000);
		if (sources[count].revents || power_pressed (sources, count))
			return;
		writer_report ();
		say_nics_if_changed ();
	}
}

static int
block_signals (void)
{
	sigset_t set;

	sigemptyset (&set);
	sigaddset (&set, SIGTERM);
	sigaddset (&set, SIGINT);
	sigprocmask (SIG_BLOCK, &set, NULL);
	return signalfd (-1, &set, SFD_CLOEXEC);
}

static int
open_tiny (void)
{
	const char *data_device;

	init_modules ();
	if (!(data_device = init_disks ()))
		fatal ("finding the disks");
	open_data_device (data_device);
	open_root (TINY_ROOT "/ledger");
	network_up ();
	init_agent ();
	return init_pace (100000);		/* under emulation a record costs milliseconds, and several guests write beside each other */
}

int
main (int argc, char **argv)
{
	int tiny = getpid () == 1, signals = block_signals (), button_count = 0, pace;
	struct pollfd buttons[MAX_BUTTONS];
	uint64_t next;

	if (tiny)
		init_begin ();
	else if (argc == 2) {		/* qemu-guest-agent runs us before it freezes and after it has thawed */
		console_open ();
		say ("agent %s", argv[1]);
		return 0;
	} else if (argc != 4) {
		fprintf (stderr, "usage: ledgerd ROOT-DIRECTORY DATA-DIRECTORY PACE-IN-MICROSECONDS\n");
		return 2;
	}
	console_open ();
	if (tiny) {
		pace = open_tiny ();
		button_count = power_buttons (buttons);		/* a press is heard from here on, long before "ready" */
	} else {
		open_data_directory (argv[2]);	/* before the root: file systems are frozen innermost first */
		open_root (argv[1]);
		pace = atoi (argv[3]);
	}
	say_disks ();
	say_mounts ();
	say_firmware ();
	next = verify ();
	say_nics_if_changed ();
	say ("ready next=%llu", (unsigned long long) next);
	writer_pace (pace);
	writer_start (&stores, next);
	tools_start (filesystems, filesystem_count);
	network_answer ();
	wait_for_end (buttons, button_count, signals);
	writer_stop ();
	writer_report ();
	say ("stopping last=%llu", (unsigned long long) writer_acknowledged ());
	if (!tiny)
		return 0;
	for (int i = 0; i < filesystem_count; i++)
		close (filesystems[i]);
	close (stores.root);
	close (stores.data);
	init_power_off ();
}
