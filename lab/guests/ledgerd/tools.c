#define _GNU_SOURCE
#include "tools.h"

#include "console.h"
#include "machine.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_FILESYSTEMS = 4, FROZEN_SECONDS = 30 };	/* a hypervisor that went away must not leave us frozen */

static int port, filesystems[MAX_FILESYSTEMS], filesystem_count, frozen;

/* 0, or -1 with errno set and everything as it was. The console and this thread touch no file system meanwhile. */
static int
freeze (void)
{
	int done;

	if (frozen) {
		errno = EBUSY;
		return -1;
	}
	writer_hold ();
	for (done = 0; done < filesystem_count; done++)
		if (ioctl (filesystems[done], FIFREEZE, 0)) {
			int reason = errno;

			while (done--)
				ioctl (filesystems[done], FITHAW, 0);
			writer_release ();
			errno = reason;
			return -1;
		}
	frozen = 1;
	return 0;
}

static int
thaw (void)
{
	int failed = 0;

	if (!frozen) {
		errno = EINVAL;
		return -1;
	}
	for (int i = filesystem_count; i--;)
		if (ioctl (filesystems[i], FITHAW, 0))
			failed = errno;
	frozen = 0;
	writer_release ();
	errno = failed;
	return failed ? -1 : 0;
}

static void
answer_outcome (int failed, const char *done)
{
	if (failed)
		dprintf (port, "error %s\n", strerror (errno));
	else
		dprintf (port, "%s\n", done);
}

static void
answer (const char *line)
{
	char text[4096];
	int value = atoi (line + strcspn (line, " "));

	if (!strcmp (line, "ping"))
		dprintf (port, "pong %llu %llu\n", (unsigned long long) writer_acknowledged (), (unsigned long long) load_bytes ());
	else if (!strcmp (line, "info")) {
		machine_json (text, sizeof text);
		dprintf (port, "%s\n", text);
	} else if (!strcmp (line, "freeze"))
		answer_outcome (freeze (), "frozen");
	else if (!strcmp (line, "thaw"))
		answer_outcome (thaw (), "thawed");
	else if (!strcmp (line, "pause") || !strcmp (line, "resume")) {
		writer_pause (*line == 'p');
		dprintf (port, "%sd\n", line);
	} else if (!strncmp (line, "pace ", 5)) {
		writer_pace (value);
		dprintf (port, "pace %d\n", value);
	} else if (!strncmp (line, "heavy ", 6)) {
		load_rate (value);
		dprintf (port, "heavy %d\n", value);
	} else
		dprintf (port, "unknown\n");
}

static void *
serve (void *unused)
{
	char line[128];
	size_t used = 0;

	(void) unused;
	dprintf (port, "tools up\n");
	for (;;) {
		struct pollfd ready = { port, POLLIN, 0 };
		char byte;

		if (!poll (&ready, 1, frozen ? FROZEN_SECONDS * 1000 : -1)) {
			thaw ();
			say ("thawed after %d seconds without being asked to", FROZEN_SECONDS);
			continue;
		}
		if (read (port, &byte, 1) != 1) {
			usleep (100000);
			continue;
		}
		if (byte != '\n') {
			if (used < sizeof line - 1)
				line[used++] = byte;
			continue;
		}
		line[used] = 0;
		line[strcspn (line, "\r")] = 0;
		used = 0;
		if (*line)
			answer (line);
	}
	return NULL;
}

void
tools_start (const int *directories, int count)
{
	struct termios settings;
	pthread_t thread;

	port = open ("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (port < 0 || tcgetattr (port, &settings)) {	/* the node is there on machines without the port, too */
		say ("no tools port");
		return;
	}
	cfmakeraw (&settings);
	cfsetspeed (&settings, B115200);
	tcsetattr (port, TCSANOW, &settings);
	filesystem_count = count;
	memcpy (filesystems, directories, count * sizeof *directories);
	if (pthread_create (&thread, NULL, serve, NULL))
		say ("no tools thread");
}
