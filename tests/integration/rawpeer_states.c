/* states LISTEN ROUNDS: garbage in every state of a session. A member brings its connection into a state, sends what does not belong there, and the
 * node has to end this link: at once, where what has come cannot be right; when the connection ends, where it is half of something. Where
 * the node dials, it dials LISTEN, HOST:PORT. Prints a line for each state, with how often each kind of garbage was tried; exit code 1 after
 * naming what was otherwise.
 *
 * drain QUIET: a member that is live and goes on sending whatever the node says, until its connection is gone; QUIET 1: it reads nothing meanwhile. For
 * a node that is being stopped.
 *
 * To add a state: a name in states[], its case in reach(), and what is due in it in due_in(); a kind: a function in kinds[].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crypto/bytes.h"
#include "tests/integration/rawpeer.h"

#define AT_ONCE_MS 4000 /* less than the 5 s that a node waits for a handshake or for HELLO */
#define CASES_MAX 256

enum state { BEFORE_1, WITHIN_1, AFTER_1, WITHIN_3, HELLO, RECON, LIVE, DIALLED_BEFORE_2, DIALLED_WITHIN_2, DIALLED_HELLO, DIALLED_LIVE, STATES };

static const char *const states[STATES] = { "before message 1", "within message 1", "after message 1", "within message 3", "HELLO", "RECON", "LIVE",
	                                    "dialled, before message 2", "dialled, within message 2", "dialled, HELLO", "dialled, LIVE" };

static const char *address;
static int listener;
static struct peer peer;
static uint8_t due[PL_RECORD_WIRE_BYTES_MAX]; /* what would come next, if all were well; the rest of it */
static size_t due_bytes;
static uint8_t former[PL_RECORD_WIRE_BYTES_MAX], sent_before[PL_RECORD_WIRE_BYTES_MAX];
static size_t former_bytes, sent_before_bytes; /* a record of a session before this one; the last that was sent in this one */
static unsigned cases, wrong;

static bool is_session(enum state state) { return state == HELLO || state == RECON || state == LIVE || state >= DIALLED_HELLO; }
static bool is_dialled(enum state state) { return state >= DIALLED_BEFORE_2; }
static bool is_within(enum state state) { return state == WITHIN_1 || state == WITHIN_3 || state == DIALLED_WITHIN_2; }

static void send_sealed(void)
{
	sent_before_bytes = peer_seal(&peer, sent_before);
	peer_send(&peer, sent_before, sent_before_bytes);
}

/* Seals what a peer would send next. */
static void due_in(enum state state)
{
	static const uint8_t pong[8];

	if (!is_session(state)) /* reach() has left it there */
		return;
	if (state == HELLO || state == DIALLED_HELLO)
		peer_hello(&peer);
	else if (state == RECON)
		peer_frontier(&peer);
	else
		peer_frame(&peer, PL_FRAME_PONG, 0, 0, pong, sizeof(pong));
	due_bytes = peer_seal(&peer, due);
}

/* A new connection, in this state. */
static void reach(enum state state)
{
	sent_before_bytes = due_bytes = 0;
	if (is_dialled(state))
		peer_accept(&peer, listener);
	else
		peer_dial(&peer, address);
	switch (state) {
	case BEFORE_1:
	case WITHIN_1:
		due_bytes = PL_HANDSHAKE_BYTES_1;
		peer_first(&peer, peer_wall_ms(), due);
		break;
	case AFTER_1:
	case WITHIN_3:
		due_bytes = PL_HANDSHAKE_BYTES_3;
		peer_handshake_up_to_3(&peer, due);
		break;
	case DIALLED_BEFORE_2:
	case DIALLED_WITHIN_2:
		due_bytes = PL_HANDSHAKE_BYTES_2;
		peer_handshake_up_to_2(&peer, due);
		break;
	case HELLO:
	case DIALLED_HELLO:
		peer_handshake(&peer);
		break;
	case RECON:
		peer_handshake(&peer);
		peer_hello(&peer);
		send_sealed();
		break;
	case LIVE:
	case DIALLED_LIVE:
		peer_go_live(&peer);
		peer_frame(&peer, 99, PL_FRAME_OPTIONAL, 0, "all is well", 11);
		send_sealed();
		break;
	case STATES:
		peer_fail("no such state");
	}
	if (is_within(state)) {
		const size_t half = 1 + peer_draw_below((uint32_t)due_bytes - 1);
		peer_send(&peer, due, half);
		memmove(due, due + half, due_bytes - half);
		due_bytes -= half;
	}
}

/* The same, and what is due next is at hand. A record that is sealed and not sent is missed by the node, whatever comes in its place. */
static void reach_due(enum state state)
{
	reach(state);
	due_in(state);
}

/* What was sent must end the link. reason: of the BYE, if one comes; 0: there is none. */
static void judge(enum state state, const char *kind, bool is_cut)
{
	cases++;
	if (is_cut)
		shutdown(peer.fd, SHUT_WR);
	if (is_session(state) && !is_cut) {
		const uint64_t end_ms = peer_clock_ms() + AT_ONCE_MS;
		while (peer_hear(&peer, 100) && peer_clock_ms() < end_ms)
			;
		if (peer.ended && peer.bye != 0 && peer.bye != PL_BYE_FAULT) {
			printf("\n%s, %s: BYE %u %s\n", states[state], kind, peer.bye, peer.bye_text);
			wrong++;
		}
	} else if (!peer.ended) {
		(void)peer_ends(&peer, AT_ONCE_MS);
	}
	if (!peer.ended) {
		printf("\n%s, %s: the link stands\n", states[state], kind);
		wrong++;
	}
	if (is_session(state) && due_bytes > 0) {
		memcpy(former, due, due_bytes);
		former_bytes = due_bytes;
	}
	peer_close(&peer);
}

/* --- kinds: each makes cases of a state, and returns how many --- */

static unsigned noise(enum state state)
{
	static uint8_t bytes[65536];

	reach(state);
	peer_draw(bytes, sizeof(bytes));
	bytes[0] |= 0x80; /* no length that exists begins so */
	peer_send(&peer, bytes, PL_HANDSHAKE_BYTES_MAX + peer_draw_below(sizeof(bytes) - PL_HANDSHAKE_BYTES_MAX));
	judge(state, "random bytes", false);
	return 1;
}

/* Of the right size. */
static unsigned junk(enum state state)
{
	reach_due(state);
	const size_t length = is_within(state) ? 0 : 2;
	if (is_within(state) && due_bytes < 17) /* the length may be all that is missing, and is right */
		due[due_bytes - 1] ^= 1;
	else
		peer_draw(due + length, due_bytes - length);
	peer_send(&peer, due, due_bytes);
	judge(state, "random bytes behind the right length", false);
	due_bytes = 0;
	return 1;
}

static unsigned flipped(enum state state)
{
	reach_due(state);
	const uint32_t bit = peer_draw_below((uint32_t)due_bytes * 8);
	due[bit / 8] ^= (uint8_t)(1u << bit % 8);
	/* a length that grows by it is waited for: that is half of something */
	const bool is_length = bit < 16 && !is_within(state);
	peer_send(&peer, due, due_bytes);
	judge(state, "a bit turned", is_length || (is_within(state) && due_bytes < 2));
	due_bytes = 0;
	return 1;
}

/* Cut at every byte of a message of the handshake; of a record at the bounds of its parts, and where chance has it. */
static unsigned cut(enum state state)
{
	static const size_t bounds[] = { 0, 1, 2, 3, 9, 10, 11, 17, 18, 19, 257, 258, 273 };
	const size_t count = sizeof(bounds) / sizeof(*bounds);
	unsigned n = 0;
	const bool is_slow = is_dialled(state); /* the node dials once a second */

	reach_due(state);
	const size_t bytes = due_bytes;
	const size_t steps = is_slow ? 1 : is_session(state) ? count : is_within(state) ? 8 : bytes;
	for (size_t i = 0; i < steps; i++) {
		if (i > 0)
			reach_due(state);
		const size_t at = is_session(state) && !is_slow ? bounds[i] : is_within(state) || is_slow ? peer_draw_below((uint32_t)due_bytes) : i;
		peer_send(&peer, due, at);
		judge(state, "cut short", true);
		n++;
	}
	return n;
}

/* What came before comes again: in this session, or from one that is over. */
static unsigned replayed(enum state state)
{
	unsigned n = 0;

	for (int old = 0; old < 2 && is_session(state); old++) {
		if (is_dialled(state) && old == 0)
			continue;
		reach_due(state);
		if (old == 0 && sent_before_bytes == 0) { /* nothing yet but what is due: that twice */
			peer_send(&peer, due, due_bytes);
			peer_send(&peer, due, due_bytes);
		} else if (old == 0) {
			peer_send(&peer, sent_before, sent_before_bytes);
		} else {
			peer_send(&peer, former, former_bytes);
		}
		judge(state, old ? "a record of a former session" : "a record again", false);
		n++;
	}
	if (state == BEFORE_1) { /* message 1 a second time, in another connection */
		static uint8_t first[PL_HANDSHAKE_BYTES_1];
		uint8_t answer[PL_HANDSHAKE_BYTES_2];
		reach_due(state);
		memcpy(first, due, sizeof(first));
		peer_send(&peer, first, sizeof(first));
		(void)peer_receive(&peer, answer, sizeof(answer), PEER_PATIENCE_MS);
		peer_close(&peer);
		reach_due(state);
		peer_send(&peer, first, sizeof(first));
		judge(state, "message 1 again", false);
		n++;
	}
	if (state == AFTER_1) { /* message 3 in place of a record, once it has been taken */
		reach_due(state);
		peer_send(&peer, due, due_bytes);
		peer_send(&peer, due, due_bytes);
		judge(state, "message 3 again", false);
		n++;
	}
	return n;
}

static unsigned exchanged(enum state state)
{
	static uint8_t second[PL_RECORD_WIRE_BYTES_MAX];

	if (!is_session(state))
		return 0;
	reach_due(state);
	peer_frame(&peer, 99, PL_FRAME_OPTIONAL, 0, "later", 5);
	const size_t second_bytes = peer_seal(&peer, second);
	peer_send(&peer, second, second_bytes);
	peer_send(&peer, due, due_bytes);
	judge(state, "two records exchanged", false);
	return 1;
}

/* Frames that are right in themselves, and out of place. */
static unsigned misplaced(enum state state)
{
	static const uint8_t zeros[2 + 2 * PL_ENTRY_HEADER_BYTES];
	uint8_t piece[100] = { 0 };
	unsigned n = 0;

	if (!is_session(state))
		return 0;
	const bool before_hello = state == HELLO || state == DIALLED_HELLO;
	for (uint8_t type = PL_FRAME_HELLO; before_hello && type <= PL_FRAME_CHOKE; type++) {
		if (type == PL_FRAME_HELLO || type == PL_FRAME_BYE || (is_dialled(state) && type > PL_FRAME_FRONTIER))
			continue;
		reach(state);
		peer_frame(&peer, type, 0, 0, zeros, type == PL_FRAME_PING ? 40 : type == PL_FRAME_PONG ? 8 : type == PL_FRAME_CREDIT ? 4 : 0);
		peer_flush(&peer);
		judge(state, "a frame before HELLO", false);
		n++;
	}
	for (int what = 0; what < (is_dialled(state) ? 1 : 5) && !before_hello; what++) {
		reach(state);
		pl_put32(piece, 50000);
		if (what == 0)
			peer_hello(&peer);
		else if (what == 1)
			peer_frame(&peer, PL_FRAME_FRAG, 0, 1, piece, sizeof(piece));
		else if (what == 2)
			peer_frame(&peer, PL_FRAME_FRAG, PL_FRAME_LAST, 1, piece, sizeof(piece));
		else if (what == 3)
			peer_frame(&peer, PL_FRAME_FRAG, PL_FRAME_FIRST, 1, piece, sizeof(piece));
		else
			peer_frame(&peer, PL_FRAME_FORK, 0, 0, zeros, sizeof(zeros));
		if (what == 3)
			peer_frame(&peer, PL_FRAME_FRAG, PL_FRAME_FIRST, 1, piece, sizeof(piece));
		peer_flush(&peer);
		judge(state, "a frame out of place", false);
		n++;
	}
	return n;
}

/* A record that is genuine, with a plaintext that is not. */
static unsigned frames(enum state state)
{
	static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];

	if (!is_session(state))
		return 0;
	reach(state);
	peer_draw(plain, sizeof(plain));
	plain[3] |= 1; /* a zero that is none */
	peer_record(&peer, plain, 1 + peer_draw_below(sizeof(plain)));
	judge(state, "a record of random bytes", false);
	return 1;
}

static const struct {
	const char *name;
	unsigned (*make)(enum state state);
} kinds[] = { { "random", noise }, { "right length", junk }, { "bit turned", flipped }, { "cut", cut }, { "replayed", replayed },
	      { "exchanged", exchanged }, { "out of place", misplaced }, { "random frames", frames } };

void rawpeer_states(const char *to, int args_count, char **args)
{
	if (args_count != 2)
		peer_fail("usage: states LISTEN ROUNDS");
	const unsigned rounds = (unsigned)strtoul(args[1], NULL, 10);
	address = to;
	fputs("told\n", stderr);
	for (enum state state = 0; state < STATES; state++) {
		if (state == DIALLED_BEFORE_2)
			listener = peer_listen_at(args[0]);
		printf("%-26s", states[state]);
		fflush(stdout);
		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
			unsigned n = 0;
			for (unsigned round = 0; round < rounds; round++)
				n += kinds[kind].make(state);
			if (n > 0)
				printf("  %s %u", kinds[kind].name, n);
			fflush(stdout);
		}
		printf("\n");
	}
	printf("%d states, %zu kinds: %u cases\n", STATES, sizeof(kinds) / sizeof(*kinds), cases);
	exit(wrong > 0);
}

void rawpeer_drain(const char *to, int args_count, char **args)
{
	static const uint8_t ping[8 + PL_ID_BYTES];
	static uint8_t body[20000];
	uint8_t entry_header[PL_ENTRY_HEADER_BYTES];

	if (args_count != 1)
		peer_fail("usage: drain QUIET");
	const bool is_quiet = args[0][0] == '1';
	peer_dial(&peer, to);
	peer_go_live(&peer);
	fputs("told\n", stderr);
	for (unsigned i = 0; i < 1u << 30; i++) {
		const uint32_t body_bytes = 100 + peer_draw_below(sizeof(body) - 100);
		peer_frame(&peer, PL_FRAME_PING, 0, 0, ping, sizeof(ping));
		const struct pl_header header = peer_next(1, PL_KIND_MESSAGE, 0, body, body_bytes);
		peer_sign(&header, entry_header);
		peer_entry(&peer, entry_header, PL_WIRE_FORM_NEXT, body, body_bytes, 0);
		peer_flush(&peer);
		uint8_t byte;
		if (!is_quiet && !peer.ended)
			(void)peer_hear(&peer, 0);
		else if (send(peer.fd, &byte, 0, MSG_NOSIGNAL) < 0)
			break;
		int error = 0;
		socklen_t error_bytes = sizeof(error);
		if (peer.ended || (getsockopt(peer.fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0 && error != 0))
			break;
	}
	printf("the node has ended the link: BYE %u %s\n", peer.bye, peer.bye_text);
}
