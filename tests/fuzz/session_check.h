/* What session_fuzz holds against what the engine says, from PROTOCOL.md and not from the engine's code. For networks of less than 22 nodes: a group to a lane. */
#ifndef PL_TESTS_FUZZ_SESSION_CHECK_H
#define PL_TESTS_FUZZ_SESSION_CHECK_H

#include <sodium.h>

#include "proto/parts.h"
#include "tests/fuzz/fuzz.h"

static inline bool continues_another(const struct pl_header *next, const struct pl_header *last, const uint8_t last_id[PL_ID_BYTES])
{
	return next->lane == last->lane && next->seq == last->seq + 1 && memcmp(next->prev, last_id, PL_ID_BYTES) != 0;
}

/* A proof proves, and not that node self signs twice: its key does not. */
static inline void check_fork(const struct pl_charter *charter, uint16_t self, uint16_t node, const uint8_t *a, const uint8_t *b)
{
	uint8_t id_a[PL_ID_BYTES], id_b[PL_ID_BYTES];
	struct pl_header ha, hb;

	PL_FUZZ_CHECK(node != self && node < charter->nodes_count);
	PL_FUZZ_CHECK(pl_entry_verify(charter->network_id, a) == PL_OK && pl_entry_verify(charter->network_id, b) == PL_OK);
	PL_FUZZ_CHECK(memcmp(a + PL_AUTHOR_OFFSET, charter->nodes[node].certificate.node_id, PL_NODE_ID_BYTES) == 0);
	PL_FUZZ_CHECK(memcmp(b + PL_AUTHOR_OFFSET, charter->nodes[node].certificate.node_id, PL_NODE_ID_BYTES) == 0);
	PL_FUZZ_CHECK(pl_header_decode(a, &ha) == PL_OK && pl_header_decode(b, &hb) == PL_OK);
	pl_entry_id(charter->network_id, a, id_a);
	pl_entry_id(charter->network_id, b, id_b);
	PL_FUZZ_CHECK(ha.gseq == hb.gseq || (ha.lane == hb.lane && ha.seq == hb.seq) || continues_another(&ha, &hb, id_b) ||
	              continues_another(&hb, &ha, id_a));
	PL_FUZZ_CHECK(memcmp(id_a, id_b, PL_ID_BYTES) != 0);
}

/* Lane n of a group; UINT32_MAX: there is none. */
static inline uint32_t lane_of(uint16_t nodes, uint32_t group, uint32_t n)
{
	return n < nodes && group < PL_LANES ? pl_lane_index((uint16_t)n, (uint8_t)group) : UINT32_MAX;
}

static inline void tag_of(const uint8_t salt[PL_SALT_BYTES], const uint8_t id[PL_ID_BYTES], uint8_t out[PL_TAG_BYTES])
{
	uint8_t bytes[14 + PL_SALT_BYTES + PL_ID_BYTES] = "parley/v1/tag", hash[32];

	memcpy(bytes + 14, salt, PL_SALT_BYTES);
	memcpy(bytes + 14 + PL_SALT_BYTES, id, PL_ID_BYTES);
	crypto_generichash(hash, sizeof(hash), bytes, sizeof(bytes), NULL, 0);
	memcpy(out, hash, PL_TAG_BYTES);
}

#endif
