/* Members that do what they should not. Their engines are those of everybody; what they would say is changed before it is encrypted. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "tests/sim/sim_impl.h"

#define NOTHING (PL_FRAME_OPTIONAL) /* with a type that nobody knows: it is read over */
#define NOTHING_TYPE 0x7f
#define PIECES 128 /* links of which is remembered what they have in pieces */
#define SIGNATURE_AT 72 /* in an entry on the wire; prev and body follow */

struct sim_pieces {
	uint8_t key[16];
	uint16_t authors[1 + PL_LANES]; /* of each class */
};

/* Whose entry the frame has, or a piece of one; a link has one entry of a class in pieces at a time, and a link's records one key. */
static uint16_t author_of(struct sim_node *node, const uint8_t key[32], const uint8_t *frame)
{
	const uint8_t type = frame[0], *payload = frame + PL_FRAME_HEADER_BYTES, class = frame[1] & PL_FRAME_FLASH ? 0 : (uint8_t)(1 + frame[2] % PL_LANES);
	struct sim_pieces *at = NULL;

	if (type == PL_FRAME_ENTRY)
		return pl_get16(payload);
	if (type != PL_FRAME_FRAG)
		return PL_NODE_NONE;
	if (!node->pieces)
		node->pieces = calloc(PIECES, sizeof(*node->pieces));
	assert(node->pieces);
	for (uint32_t i = 0; i < PIECES && !at; i++) {
		if (memcmp(node->pieces[i].key, key, sizeof(node->pieces[i].key)) == 0)
			at = &node->pieces[i];
	}
	if (!at) {
		at = &node->pieces[node->pieces_next++ % PIECES];
		memcpy(at->key, key, sizeof(at->key));
		memset(at->authors, 0xff, sizeof(at->authors)); /* PL_NODE_NONE */
	}
	if (frame[1] & PL_FRAME_FIRST)
		at->authors[class] = pl_get16(payload + 4);
	return at->authors[class];
}

static bool leaves_out(struct sim_node *node, const uint8_t key[32], const uint8_t *frame)
{
	const uint8_t type = frame[0], *payload = frame + PL_FRAME_HEADER_BYTES;
	const bool is_entry = type == PL_FRAME_ENTRY || type == PL_FRAME_FRAG;
	const uint16_t author = author_of(node, key, frame);

	switch (node->vice) {
	case SIM_HONEST:
	case SIM_FORGES:
	case SIM_REPLAYS:
	case SIM_FLOODS:
	case SIM_SKEWED:
	case SIM_SLOW:
	case SIM_VICES: return false;
	case SIM_FORKS: return type == PL_FRAME_WANT && pl_get16(payload) == node->self;
	case SIM_LIES:
	case SIM_WITHHOLDS: return is_entry && author != node->self;
	case SIM_SELECTS: return is_entry && author == (node->self + 1) % node->peers_count;
	case SIM_MUTE: return type == PL_FRAME_ACK;
	case SIM_SILENT: return type != PL_FRAME_HELLO && type != PL_FRAME_PING && type != PL_FRAME_PONG;
	}
	return false;
}

/* A bit of one in eight of the entries that it sends, own ones among them: in the signature, in prev or in the body, so that it remains an entry. */
static void forge(const struct sim *sim, uint8_t *frame, size_t payload_bytes)
{
	const bool is_frag = frame[0] == PL_FRAME_FRAG, is_rest = is_frag && !(frame[1] & PL_FRAME_FIRST);
	const size_t from = PL_FRAME_HEADER_BYTES + (is_rest ? 0 : is_frag ? 4 + SIGNATURE_AT : SIGNATURE_AT), end = PL_FRAME_HEADER_BYTES + payload_bytes;
	const uint64_t draw = rng_mix(rng_mix(sim->now_us + sim->plan->seed) ^ payload_bytes ^ ((uint64_t)frame[end - 1] << 32));

	if ((frame[0] == PL_FRAME_ENTRY || is_frag) && from < end && (draw & 7) == 0)
		frame[from + (draw >> 8) % ((draw & 8) && end - from > 96 ? 96 : end - from)] ^= 1;
}

/* Heads go much further than it has them. */
static void lie(uint8_t *frame, size_t payload_bytes)
{
	uint8_t *p = frame + PL_FRAME_HEADER_BYTES, *end = p + payload_bytes;

	if (frame[0] == PL_FRAME_HAVE || frame[0] == PL_FRAME_ACK || frame[0] == PL_FRAME_FRONTIER) {
		for (; p + PL_ITEM_BYTES <= end; p += PL_ITEM_BYTES)
			p[13] |= 0x10; /* of the seq at 8 */
	} else if (frame[0] == PL_FRAME_HEADS) {
		while (p < end) {
			const uint8_t *group_end = p + 1;
			for (int i = 0; i < PL_GROUP_NODES && group_end < end; i++)
				group_end += *group_end > 0 ? 1u + *group_end + PL_TAG_BYTES : 1u;
			for (uint8_t *lane = p + 1; lane < group_end; lane += *lane > 0 ? 1u + *lane + PL_TAG_BYTES : 1u) {
				if (*lane > 0)
					lane[1] |= 0x80;
			}
			p += group_end - p;
		}
	}
}

#define REPLAYS 32
#define REPEATS_ONE_IN 2000

struct sim_replay {
	uint64_t turns;
	uint16_t frame_bytes[REPLAYS];
	uint8_t frames[REPLAYS][PL_RECORD_PLAIN_BYTES_MAX];
};

/* What the record has no use for is filled with frames of before. HELLO only now and then: it ends the link. */
static void replay(const struct sim *sim, struct sim_node *node, uint8_t *plain, size_t used_bytes, size_t plain_bytes)
{
	if (!node->replay)
		node->replay = calloc(1, sizeof(*node->replay));
	assert(node->replay);
	struct sim_replay *r = node->replay;
	struct rng rng = rng_stream(sim->plan->seed, SIM_RNG_VICE, (uint64_t)node->index << 40 | r->turns++);
	size_t end = used_bytes;

	for (int tries = 0; tries < 4 && used_bytes > 0; tries++) {
		const uint64_t i = rng_below(&rng, REPLAYS);
		if (r->frame_bytes[i] == 0 || r->frame_bytes[i] > plain_bytes - end)
			continue;
		memcpy(plain + end, r->frames[i], r->frame_bytes[i]);
		end += r->frame_bytes[i];
	}
	for (size_t at = 0; at < used_bytes;) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		const uint64_t i = rng_below(&rng, REPLAYS);
		if (plain[at] != PL_FRAME_BYE && (plain[at] != PL_FRAME_HELLO || rng_below(&rng, 32) == 0)) {
			memcpy(r->frames[i], plain + at, bytes);
			r->frame_bytes[i] = (uint16_t)bytes;
		}
		at += bytes;
	}
}

bool sim_vice_repeats(const struct sim *sim, const struct sim_node *node)
{
	return node->vice == SIM_REPLAYS && rng_mix(sim->now_us ^ sim->plan->seed) % REPEATS_ONE_IN == 0;
}

void sim_vice_record(struct sim *sim, struct sim_node *node, const uint8_t key[32], uint8_t *plain, size_t plain_bytes)
{
	if (node->vice == SIM_HONEST || sim->now_us < sim->plan->withhold_from_ms * 1000)
		return;
	size_t at = 0;
	while (at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		if (bytes > plain_bytes - at)
			return;
		if (node->vice == SIM_FORGES)
			forge(sim, plain + at, bytes - PL_FRAME_HEADER_BYTES);
		if (node->vice == SIM_LIES)
			lie(plain + at, bytes - PL_FRAME_HEADER_BYTES);
		if (leaves_out(node, key, plain + at)) {
			plain[at] = NOTHING_TYPE;
			plain[at + 1] = NOTHING;
			plain[at + 2] = 0;
		}
		at += bytes;
	}
	if (node->vice == SIM_REPLAYS)
		replay(sim, node, plain, at, plain_bytes);
}
