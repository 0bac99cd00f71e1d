/* Members that do what they should not. Their engines are those of everybody; what they would say is changed before it is encrypted. */
#include <string.h>

#include "proto/frame.h"
#include "tests/sim/sim_impl.h"

#define NOTHING (PL_FRAME_OPTIONAL) /* with a type that nobody knows: it is read over */
#define NOTHING_TYPE 0x7f

static bool leaves_out(const struct sim_node *node, const uint8_t *frame)
{
	const uint8_t type = frame[0], *payload = frame + PL_FRAME_HEADER_BYTES;
	const bool is_entry = type == PL_FRAME_ENTRY || (type == PL_FRAME_FRAG && (frame[1] & PL_FRAME_FIRST)), is_rest = type == PL_FRAME_FRAG && !is_entry;
	const uint16_t author = is_entry ? pl_get16(payload + (type == PL_FRAME_FRAG ? 4 : 0)) : PL_NODE_NONE;

	switch (node->vice) {
	case SIM_HONEST:
	case SIM_FORKS:
	case SIM_VICES: return false;
	case SIM_WITHHOLDS: return (is_entry && author != node->self) || is_rest;
	case SIM_SELECTS: return is_entry && author == (node->self + 1) % node->peers_count && type == PL_FRAME_ENTRY;
	case SIM_MUTE: return type == PL_FRAME_ACK;
	}
	return false;
}

void sim_vice_record(struct sim *sim, const struct sim_node *node, uint8_t *plain, size_t plain_bytes)
{
	if (node->vice == SIM_HONEST || sim->now_us < sim->plan->withhold_from_ms * 1000)
		return;
	for (size_t at = 0; at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD;) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		if (bytes > plain_bytes - at)
			return;
		if (leaves_out(node, plain + at)) {
			plain[at] = NOTHING_TYPE;
			plain[at + 1] = NOTHING;
			plain[at + 2] = 0;
		}
		at += bytes;
	}
}
