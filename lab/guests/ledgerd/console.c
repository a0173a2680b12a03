#include "console.h"

#include "cmdline.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static int console = 1;

/* Not /dev/console: systemd hangs that up now and then. Nor kmsg: the kernel limits its rate. A guest that is to be
   silent has its words on its screen alone, as Windows has. */
void
console_open (void)
{
	char silent[2];
	int fd = told ("ledgerd.silent", silent, sizeof silent) ? -1 : open ("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		console = fd;
}

/* One write per line. Others write here, too, so a line of ours may begin behind the half of one of theirs. */
void
say (const char *format, ...)
{
	char line[512];
	int used = snprintf (line, sizeof line, "LONGSHORE-WRITER ");
	va_list values;

	va_start (values, format);
	used += vsnprintf (line + used, sizeof line - used, format, values);
	va_end (values);
	if (used > (int) sizeof line - 2)
		used = sizeof line - 2;
	line[used++] = '\n';
	if (write (console, line, used) < 0)
		return;		/* a guest without a console goes on writing its records */
}
