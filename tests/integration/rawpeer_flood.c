/* flood WHAT BYTES RATE: a member that sends entries of its own, signed and in order, until SIGTERM, and whatever of them it is asked for; then it
 * prints what it has sent. WHAT: flash, control (lane 0), messages (lane 1), bulk (lane 2), all (each in turn). BYTES: of a body. RATE: of bytes a
 * second on each lane, to keep within a quota; 0: as fast as the node takes them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "tests/integration/rawpeer.h"

#define ENTRIES_MAX 200000 /* of a lane; then it only answers */

static struct lane {
	uint8_t (*headers)[PL_ENTRY_HEADER_BYTES];
	uint64_t first, count;   /* seq of headers[0] */
	uint64_t want_from, want_to; /* asked for and not yet sent */
	uint64_t bytes;              /* authored */
} lanes[PL_LANES];
static uint8_t body[PL_BODY_BYTES_MAX];
static uint32_t body_bytes;
static uint64_t rate, begun_ms;
static volatile sig_atomic_t has_to_end;
static unsigned long long pushed, answered, bytes_sent, wants;

static void on_term(int number)
{
	(void)number;
	has_to_end = 1;
}

/* The same for the same place, so that it need not be kept. */
static const uint8_t *body_of(uint8_t lane, uint64_t seq)
{
	pl_put64(body, seq << 8 | lane);
	return body;
}

static void heard(struct peer *peer, const struct pl_frame *frame)
{
	struct pl_want want;

	(void)peer;
	if (frame->type != PL_FRAME_WANT || pl_want_read(frame->payload, &want) != PL_OK || want.node != peer_self)
		return;
	wants++;
	lanes[want.lane].want_from = want.from;
	lanes[want.lane].want_to = want.to;
}

static void send_entry(struct peer *peer, uint8_t lane, const uint8_t *entry_header, uint8_t flags)
{
	peer_entry(peer, entry_header, PL_WIRE_FORM_NEXT, body_of(lane, pl_header_seq(entry_header)), body_bytes, flags);
	bytes_sent += PL_WIRE_PREFIX + body_bytes;
}

static bool has_credit(const struct peer *peer) { return peer->credit >= PL_WIRE_PREFIX + body_bytes + 16; }

/* Some of what was asked for. */
static void answer(struct peer *peer)
{
	for (uint8_t i = 0; i < PL_LANES; i++) {
		struct lane *lane = &lanes[i];
		for (int k = 0; k < 16 && lane->want_from != 0 && lane->want_from <= lane->want_to && has_credit(peer); k++) {
			const uint64_t seq = lane->want_from++;
			if (seq < lane->first || seq >= lane->first + lane->count)
				continue;
			send_entry(peer, i, lane->headers[seq - lane->first], PL_FRAME_CATCHUP);
			answered++;
		}
	}
}

static void author(struct peer *peer, uint8_t number, uint8_t flags)
{
	static const uint8_t kinds[PL_LANES] = { PL_KIND_MESSAGE, PL_KIND_MESSAGE, PL_KIND_INDICATORS };
	struct lane *lane = &lanes[number];

	if (lane->count == ENTRIES_MAX || (number == 2 && !has_credit(peer)))
		return;
	if (rate > 0 && lane->bytes + PL_ENTRY_HEADER_BYTES + body_bytes > rate * (peer_clock_ms() - begun_ms) / 1000)
		return;
	lane->bytes += PL_ENTRY_HEADER_BYTES + body_bytes;
	const struct pl_header header = peer_next(number, kinds[number], flags, body_of(number, peer_heads[number].seq + 1), body_bytes);
	if (lane->count == 0)
		lane->first = header.seq;
	uint8_t *entry_header = lane->headers[lane->count++];
	peer_sign(&header, entry_header);
	send_entry(peer, number, entry_header, flags & PL_FLAG_FLASH ? PL_FRAME_FLASH : 0);
	pushed++;
}

void rawpeer_flood(const char *address, int args_count, char **args)
{
	static struct peer peer;

	if (args_count != 3)
		peer_fail("usage: flood WHAT BYTES RATE");
	const char *what = args[0];
	const bool all = strcmp(what, "all") == 0;
	body_bytes = (uint32_t)strtoul(args[1], NULL, 10);
	rate = strtoull(args[2], NULL, 10);
	if (body_bytes < 8 || body_bytes > PL_FLASH_BODY_BYTES_MAX)
		peer_fail("BYTES are 8 to 81920");
	peer_draw(body, sizeof(body));
	for (int i = 0; i < PL_LANES; i++) {
		lanes[i].headers = calloc(ENTRIES_MAX, sizeof(*lanes[i].headers));
		if (!lanes[i].headers)
			peer_fail("no memory");
	}
	signal(SIGTERM, on_term);
	peer_dial(&peer, address);
	peer_go_live(&peer);
	peer.heard = heard;
	fputs("told\n", stderr);
	begun_ms = peer_clock_ms();
	while (!has_to_end && !peer.ended) {
		const unsigned long long before = pushed + answered;
		answer(&peer);
		if (all || strcmp(what, "flash") == 0)
			author(&peer, 0, PL_FLAG_FLASH);
		if (all || strcmp(what, "control") == 0)
			author(&peer, 0, 0);
		if (all || strcmp(what, "messages") == 0)
			author(&peer, 1, 0);
		if (all || strcmp(what, "bulk") == 0)
			author(&peer, 2, 0);
		const bool is_idle = pushed + answered == before;
		if (is_idle || peer.collected > PL_RECORD_PLAIN_BYTES_MAX / 2)
			peer_flush(&peer);
		peer_hear(&peer, is_idle ? 5 : 0);
	}
	printf("%llu entries pushed, %llu answered to %llu WANT, %.1f MB%s%s\n", pushed, answered, wants, (double)bytes_sent / 1e6,
	       peer.ended ? "; it was cut: " : "", peer.ended ? peer.bye_text : "");
}
