#include "cmdline.h"

#include <stdio.h>
#include <string.h>

int
told (const char *word, char *value, size_t size)
{
	FILE *file = fopen ("/proc/cmdline", "re");
	char line[1024] = "", *found = NULL;

	if (file && fgets (line, sizeof line, file) && (found = strstr (line, word)))
		snprintf (value, size, "%.*s", (int) strcspn (found + strlen (word), " \n"), found + strlen (word));
	if (file)
		fclose (file);
	return found != NULL;
}
