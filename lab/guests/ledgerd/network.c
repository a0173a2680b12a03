#define _GNU_SOURCE
#include "network.h"

#include "cmdline.h"
#include "console.h"
#include "writer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void
set_up (int fd, const char *name)
{
	struct ifreq request = { 0 };

	snprintf (request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (!ioctl (fd, SIOCGIFFLAGS, &request)) {
		request.ifr_flags |= IFF_UP;
		ioctl (fd, SIOCSIFFLAGS, &request);
	}
}

static void
fill (struct sockaddr *into, uint32_t address)
{
	struct sockaddr_in filled = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (address) };

	memcpy (into, &filled, sizeof filled);
}

/* 0, or -1 with errno set. */
static int
give_address (int fd, const char *name, uint32_t address, uint32_t mask)
{
	struct ifreq request = { 0 };
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	snprintf (request.ifr_name, sizeof request.ifr_name, "%s", name);
	fill (&request.ifr_addr, address);
	if (ioctl (fd, SIOCSIFADDR, &request))
		return -1;
	fill (&request.ifr_netmask, mask);
	if (ioctl (fd, SIOCSIFNETMASK, &request))
		return -1;
	set_up (fd, name);
	fill (&route.rt_dst, 0);
	fill (&route.rt_genmask, 0);
	fill (&route.rt_gateway, (address & mask) + 1);
	return ioctl (fd, SIOCADDRT, &route);
}

/* Without being told so no address: many machines run from one image. */
void
network_up (void)
{
	struct if_nameindex *names = if_nameindex ();
	int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), prefix;
	char wanted[32], *slash, *card = NULL;
	struct in_addr address;

	for (struct if_nameindex *each = names; each && each->if_index; each++) {
		set_up (fd, each->if_name);
		if (!card && strcmp (each->if_name, "lo"))
			card = each->if_name;
	}
	if (card && told ("ledgerd.address=", wanted, sizeof wanted) && (slash = strchr (wanted, '/'))) {
		*slash = 0;
		prefix = atoi (slash + 1);
		if (prefix < 1 || prefix > 30 || !inet_aton (wanted, &address)
		    || give_address (fd, card, ntohl (address.s_addr), ~0u << (32 - prefix)))
			say ("failed address %s: %s", wanted, strerror (errno));
	}
	if (names)
		if_freenameindex (names);
	if (fd >= 0)
		close (fd);
}

static void *
answer (void *listening)
{
	for (;;) {
		int caller = accept4 ((int) (intptr_t) listening, NULL, NULL, SOCK_CLOEXEC);

		if (caller < 0)
			continue;
		dprintf (caller, "acknowledged %llu\n", (unsigned long long) writer_acknowledged ());
		close (caller);
	}
	return NULL;
}

void
network_answer (void)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	pthread_t thread;
	char port[8];
	int fd;

	if (!told ("ledgerd.port=", port, sizeof port))
		return;
	here.sin_port = htons (atoi (port));
	fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind (fd, (const struct sockaddr *) &here, sizeof here) || listen (fd, 8)
	    || pthread_create (&thread, NULL, answer, (void *) (intptr_t) fd))
		say ("failed port %s: %s", port, strerror (errno));
}
