/* Members that do what they should not. Their engines are those of everybody; what they would say is changed before it is encrypted. */
#include <string.h>

#include "proto/frame.h"
#include "tests/sim/sim_impl.h"

#define NOTHING (PL_FRAME_OPTIONAL) /* with a type that nobody knows: it is read over */
#define NOTHING_TYPE 0x7f
#define SIGNATURE_AT 72 /* in an entry on the wire; prev and body follow */

static bool leaves_out(const struct sim_node *node, const uint8_t *frame)
{
	const uint8_t type = frame[0], *payload = frame + PL_FRAME_HEADER_BYTES;
	const bool is_entry = type == PL_FRAME_ENTRY || (type == PL_FRAME_FRAG && (frame[1] & PL_FRAME_FIRST)), is_rest = type == PL_FRAME_FRAG && !is_entry;
	const uint16_t author = is_entry ? pl_get16(payload + (type == PL_FRAME_FRAG ? 4 : 0)) : PL_NODE_NONE;

	switch (node->vice) {
	case SIM_HONEST:
	case SIM_FORGES:
	case SIM_VICES: return false;
	case SIM_FORKS: return type == PL_FRAME_WANT && pl_get16(payload) == node->self;
	case SIM_WITHHOLDS: return (is_entry && author != node->self) || is_rest;
	case SIM_SELECTS: return is_entry && author == (node->self + 1) % node->peers_count && type == PL_FRAME_ENTRY;
	case SIM_MUTE: return type == PL_FRAME_ACK;
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

void sim_vice_record(struct sim *sim, const struct sim_node *node, uint8_t *plain, size_t plain_bytes)
{
	if (node->vice == SIM_HONEST || sim->now_us < sim->plan->withhold_from_ms * 1000)
		return;
	for (size_t at = 0; at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD;) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		if (bytes > plain_bytes - at)
			return;
		if (node->vice == SIM_FORGES)
			forge(sim, plain + at, bytes - PL_FRAME_HEADER_BYTES);
		if (leaves_out(node, plain + at)) {
			plain[at] = NOTHING_TYPE;
			plain[at + 1] = NOTHING;
			plain[at + 2] = 0;
		}
		at += bytes;
	}
}
