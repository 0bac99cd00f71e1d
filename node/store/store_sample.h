/* For tests and measurements of the store: entries whose hashes check out, though nobody has signed them. */
#ifndef PL_NODE_STORE_SAMPLE_H
#define PL_NODE_STORE_SAMPLE_H

#include <string.h>

#include "node/store/store.h"

static const uint8_t sample_network[PL_ID_BYTES] = "a network for tests of the stor";
static const uint8_t sample_self[PL_NODE_ID_BYTES] = "this very node, of index 0"; /* the author of node 0 */

/* Fills in entry and body for (node, lane, seq): the same each time. body has room for body_bytes. */
static inline void sample_entry(struct pl_store_entry *entry, uint8_t *body, uint32_t body_bytes, uint16_t node, uint8_t lane,
                                 uint64_t seq)
{
	static const uint8_t kinds[PL_LANES] = {PL_KIND_MESSAGE, PL_KIND_RECEIPTS, PL_KIND_INDICATORS};
	struct pl_header header = {.lane = lane, .kind = kinds[lane], .generation = 1, .body_bytes = body_bytes, .seq = seq,
	                           .gseq = seq * PL_LANES + lane, .time_ms = 1700000000000 + seq};

	memset(entry, 0, sizeof(*entry));
	for (uint32_t i = 0; i < body_bytes; i++)
		body[i] = (uint8_t)(seq * 31 + lane * 7 + node * 3 + i);
	memcpy(header.author, sample_self, PL_NODE_ID_BYTES);
	header.author[PL_NODE_ID_BYTES - 2] = (uint8_t)(node >> 8);
	header.author[PL_NODE_ID_BYTES - 1] = (uint8_t)node;
	pl_body_hash(body, body_bytes, header.body_hash);
	pl_header_encode(&header, entry->header);
	pl_entry_id(sample_network, entry->header, entry->id);
	entry->node = node;
	entry->lane = lane;
	entry->seq = seq;
	entry->gseq = header.gseq;
	entry->received_ms = header.time_ms + 5;
	entry->body = body;
	entry->body_bytes = body_bytes;
}

#endif
