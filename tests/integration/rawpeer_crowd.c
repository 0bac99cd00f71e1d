/* crowd WHAT COUNT: so many connections, each from an address of its own in 127.0.0.0/8, that are never more than half open, until SIGTERM. Where the
 * node closes one, it is made anew a second later. WHAT:
 *
 *   silent    says nothing                             drip    sends message 1 at a byte a second
 *   half      half of message 1, and nothing more      first   message 1, and nothing after its answer
 *   mixed     each of these in turn
 *   record    one alone, a member: handshake, HELLO, and then a record at a byte a second
 *
 * Prints how many were made, how many of those the node has closed, and how many stood at once at most, as far as this end could tell.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/rawpeer.h"

#define AGAIN_MS 1000
#define DRIP_MS 1000
#define TURN_MS 10
#define OF_A_TURN 500 /* connections, so that they do not all come in one moment: the node's queue takes 128 */

enum what { SILENT, DRIP, HALF, FIRST, WHATS };

static struct one {
	enum what what;
	bool is_made; /* connected */
	uint64_t at_ms; /* the next byte, or the next attempt */
	size_t sent;
	uint8_t first[PL_HANDSHAKE_BYTES_1];
} *all;
static struct pollfd *fds;
static size_t crowd_count;
static unsigned long long made, closed;
static size_t open_now, open_max;
static struct sockaddr_in to;
static volatile sig_atomic_t has_to_end;

static void on_term(int number)
{
	(void)number;
	has_to_end = 1;
}

static void lose(size_t i)
{
	close(fds[i].fd);
	fds[i].fd = -1;
	open_now -= all[i].is_made;
	all[i].is_made = false;
	all[i].at_ms = peer_clock_ms() + AGAIN_MS;
}

static void begin(size_t i)
{
	/* 127.64.0.1 and on: not where honest nodes dial from */
	const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f400001 + (uint32_t)i) } };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	fds[i] = (struct pollfd){ fd, POLLOUT, 0 };
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 || bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0)
		peer_fail(strerror(errno));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		lose(i);
}

static void say(size_t i, size_t count)
{
	struct one *one = &all[i];

	if (count > sizeof(one->first) - one->sent)
		count = sizeof(one->first) - one->sent;
	if (count > 0 && send(fds[i].fd, one->first + one->sent, count, MSG_NOSIGNAL) > 0)
		one->sent += count;
}

/* It is connected. */
static void speak(size_t i)
{
	struct one *one = &all[i];
	static struct peer speaker;

	one->is_made = true;
	one->sent = 0;
	made++;
	if (++open_now > open_max)
		open_max = open_now;
	fds[i].events = POLLIN;
	one->at_ms = peer_clock_ms() + DRIP_MS;
	if (one->what == SILENT)
		return;
	memcpy(speaker.static_secret, peer_keys.noise_secret, sizeof(speaker.static_secret));
	memcpy(speaker.network_id, peer_charter.network_id, sizeof(speaker.network_id));
	peer_first(&speaker, peer_wall_ms(), one->first);
	say(i, one->what == DRIP ? 1 : one->what == HALF ? sizeof(one->first) / 2 : sizeof(one->first));
}

static void hear(size_t i)
{
	uint8_t bytes[256];

	for (;;) {
		const ssize_t count = recv(fds[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (count < 0 && errno == EAGAIN)
			return;
		if (count > 0)
			continue;
		closed++;
		lose(i);
		return;
	}
}

static void turn(void)
{
	unsigned begun = 0;
	const uint64_t now_ms = peer_clock_ms();

	for (size_t i = 0; i < crowd_count; i++) {
		if (fds[i].fd < 0 && now_ms >= all[i].at_ms && begun++ < OF_A_TURN)
			begin(i);
		else if (fds[i].fd >= 0 && all[i].is_made && all[i].what == DRIP && now_ms >= all[i].at_ms) {
			say(i, 1);
			all[i].at_ms = now_ms + DRIP_MS;
		}
	}
	if (poll(fds, crowd_count, TURN_MS) < 0 && errno != EINTR)
		peer_fail(strerror(errno));
	for (size_t i = 0; i < crowd_count; i++) {
		if (fds[i].fd < 0 || !fds[i].revents)
			continue;
		if (all[i].is_made)
			hear(i);
		else if (fds[i].revents & (POLLERR | POLLHUP))
			lose(i);
		else
			speak(i);
	}
}

/* A member whose record never comes to its end. Goes on until it is cut; then the next one. */
static void drip_records(const char *address)
{
	static struct peer peer;
	static uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	static const uint8_t filler[PL_FRAME_PAYLOAD_BYTES_MAX];
	const struct timespec pause = { DRIP_MS / 1000, 0 };

	for (made = 0; !has_to_end; made++) {
		peer_dial(&peer, address);
		peer_go_live(&peer);
		peer_frame(&peer, 99, PL_FRAME_OPTIONAL, 0, filler, sizeof(filler));
		(void)peer_seal(&peer, record);
		peer.is_mute = true; /* a PONG would come between */
		if (made == 0)
			fputs("told\n", stderr);
		for (size_t at = 0; at < sizeof(record) && !has_to_end && peer_hear(&peer, 0); at++) {
			peer_send(&peer, record + at, 1);
			nanosleep(&pause, NULL);
		}
		closed += peer.ended;
		peer_close(&peer);
	}
	open_max = 1;
}

void rawpeer_crowd(const char *address, int args_count, char **args)
{
	static const char *const names[] = { "silent", "drip", "half", "first" };
	struct rlimit limit;
	int what = -1;

	if (args_count != 2)
		peer_fail("usage: crowd WHAT COUNT");
	for (int i = 0; i < WHATS; i++) {
		if (strcmp(args[0], names[i]) == 0)
			what = i;
	}
	signal(SIGTERM, on_term);
	if (strcmp(args[0], "record") == 0) {
		drip_records(address);
	} else {
		crowd_count = strtoul(args[1], NULL, 10);
		all = calloc(crowd_count, sizeof(*all));
		fds = calloc(crowd_count, sizeof(*fds));
		if (crowd_count == 0 || !all || !fds || getrlimit(RLIMIT_NOFILE, &limit) != 0)
			peer_fail("COUNT cannot be had");
		limit.rlim_cur = limit.rlim_max;
		if (limit.rlim_max < crowd_count + 16 || setrlimit(RLIMIT_NOFILE, &limit) != 0)
			peer_fail("there are not as many file descriptors (ulimit -n)");
		to = peer_parse(address);
		for (size_t i = 0; i < crowd_count; i++) {
			all[i].what = what >= 0 ? (enum what)what : (enum what)(i % WHATS);
			fds[i].fd = -1;
		}
		for (size_t turns = 0; !has_to_end; turns++) {
			turn();
			if (turns * OF_A_TURN < crowd_count && (turns + 1) * OF_A_TURN >= crowd_count)
				fputs("told\n", stderr);
		}
	}
	printf("%llu connections made, %llu closed by the node, %zu at once\n", made, closed, open_max);
}
