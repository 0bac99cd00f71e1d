#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/net.h"
#include "proto/charter.h"
#include "proto/engine.h"

/* Two nets on one loop; `echo` gives back what it gets. */
struct side {
	struct pl_net *net;
	uint32_t link;
	uint16_t peer;
	bool up, down, echo;
	uint64_t address_hash;
	char why[160];
	size_t received, sent;
	uint8_t bytes[1 << 20];
	void (*then)(struct side *side);
};

static uv_loop_t loop;
static struct side a, b;
static uv_timer_t limit;
static uint32_t quiet_link = PL_LINK_NONE; /* of b: what it says ends the loop; otherwise what others say before is counted */
static size_t bytes_before_quiet;

static void on_up(void *ctx, uint32_t link, uint16_t peer, uint64_t address_hash)
{
	struct side *side = ctx;

	side->up = true;
	side->link = link;
	side->peer = peer;
	side->address_hash = address_hash;
	if (side->then)
		side->then(side);
}

static void on_down(void *ctx, uint32_t link, uint16_t peer, const char *why)
{
	struct side *side = ctx;

	side->down = true;
	side->link = link;
	side->peer = peer;
	snprintf(side->why, sizeof(side->why), "%s", why);
	uv_stop(&loop);
}

static void on_bytes(void *ctx, uint32_t link, const uint8_t *bytes, size_t count)
{
	struct side *side = ctx;

	if (quiet_link == link) {
		uv_stop(&loop);
		return;
	}
	if (quiet_link != PL_LINK_NONE) {
		bytes_before_quiet += count;
		return;
	}
	if (side->echo) {
		pl_net_send(side->net, link, bytes, count);
		return;
	}
	cr_assert_leq(side->received + count, sizeof(side->bytes));
	memcpy(side->bytes + side->received, bytes, count);
	side->received += count;
	if (side->received == sizeof(side->bytes))
		uv_stop(&loop);
}

static void on_sent(void *ctx, uint32_t link)
{
	struct side *side = ctx;

	cr_assert_eq(link, side->link);
	side->sent++;
}

static void on_limit(uv_timer_t *timer)
{
	(void)timer;
	cr_assert_fail("nothing has come within 10 s");
}

static void open_side(struct side *side)
{
	const struct pl_net_callbacks callbacks = { .ctx = side, .up = on_up, .down = on_down, .bytes = on_bytes, .sent = on_sent };

	cr_assert_eq(pl_net_new(&loop, &callbacks, &side->net), PL_OK);
}

static void setup(void)
{
	uv_loop_init(&loop);
	uv_timer_init(&loop, &limit);
	uv_timer_start(&limit, on_limit, 10000, 0);
	uv_unref((uv_handle_t *)&limit);
	open_side(&a);
	open_side(&b);
}

static void teardown(void)
{
	pl_net_shutdown(a.net);
	pl_net_shutdown(b.net);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&loop), 0, "every handle is closed");
	pl_net_free(a.net);
	pl_net_free(b.net);
}

static const char *listen_on_b(char address[PL_ADDRESS_BYTES_MAX + 1])
{
	char why[256];

	cr_assert_eq(pl_net_listen(b.net, "127.0.0.1:0", why, sizeof(why)), PL_OK, "%s", why);
	snprintf(address, PL_ADDRESS_BYTES_MAX + 1, "127.0.0.1:%u", pl_net_port(b.net, 0));
	return address;
}

static void send_much(struct side *side)
{
	uint8_t piece[4096];

	for (size_t i = 0; i < sizeof(side->bytes); i += sizeof(piece)) {
		for (size_t k = 0; k < sizeof(piece); k++)
			piece[k] = (uint8_t)((i + k) * 7 >> 2);
		pl_net_send(side->net, side->link, piece, sizeof(piece)); /* copied: the buffer is used again */
	}
}

Test(net, what_is_sent_arrives_whole_and_in_order, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1], remote[PL_ADDRESS_BYTES_MAX + 1];
	const char *const addresses[] = { listen_on_b(address) };

	a.then = send_much;
	b.echo = true;
	pl_net_dial(a.net, 7, 7, addresses, 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.up && b.up);
	cr_assert_eq(a.peer, 7);
	cr_assert_eq(b.peer, PL_NODE_NONE);
	cr_assert_eq(a.received, sizeof(a.bytes));
	for (size_t i = 0; i < sizeof(a.bytes); i++)
		cr_assert_eq(a.bytes[i], (uint8_t)(i * 7 >> 2), "byte %zu", i);
	cr_assert_gt(a.sent, 0);
	pl_net_address(a.net, a.link, remote);
	cr_assert_str_eq(remote, address);
}

static void close_link(struct side *side)
{
	pl_net_send(side->net, side->link, (const uint8_t *)"last words", 10);
	pl_net_close(side->net, side->link);
}

Test(net, what_was_sent_before_a_close_still_arrives_and_only_the_other_side_is_told, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1];
	const char *const addresses[] = { listen_on_b(address) };

	a.then = close_link;
	pl_net_dial(a.net, 1, 1, addresses, 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(b.down);
	cr_assert_eq(b.received, 10);
	cr_assert_arr_eq(b.bytes, "last words", 10);
	cr_assert_not(a.down);
}

Test(net, a_dial_that_fails_says_why, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1];
	const char *const addresses[] = { "not an address", listen_on_b(address) };

	pl_net_shutdown(b.net); /* the port is free again: nobody listens */
	while (uv_run(&loop, UV_RUN_NOWAIT) != 0 && b.up)
		;
	pl_net_dial(a.net, 3, 3, addresses, 2);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.down);
	cr_assert_eq(a.link, PL_LINK_NONE);
	cr_assert_eq(a.peer, 3);
	cr_assert(strstr(a.why, "refused"), "%s", a.why);
}

Test(net, the_second_address_is_tried_when_the_first_fails, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1];
	const char *const addresses[] = { "127.0.0.1:1", listen_on_b(address) };

	a.then = close_link;
	pl_net_dial(a.net, 3, 3, addresses, 2);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.up && b.up);
	cr_assert_eq(a.peer, 3);
}

Test(net, a_port_in_use_is_named, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1], why[256];

	listen_on_b(address);
	cr_assert_eq(pl_net_listen(a.net, address, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert(strstr(why, address) && strstr(why, "in use"), "%s", why);
	cr_assert_eq(pl_net_listen(a.net, "localhost:7100", why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert(strstr(why, "numeric"), "%s", why);
}

/* A connection from this address of this machine to b; b has accepted it when this returns. */
static int connect_from(const char *address, uint16_t port)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &from.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	b.up = false;
	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	while (!b.up)
		uv_run(&loop, UV_RUN_ONCE);
	return fd;
}

Test(net, who_sends_all_the_time_does_not_keep_others_waiting, .init = setup, .fini = teardown)
{
	static const uint8_t much[1 << 20];
	char address[PL_ADDRESS_BYTES_MAX + 1];
	listen_on_b(address);
	const int loud = connect_from("127.0.0.2", pl_net_port(b.net, 0)), quiet = connect_from("127.0.0.3", pl_net_port(b.net, 0));

	quiet_link = b.link;
	cr_assert_gt(send(loud, much, sizeof(much), MSG_DONTWAIT), 256 * 1024, "what follows needs some to be there already");
	cr_assert_eq(write(quiet, "!", 1), 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_leq(bytes_before_quiet, 16384, "%zu bytes had to be worked off first", bytes_before_quiet);
	/* and it goes on */
	const size_t so_far = bytes_before_quiet;
	while (bytes_before_quiet < so_far + 128 * 1024)
		uv_run(&loop, UV_RUN_ONCE);
	close(loud);
	close(quiet);
}

/* --- an address where nobody answers --- */

#define HOLE_FDS 8
/* A listener that accepts nothing and whose queue is full: what asks for a connection is swallowed, as by a firewall. */
struct hole {
	int fds[HOLE_FDS];
	char address[PL_ADDRESS_BYTES_MAX + 1];
};

static void hole_open(struct hole *hole)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t at_bytes = sizeof(at);

	hole->fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(bind(hole->fds[0], (struct sockaddr *)&at, sizeof(at)) == 0 && listen(hole->fds[0], 0) == 0);
	cr_assert_eq(getsockname(hole->fds[0], (struct sockaddr *)&at, &at_bytes), 0);
	for (int i = 1; i < HOLE_FDS; i++) {
		hole->fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		fcntl(hole->fds[i], F_SETFL, O_NONBLOCK);
		(void)!connect(hole->fds[i], (struct sockaddr *)&at, sizeof(at));
	}
	snprintf(hole->address, sizeof(hole->address), "127.0.0.1:%u", ntohs(at.sin_port));
}

static void hole_close(struct hole *hole)
{
	for (int i = 0; i < HOLE_FDS; i++)
		close(hole->fds[i]);
}

Test(net, an_address_where_nobody_answers_has_five_seconds, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1];
	struct hole hole;
	hole_open(&hole);
	const char *const addresses[] = { hole.address, listen_on_b(address) };

	a.then = close_link;
	const uint64_t start = uv_now(&loop);
	pl_net_dial(a.net, 3, 3, addresses, 2);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.up && b.up);
	cr_assert_geq(uv_now(&loop) - start, 4900);
	hole_close(&hole);
}

Test(net, where_nobody_answers_anywhere_that_is_said, .init = setup, .fini = teardown)
{
	struct hole hole;
	hole_open(&hole);
	const char *const addresses[] = { hole.address };

	pl_net_dial(a.net, 3, 3, addresses, 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.down);
	cr_assert_eq(a.link, PL_LINK_NONE);
	cr_assert(strstr(a.why, "no answer within 5 s"), "%s", a.why);
	hole_close(&hole);
}

Test(net, a_dial_that_is_asked_for_again_goes_on_with_the_next_address, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1];
	struct hole hole;
	hole_open(&hole);
	const char *const addresses[] = { hole.address, listen_on_b(address) };

	a.then = close_link;
	const uint64_t start = uv_now(&loop);
	pl_net_dial(a.net, 3, 3, addresses, 2);
	while (uv_now(&loop) - start < 300)
		uv_run(&loop, UV_RUN_NOWAIT); /* it has found the first address and hangs there */
	pl_net_dial(a.net, 3, 3, addresses, 2);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.up && b.up);
	cr_assert_lt(uv_now(&loop) - start, 4000);
	cr_assert_not(a.down);
	hole_close(&hole);
}

Test(net, a_dial_may_hang_when_all_ends, .init = setup, .fini = teardown)
{
	struct hole hole;
	hole_open(&hole);
	const char *const addresses[] = { hole.address };

	pl_net_dial(a.net, 3, 3, addresses, 1); /* is being looked up */
	pl_net_dial(b.net, 3, 3, addresses, 1);
	for (uint64_t start = uv_now(&loop); uv_now(&loop) - start < 100;)
		uv_run(&loop, UV_RUN_NOWAIT);
	pl_net_dial(a.net, 4, 4, addresses, 1);
	hole_close(&hole);
}

/* --- a connection that does not hold --- */

static bool peers_have_no_names;

int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict address_bytes)
{
	if (peers_have_no_names) {
		errno = ENOTCONN; /* as after a reset */
		return -1;
	}
	return (int)syscall(SYS_getpeername, fd, address, address_bytes);
}

Test(net, a_link_that_cannot_be_opened_is_a_dial_that_failed, .init = setup, .fini = teardown)
{
	char address[PL_ADDRESS_BYTES_MAX + 1];
	const char *const addresses[] = { listen_on_b(address) };

	peers_have_no_names = true;
	pl_net_dial(a.net, 3, 3, addresses, 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert(a.down);
	cr_assert_not(a.up);
	cr_assert_eq(a.link, PL_LINK_NONE, "or it is never dialled again");
	cr_assert_eq(a.peer, 3);
	peers_have_no_names = false;
}

/* Linux gives IPv4 clients of such a socket addresses ::ffff:a.b.c.d, which all lie in one /64. */
Test(net, ipv4_hosts_are_told_apart_on_a_socket_for_both_families, .init = setup, .fini = teardown)
{
	char why[256];
	uint64_t first;
	int fds[3];

	if (pl_net_listen(b.net, "[::]:0", why, sizeof(why)) != PL_OK)
		cr_skip_test("no IPv6 here: %s", why);
	const uint16_t port = pl_net_port(b.net, 0);
	fds[0] = connect_from("127.0.0.1", port);
	first = b.address_hash;
	fds[1] = connect_from("127.0.0.1", port);
	cr_assert_eq(b.address_hash, first, "one host is one host");
	fds[2] = connect_from("127.0.0.2", port);
	cr_assert_neq(b.address_hash, first);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
