/* Acknowledgements that wait for the next group: only the highest of each (peer, node, lane) counts. */
#include <stdlib.h>
#include <string.h>

#include "node/store/store_impl.h"

#define ACK_DELAY_NS 1000000000u /* a transaction of their own costs a sync of the disk */

static struct pl_ack *find(const struct pl_ack_table *table, const struct pl_ack *ack)
{
	uint64_t key = (uint64_t)ack->peer << 32 | (uint64_t)ack->node << 8 | ack->lane;
	size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (table->size - 1);

	for (;; at = (at + 1) & (table->size - 1)) {
		struct pl_ack *slot = &table->slots[at];

		if (!slot->seq || (slot->peer == ack->peer && slot->node == ack->node && slot->lane == ack->lane))
			return slot;
	}
}

static bool grow(struct pl_ack_table *table)
{
	struct pl_ack_table bigger = {.size = table->size ? 2 * table->size : 64, .count = table->count};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < table->size; i++)
		if (table->slots[i].seq)
			*find(&bigger, &table->slots[i]) = table->slots[i];
	free(table->slots);
	*table = bigger;
	return true;
}

void pl_acks_note(struct pl_ack_table *table, const struct pl_ack *ack)
{
	struct pl_ack *slot;

	if (!ack->seq || (2 * table->count >= table->size && !grow(table)))
		return;
	slot = find(table, ack);
	if (!slot->seq)
		table->count++;
	if (slot->seq < ack->seq)
		*slot = *ack;
}

void pl_store_keep_ack(struct pl_store *store, const struct pl_ack *ack)
{
	if (!store->acks.count)
		store->acks_due_ns = uv_hrtime() + ACK_DELAY_NS;
	pl_acks_note(&store->acks, ack);
}

void pl_acks_dispose(struct pl_ack_table *table)
{
	free(table->slots);
	memset(table, 0, sizeof(*table));
}
