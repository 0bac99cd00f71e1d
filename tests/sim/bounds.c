/* What peers can make a node hold has bounds: counted from outside, by what it gives to its disk and what it says to its peers, by PROTOCOL.md. */
#include "tests/sim/sim_impl.h"

enum { HELLO = 1, ENTRY = 7, FRAG = 8, CREDIT = 9 };
#define FLAG_FIRST 0x02
#define FLAG_CATCHUP 0x08
#define HELLO_CREDIT_AT 12
#define CREDIT_BYTES 262144u
#define ENTRY_EXTRA 16u         /* that an entry costs besides its wire bytes */
#define STORING_BYTES 4194304u  /* while so much is on its way to the disk, bulk waits; but for what one link may have in flight */

static uint32_t number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What the record costs and gives; which link it goes out on is known when it goes. */
void bounds_record(struct sim *sim, const uint8_t *plain, size_t plain_bytes)
{
	struct sim_record record = { .plain = plain };

	for (size_t at = 0; at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != 0;) {
		const uint8_t type = plain[at], flags = plain[at + 1], lane = plain[at + 2], *payload = plain + at + PL_FRAME_HEADER_BYTES;
		const uint32_t bytes = number(plain + at + 4);
		const bool costs = lane == 2 || (flags & FLAG_CATCHUP) != 0;
		if (bytes > plain_bytes - at - PL_FRAME_HEADER_BYTES)
			return;
		if (type == HELLO && bytes >= HELLO_CREDIT_AT + 4)
			record.gives += number(payload + HELLO_CREDIT_AT);
		else if (type == CREDIT && bytes == 4)
			record.gives += number(payload);
		else if (type == ENTRY && costs)
			record.costs += bytes + ENTRY_EXTRA;
		else if (type == FRAG && (flags & FLAG_FIRST) && costs)
			record.costs += number(payload) + ENTRY_EXTRA;
		at += PL_FRAME_HEADER_BYTES + bytes;
	}
	if ((record.gives > 0 || record.costs > 0) && sim->records_count < SIM_RECORDS_MAX)
		sim->records[sim->records_count++] = record;
}

/* PROTOCOL: "Who sends without credit is cut." and "Credit never exceeds 262,144 bytes." */
void bounds_sent(struct sim *sim, struct sim_conn *conn, int end, const uint8_t *bytes, size_t count)
{
	const struct sim_node *sender = &sim->nodes[conn->ends[end].node], *receiver = &sim->nodes[conn->ends[!end].node];

	for (uint32_t i = 0; i < sim->records_count; i++) {
		const struct sim_record *record = &sim->records[i];
		if (record->plain < bytes || record->plain >= bytes + count)
			continue;
		conn->ends[end].gave += record->gives;
		conn->ends[end].spent += record->costs;
	}
	if (sender->vice != SIM_HONEST)
		return;
	if (receiver->vice == SIM_HONEST && conn->ends[end].spent > conn->ends[!end].gave)
		sim_fail(sim, "limits", "node %u has sent %u what costs %llu bytes of credit, and was given %llu", sender->index, receiver->index,
		         (unsigned long long)conn->ends[end].spent, (unsigned long long)conn->ends[!end].gave);
	else if (receiver->vice == SIM_HONEST && conn->ends[end].gave > conn->ends[!end].spent + CREDIT_BYTES)
		sim_fail(sim, "limits", "node %u has given %u credit for %llu bytes, of which %llu are spent", sender->index, receiver->index,
		         (unsigned long long)conn->ends[end].gave, (unsigned long long)conn->ends[!end].spent);
}

/* Before an entry of another waits for the disk. */
void bounds_store(struct sim *sim, const struct sim_node *node, uint16_t author, uint8_t lane, uint64_t seq)
{
	const struct pl_charter *charter = node->charter;
	const struct pl_member *member = &charter->members[charter->nodes[author].member];
	uint64_t kept_bytes = 0, waiting_bytes = 0;

	if (node->vice != SIM_HONEST || author == node->self)
		return;
	for (const struct sim_write *w = node->writes; w; w = w->next) {
		const bool is_of_member = charter->nodes[w->author].member == charter->nodes[author].member && w->lane == lane && !w->is_repair;
		if (w->author != node->self && w->lane == 2)
			waiting_bytes += PL_ENTRY_HEADER_BYTES + w->entry->body_bytes;
		if (is_of_member)
			kept_bytes += pl_entry_kept_bytes(pl_header_kind(w->entry->header), w->entry->body_bytes);
	}
	if (lane == 2 && waiting_bytes > STORING_BYTES + CREDIT_BYTES)
		sim_fail(sim, "limits", "node %u takes %u/%u/%llu, and %llu bytes of bulk wait for its disk", node->index, author, lane, (unsigned long long)seq,
		         (unsigned long long)waiting_bytes);
	for (uint16_t i = 0; i < member->nodes_count && node->share_bytes > 0; i++) {
		const struct sim_lane *of = &node->disk.lanes[(size_t)(member->first_node + i) * PL_LANES + lane];
		for (uint64_t k = 0; k < of->count; k++)
			kept_bytes += pl_entry_kept_bytes(pl_header_kind(of->entries[k]->header), of->entries[k]->body_bytes);
	}
	if (node->share_bytes > 0 && kept_bytes >= node->share_bytes)
		sim_fail(sim, "room", "node %u stores %u/%u/%llu, of whose member it keeps %llu bytes of that lane and may keep %llu", node->index, author, lane,
		         (unsigned long long)seq, (unsigned long long)kept_bytes, (unsigned long long)node->share_bytes);
}
