#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/net.h"
#include "proto/engine.h"

/* --- the resolver: x.hang.test never answers until it is let go, gone.test is not found, what else ends in .test is this machine --- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool let_go;
	unsigned calls, hanging, hanging_most;
	const char *answer;
} resolver = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .answer = "127.0.0.1" };

int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	struct found {
		struct addrinfo info;
		struct sockaddr_in in;
	} *found = NULL;

	(void)hints;
	pthread_mutex_lock(&resolver.lock);
	resolver.calls++;
	if (strstr(host, ".hang.test")) {
		resolver.hanging++;
		resolver.hanging_most = resolver.hanging > resolver.hanging_most ? resolver.hanging : resolver.hanging_most;
		while (!resolver.let_go)
			pthread_cond_wait(&resolver.changed, &resolver.lock);
		resolver.hanging--;
	}
	if (strstr(host, ".test") && strcmp(host, "gone.test") != 0 && (found = calloc(1, sizeof(*found))) != NULL) {
		found->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(service)) };
		inet_pton(AF_INET, resolver.answer, &found->in.sin_addr);
		found->info = (struct addrinfo){ .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_addrlen = sizeof(found->in) };
		found->info.ai_addr = (struct sockaddr *)&found->in;
		*out = &found->info;
	}
	pthread_mutex_unlock(&resolver.lock);
	return found ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info)
{
	free(info);
}

static unsigned calls(void)
{
	pthread_mutex_lock(&resolver.lock);
	const unsigned count = resolver.calls;
	pthread_mutex_unlock(&resolver.lock);
	return count;
}

static unsigned hanging(void)
{
	pthread_mutex_lock(&resolver.lock);
	const unsigned count = resolver.hanging;
	pthread_mutex_unlock(&resolver.lock);
	return count;
}

static void let_go(void)
{
	pthread_mutex_lock(&resolver.lock);
	resolver.let_go = true;
	pthread_cond_broadcast(&resolver.changed);
	pthread_mutex_unlock(&resolver.lock);
}

/* --- a net that dials, and one that listens --- */

#define PEERS 16
static uv_loop_t loop;
static struct pl_net *dialler, *listener;
static uint32_t link_of[PEERS]; /* PL_LINK_NONE: no link */
static unsigned downs[PEERS];
static char why_of[PEERS][160], last_why[160];
static uint16_t port;

static void on_up(void *ctx, uint32_t link, uint16_t peer, uint64_t address_hash)
{
	(void)address_hash;
	if (ctx == &dialler)
		link_of[peer] = link;
}

static void on_down(void *ctx, uint32_t link, uint16_t peer, const char *why)
{
	(void)link;
	if (ctx != &dialler)
		return;
	link_of[peer] = PL_LINK_NONE;
	downs[peer]++;
	snprintf(why_of[peer], sizeof(why_of[peer]), "%s", why);
	snprintf(last_why, sizeof(last_why), "%s", why);
}

static void on_bytes(void *ctx, uint32_t link, const uint8_t *bytes, size_t count)
{
	(void)ctx, (void)link, (void)bytes, (void)count;
}

static void on_sent(void *ctx, uint32_t link)
{
	(void)ctx, (void)link;
}

static struct pl_net *open_net(struct pl_net **net)
{
	const struct pl_net_callbacks callbacks = { .ctx = net, .up = on_up, .down = on_down, .bytes = on_bytes, .sent = on_sent };

	cr_assert_eq(pl_net_new(&loop, &callbacks, net), PL_OK);
	return *net;
}

static void setup(void)
{
	char why[256];

	uv_loop_init(&loop);
	open_net(&dialler);
	open_net(&listener);
	cr_assert_eq(pl_net_listen(listener, "127.0.0.1:0", why, sizeof(why)), PL_OK, "%s", why);
	port = pl_net_port(listener, 0);
	for (int i = 0; i < PEERS; i++)
		link_of[i] = PL_LINK_NONE;
}

static void teardown(void)
{
	let_go();
	pl_net_shutdown(dialler);
	pl_net_shutdown(listener);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&loop), 0, "every handle is closed");
	pl_net_free(dialler);
	pl_net_free(listener);
}

/* Turns until it is so; what never comes fails by the test's own limit. */
#define AWAIT(condition) \
	do { \
		const uint64_t start_ = uv_hrtime(); \
		while (!(condition)) { \
			uv_run(&loop, UV_RUN_NOWAIT); \
			cr_assert_lt(uv_hrtime() - start_, UINT64_C(20000000000), "not within 20 s: %s (last: %s)", #condition, last_why); \
		} \
	} while (0)

/* The addresses of a peer, by the host's name; they live for the whole test. */
static void dial(uint16_t peer, uint16_t member, const char *host)
{
	static char texts[PEERS][64];
	static const char *addresses[PEERS];

	snprintf(texts[peer], sizeof(texts[peer]), "%s:%u", host, port);
	addresses[peer] = texts[peer];
	pl_net_dial(dialler, peer, member, &addresses[peer], 1);
}

static void hang_up(uint16_t peer)
{
	pl_net_close(dialler, link_of[peer]);
	link_of[peer] = PL_LINK_NONE;
}

Test(net_name, a_numeric_address_waits_for_no_look_up, .init = setup, .fini = teardown)
{
	for (uint16_t i = 1; i <= 4; i++) {
		char host[32];
		snprintf(host, sizeof(host), "x%u.hang.test", i);
		dial(i, i, host);
	}
	AWAIT(hanging() == 2);
	dial(0, 0, "127.0.0.1");
	AWAIT(link_of[0] != PL_LINK_NONE);
	cr_assert_eq(calls(), 2);
}

Test(net_name, what_was_found_once_is_dialled_whatever_hangs, .init = setup, .fini = teardown)
{
	dial(0, 0, "good.test");
	AWAIT(link_of[0] != PL_LINK_NONE);
	hang_up(0);
	for (uint16_t i = 1; i <= 4; i++) {
		char host[32];
		snprintf(host, sizeof(host), "x%u.hang.test", i);
		dial(i, i, host);
	}
	AWAIT(hanging() == 2);
	for (int again = 0; again < 3; again++) {
		dial(0, 0, "good.test");
		AWAIT(link_of[0] != PL_LINK_NONE);
		hang_up(0);
	}
	cr_assert_eq(downs[0], 0, "%s", why_of[0]);
	cr_assert_eq(hanging(), 2);
}

Test(net_name, of_one_member_one_name_is_looked_up_at_a_time, .init = setup, .fini = teardown)
{
	for (uint16_t i = 1; i <= 6; i++) {
		char host[32];
		snprintf(host, sizeof(host), "x%u.hang.test", i);
		dial(i, 1, host);
	}
	AWAIT(hanging() == 1);
	dial(0, 0, "good.test");
	AWAIT(link_of[0] != PL_LINK_NONE);
	cr_assert_eq(resolver.hanging_most, 1);
	let_go();
	for (uint16_t i = 1; i <= 6; i++)
		AWAIT(link_of[i] != PL_LINK_NONE);
}

Test(net_name, a_name_that_was_not_found_rests, .init = setup, .fini = teardown)
{
	dial(0, 0, "gone.test");
	AWAIT(downs[0] == 1);
	cr_assert_eq(calls(), 1);
	char why[160];
	memcpy(why, why_of[0], sizeof(why));
	cr_assert_not_null(strstr(why, "gone.test"), "%s", why);
	for (unsigned again = 2; again < 10; again++) {
		dial(0, 0, "gone.test");
		AWAIT(downs[0] == again);
		cr_assert_str_eq(why_of[0], why);
	}
	cr_assert_eq(calls(), 1);
}

Test(net_name, a_name_whose_look_up_did_not_begin_is_not_blamed, .init = setup, .fini = teardown)
{
	dial(1, 1, "x1.hang.test");
	dial(2, 2, "x2.hang.test");
	AWAIT(hanging() == 2);
	dial(0, 0, "good.test");
	AWAIT(downs[0] == 1 && downs[1] == 1);
	cr_assert_not_null(strstr(why_of[1], "not found within 5 s"), "%s", why_of[1]);
	cr_assert_null(strstr(why_of[0], "not found"), "%s", why_of[0]);
	cr_assert_not_null(strstr(why_of[0], "not looked up yet"), "%s", why_of[0]);
	/* It has its turn though nobody waits any more, and is known then. */
	let_go();
	AWAIT(calls() == 3);
	dial(0, 0, "good.test");
	AWAIT(link_of[0] != PL_LINK_NONE);
	cr_assert_eq(downs[0], 1);
}

Test(net_name, a_host_that_has_moved_is_found_again, .init = setup, .fini = teardown)
{
	resolver.answer = "127.0.0.2"; /* where nobody listens */
	dial(0, 0, "good.test");
	AWAIT(downs[0] == 1);
	cr_assert_not_null(strstr(why_of[0], "refused"), "%s", why_of[0]);
	pthread_mutex_lock(&resolver.lock);
	resolver.answer = "127.0.0.1";
	pthread_mutex_unlock(&resolver.lock);
	/* within the rest of the name, after which one dial suffices */
	while (link_of[0] == PL_LINK_NONE) {
		const unsigned before = downs[0], calls_before = calls();
		dial(0, 0, "good.test");
		AWAIT(link_of[0] != PL_LINK_NONE || downs[0] > before);
		cr_assert(link_of[0] != PL_LINK_NONE || calls() == calls_before, "it was looked up, and not dialled");
	}
	cr_assert_eq(calls(), 2);
}
