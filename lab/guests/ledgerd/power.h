/* The ACPI power button, for the guest that has no systemd-logind. */
#ifndef LEDGERD_POWER_H
#define LEDGERD_POWER_H

#include <poll.h>

enum { MAX_BUTTONS = 8 };

/* Every input device with a power key: QEMU's q35 has two buttons and presses only one of them. */
int power_buttons (struct pollfd buttons[MAX_BUTTONS]);
int power_pressed (const struct pollfd *buttons, int count);

#endif
