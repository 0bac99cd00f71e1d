#include "node/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/visible.h"

static bool send_text(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (!path || (path[0] != '/' && path[0] != '@') || path[1] == '\0')
		return false;
	size_t length = strlen(path);
	if (length >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, length);
	socklen_t address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	if (path[0] == '@') { /* an abstract name starts with NUL, and has none at its end */
		address.sun_path[0] = '\0';
		address_bytes--;
	}
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	ssize_t sent;
	do
		sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, address_bytes);
	while (sent < 0 && errno == EINTR);
	close(fd);
	return sent == (ssize_t)strlen(text);
}

static bool send_status(const char *state, const char *status)
{
	char text[512], shown[400];
	pl_visible(status, strlen(status), shown, sizeof(shown)); /* a line break would be another assignment */
	snprintf(text, sizeof(text), "%sSTATUS=%s", state, shown);
	return send_text(text);
}

bool pl_notify_ready(const char *status) { return send_status("READY=1\n", status); }
bool pl_notify_stopping(const char *status) { return send_status("STOPPING=1\n", status); }
bool pl_notify_watchdog(void) { return send_text("WATCHDOG=1"); }

uint64_t pl_notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	errno = 0;
	unsigned long long interval = strtoull(usec, &end, 10);
	if (errno != 0 || *usec < '0' || *usec > '9' || *end != '\0')
		return 0;
	return interval / 2000;
}
