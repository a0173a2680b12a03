#include "power.h"

#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int
power_buttons (struct pollfd buttons[MAX_BUTTONS])
{
	int count = 0;

	for (int i = 0; i < 32 && count < MAX_BUTTONS; i++) {
		unsigned char keys[KEY_MAX / 8 + 1] = { 0 };
		char path[32];
		int fd;

		snprintf (path, sizeof path, "/dev/input/event%d", i);
		if ((fd = open (path, O_RDONLY | O_CLOEXEC)) < 0)
			continue;
		if (ioctl (fd, EVIOCGBIT (EV_KEY, sizeof keys), keys) < 0 || !(keys[KEY_POWER / 8] >> KEY_POWER % 8 & 1)) {
			close (fd);
			continue;
		}
		buttons[count++] = (struct pollfd) { fd, POLLIN, 0 };
	}
	return count;
}

int
power_pressed (const struct pollfd *buttons, int count)
{
	for (int i = 0; i < count; i++) {
		struct input_event event;

		if (buttons[i].revents && read (buttons[i].fd, &event, sizeof event) == sizeof event
		    && event.type == EV_KEY && event.code == KEY_POWER && event.value == 1)
			return 1;
	}
	return 0;
}
