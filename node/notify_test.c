#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/notify.h"

/* A socket as systemd has it; name starts with / or @. */
static int open_manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *take(int fd)
{
	static char text[1024];
	ssize_t count = recv(fd, text, sizeof(text) - 1, 0);
	text[count > 0 ? count : 0] = '\0';
	return text;
}

Test(notify, states_arrive_as_systemd_reads_them)
{
	char path[64] = "/tmp/pl-notify-XXXXXX", name[96];
	cr_assert(mkdtemp(path));
	snprintf(name, sizeof(name), "%s/socket", path);
	int fd = open_manager(name);
	cr_assert(pl_notify_ready("3 links"));
	cr_assert_str_eq(take(fd), "READY=1\nSTATUS=3 links");
	cr_assert(pl_notify_watchdog());
	cr_assert_str_eq(take(fd), "WATCHDOG=1");
	cr_assert(pl_notify_stopping("goodbye"));
	cr_assert_str_eq(take(fd), "STOPPING=1\nSTATUS=goodbye");
	close(fd);
	unlink(name);
	rmdir(path);
	cr_assert(!pl_notify_watchdog(), "nobody listens any more");
}

Test(notify, abstract_sockets_work_too)
{
	char name[64];
	snprintf(name, sizeof(name), "@parley-notify-test-%ld", (long)getpid());
	int fd = open_manager(name);
	cr_assert(pl_notify_ready("up"));
	cr_assert_str_eq(take(fd), "READY=1\nSTATUS=up");
	close(fd);
}

Test(notify, a_status_is_one_line)
{
	char name[64], longer[2000];
	snprintf(name, sizeof(name), "@parley-notify-test-%ld", (long)getpid());
	int fd = open_manager(name);
	cr_assert(pl_notify_ready("a\nWATCHDOG=trigger\x1b"));
	cr_assert_str_eq(take(fd), "READY=1\nSTATUS=a\\nWATCHDOG=trigger\\x1b");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_assert(pl_notify_stopping(longer));
	cr_assert(strlen(take(fd)) < 512);
	close(fd);
}

Test(notify, without_a_manager_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	cr_assert(!pl_notify_ready("up"));
	static const char *const odd[] = { "", "/", "@", "relative", "/nowhere/at/all", "vsock:2:1234" };
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		setenv("NOTIFY_SOCKET", odd[i], 1);
		cr_assert(!pl_notify_ready("up"), "%s", odd[i]);
	}
	char longer[200] = "/";
	memset(longer + 1, 'l', sizeof(longer) - 2);
	setenv("NOTIFY_SOCKET", longer, 1);
	cr_assert(!pl_notify_ready("up"));
}

Test(notify, a_full_queue_does_not_block)
{
	char name[64];
	snprintf(name, sizeof(name), "@parley-notify-test-%ld", (long)getpid());
	int fd = open_manager(name);
	unsigned sent = 0;
	while (sent < 100000 && pl_notify_watchdog())
		sent++;
	cr_assert_lt(sent, 100000, "nobody reads, and the queue has no end");
	close(fd);
}

Test(notify, the_watchdog_wants_half_its_time)
{
	char pid[32];
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	cr_assert_eq(pl_notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	cr_assert_eq(pl_notify_watchdog_ms(), 15000);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	cr_assert_eq(pl_notify_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	cr_assert_eq(pl_notify_watchdog_ms(), 0, "it watches another process");
	unsetenv("WATCHDOG_PID");
	static const char *const odd[] = { "", "x", "-5", "5x", "99999999999999999999999" };
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		setenv("WATCHDOG_USEC", odd[i], 1);
		cr_assert_eq(pl_notify_watchdog_ms(), 0, "%s", odd[i]);
	}
}
