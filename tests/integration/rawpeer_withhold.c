/* withhold CLAIMS: a member that has a link, answers PING, and is of no use: it acknowledges nothing and answers no WANT. CLAIMS 1: it also says, ten times
 * a second, that it has all that anybody has written, and more. CLAIMS 2: 2^64 - 1 entries of each lane. Where the link ends or cannot be made, it tries again. Until SIGTERM.
 * again: a member that dials, says HELLO and hangs up, as fast as it can. Until SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/rawpeer.h"

#define CLAIM_MS 100
#define CLAIMED 1000000 /* entries of a lane */

static volatile sig_atomic_t has_to_end;

static void on_term(int number)
{
	(void)number;
	has_to_end = 1;
}

static void claim(struct peer *peer, uint64_t seq)
{
	for (uint16_t node = 0; node < peer_charter.nodes_count; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			struct pl_item item = { .node = node, .lane = lane, .generation = peer_charter.nodes[node].certificate.generation, .seq = seq };
			uint8_t payload[PL_ITEM_BYTES];
			if (node == peer_self || node == peer_other) /* what a node has written itself it knows */
				continue;
			peer_draw(item.head_id, sizeof(item.head_id));
			pl_item_write(&item, payload);
			peer_frame(peer, PL_FRAME_HAVE, 0, 0, payload, sizeof(payload));
		}
	}
	peer_flush(peer);
}

/* claims: this many entries of each lane; 0: none */
static void be_useless(const char *address, uint64_t claims)
{
	static struct peer peer;
	uint64_t claim_at_ms = 0;

	if (!peer_try_dial(&peer, address, 0))
		_exit(0);
	peer_go_live(&peer);
	while (peer_hear(&peer, CLAIM_MS / 2)) {
		if (claims == 0 || peer_clock_ms() < claim_at_ms)
			continue;
		claim(&peer, claims);
		claim_at_ms = peer_clock_ms() + CLAIM_MS;
	}
	_exit(0);
}

static void come_and_go(const char *address, uint64_t unused)
{
	static struct peer peer;

	(void)unused;
	while (peer_try_dial(&peer, address, 0)) {
		peer_handshake(&peer);
		peer_hello(&peer);
		peer_frontier(&peer);
		(void)peer_hear(&peer, 20);
		peer_close(&peer);
	}
	_exit(0);
}

static void until_term(void (*tell)(const char *address, uint64_t arg), const char *address, uint64_t arg)
{
	const struct sigaction action = { .sa_handler = on_term }; /* not restarted: waitpid() returns */
	const struct timespec pause = { 0, 1000000L * CLAIM_MS };
	unsigned links = 0;

	sigaction(SIGTERM, &action, NULL);
	fputs("told\n", stderr);
	while (!has_to_end) {
		const pid_t child = fork(); /* whatever goes wrong with a link ends it alone */
		if (child < 0)
			peer_fail("no process");
		if (child == 0) {
			signal(SIGTERM, SIG_DFL);
			tell(address, arg);
		}
		links++;
		while (waitpid(child, NULL, 0) != child) {
			if (has_to_end)
				kill(child, SIGKILL);
		}
		nanosleep(&pause, NULL);
	}
	printf("%u links\n", links);
}

void rawpeer_withhold(const char *address, int args_count, char **args)
{
	if (args_count != 1)
		peer_fail("usage: withhold CLAIMS");
	until_term(be_useless, address, args[0][0] == '2' ? UINT64_MAX : args[0][0] == '1' ? CLAIMED : 0);
}

void rawpeer_again(const char *address, int args_count, char **args)
{
	(void)args;
	if (args_count != 0)
		peer_fail("usage: again");
	until_term(come_and_go, address, 0);
}
