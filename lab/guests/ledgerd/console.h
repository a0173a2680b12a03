/* What the guest says to the world: lines "LONGSHORE-WRITER …" on its first serial port (see ../README.md). */
#ifndef LEDGERD_CONSOLE_H
#define LEDGERD_CONSOLE_H

void console_open (void);
void say (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

#endif
