/* Words on the kernel's command line that the tiny guest is told how to behave by. */
#ifndef LEDGERD_CMDLINE_H
#define LEDGERD_CMDLINE_H

#include <stddef.h>

/* What follows WORD, until the next word; 0 when it isn't there. */
int told (const char *word, char *value, size_t size);

#endif
