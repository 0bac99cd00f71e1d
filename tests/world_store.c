/* The stores of the small world. */
#include "tests/world_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"

void world_store_append(struct lane_store *lane, const struct entry *entry)
{
	if (lane->count == lane->max) {
		lane->max = lane->max ? 2 * lane->max : 16;
		lane->entries = realloc(lane->entries, lane->max * sizeof(*lane->entries));
	}
	lane->entries[lane->count++] = *entry;
}

/* What comes for a place is what stood there. */
static void run_repair(struct world *w, uint16_t node, struct pending *p)
{
	struct lane_store *lane = &w->nodes[node].lanes[p->node][p->lane];
	struct entry *entry = &lane->entries[p->seq - 1];
	struct pl_event event = { .type = PL_EV_REPAIRED, .repaired = { p->node, p->lane, p->seq } };

	assert(p->seq <= lane->count && entry->rotten && memcmp(entry->header, p->entry.header, PL_ENTRY_HEADER_BYTES) == 0 &&
	       entry->body_bytes == p->entry.body_bytes);
	p->entry.durable_at_ms = entry->durable_at_ms;
	free(entry->body);
	*entry = p->entry;
	w->nodes[node].repairs++;
	assert(world_step(w, node, &event) == PL_OK);
}

static void report_rot(struct world *w, uint16_t node, const struct load *l, uint64_t seq)
{
	struct pl_event event = { .type = PL_EV_DAMAGED };

	event.damaged.node = l->node;
	event.damaged.lane = l->lane;
	event.damaged.seq = seq;
	const struct lane_store *lane = &w->nodes[node].lanes[l->node][l->lane];
	if (seq < lane->count) /* of the head only the row itself could say which it is, and that may be damaged */
		pl_entry_id(w->charter->network_id, lane->entries[seq - 1].header, event.damaged.id);
	assert(world_step(w, node, &event) == PL_OK);
}

/* Takes out the first that is due: within a lane in order, among lanes as their commits take. */
static struct pending *pending_due(const struct world *w, struct node *n)
{
	bool waits[WORLD_NODES_MAX][PL_LANES] = { 0 };

	for (struct pending **at = &n->pending; *at; at = &(*at)->next) {
		struct pending *p = *at;
		if (p->at_ms <= w->now_ms && !waits[p->node][p->lane]) {
			*at = p->next;
			if (!p->next)
				n->pending_last = at;
			return p;
		}
		waits[p->node][p->lane] = true;
	}
	return NULL;
}

void world_pending_drop(struct node *n)
{
	while (n->pending) {
		struct pending *next = n->pending->next;
		free(n->pending->entry.body);
		free(n->pending);
		n->pending = next;
	}
	n->pending_last = &n->pending;
}

bool world_store_run(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];
	bool any = false;

	if (n->store_fails && n->pending) {
		world_pending_drop(n);
		struct pl_event event = { .type = PL_EV_STORE_FAILED };
		assert(world_step(w, node, &event) == PL_OK);
		return true;
	}
	for (struct pending *p; (p = pending_due(w, n));) {
		struct pl_event event = { .type = PL_EV_STORED };
		struct lane_store *lane = &n->lanes[p->node][p->lane];
		if (p->is_repair) {
			run_repair(w, node, p);
			free(p);
			any = true;
			continue;
		}
		/* the promise that everything rests on: in order, gapless, each once */
		assert(p->seq == lane->count + 1);
		p->entry.durable_at_ms = w->now_ms;
		world_store_append(lane, &p->entry);
		event.stored.node = p->node;
		event.stored.lane = p->lane;
		event.stored.seq = p->seq;
		event.stored.gseq = p->gseq;
		event.stored.id = p->id;
		event.stored.bytes = PL_ENTRY_HEADER_BYTES + p->entry.body_bytes;
		event.stored.kept_bytes = pl_entry_kept_bytes(pl_header_kind(p->entry.header), p->entry.body_bytes);
		assert(world_step(w, node, &event) == PL_OK);
		free(p);
		any = true;
	}
	while (n->loads) {
		struct load *l = n->loads;
		struct pl_stored_entry found[512];
		struct pl_event event = { .type = PL_EV_LOADED };
		uint32_t bytes = 0;
		size_t count = 0;
		n->loads = l->next;
		if (!n->loads)
			n->loads_last = &n->loads;
		struct lane_store *lane = &n->lanes[l->node][l->lane];
		for (uint64_t seq = l->from; !n->store_forgets && !n->store_lacks_memory && seq <= l->to && seq <= lane->count && count < 512 && (count == 0 || bytes < l->max_bytes); seq++) {
			struct entry *entry = &lane->entries[seq - 1];
			if (entry->rotten) {
				report_rot(w, node, l, seq);
				break;
			}
			found[count++] = (struct pl_stored_entry){ entry->header, entry->body, entry->body_bytes };
			bytes += PL_ENTRY_HEADER_BYTES + entry->body_bytes;
		}
		event.loaded.token = l->token;
		event.loaded.lacked_memory = n->store_lacks_memory;
		event.loaded.entries = found;
		event.loaded.count = count;
		assert(world_step(w, node, &event) == PL_OK);
		free(l);
		any = true;
	}
	return any;
}

void world_store_forgets(struct world *w, uint16_t node, bool forgets) { w->nodes[node].store_forgets = forgets; }

void world_store_lacks_memory(struct world *w, uint16_t node, bool lacks) { w->nodes[node].store_lacks_memory = lacks; }

void world_rot(struct world *w, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct entry *entry = &w->nodes[node].lanes[author][lane].entries[seq - 1];

	assert(seq <= w->nodes[node].lanes[author][lane].count && entry->body_bytes > 0);
	entry->body[entry->body_bytes / 2] ^= 1;
	entry->rotten = true;
}

void world_find_rot(struct world *w, uint16_t node, uint16_t author, uint8_t lane)
{
	const struct lane_store *store = &w->nodes[node].lanes[author][lane];
	const struct load whole = { .node = author, .lane = lane };

	for (size_t i = 0; i < store->count; i++) {
		if (store->entries[i].rotten)
			report_rot(w, node, &whole, i + 1);
	}
}

uint32_t world_repairs(const struct world *w, uint16_t node) { return w->nodes[node].repairs; }

void world_store_fails(struct world *w, uint16_t node, bool fails)
{
	struct pl_event event = { .type = PL_EV_STORE_READY };

	w->nodes[node].store_fails = fails;
	if (!fails)
		assert(world_step(w, node, &event) == PL_OK);
}

uint64_t world_durable(struct world *w, uint16_t node, uint16_t author, uint8_t lane) { return w->nodes[node].lanes[author][lane].count; }

uint64_t world_durable_at(struct world *w, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	const struct lane_store *l = &w->nodes[node].lanes[author][lane];

	return seq <= l->count ? l->entries[seq - 1].durable_at_ms : 0;
}

bool world_same_entry(struct world *w, uint16_t a, uint16_t b, uint16_t author, uint8_t lane, uint64_t seq)
{
	const struct lane_store *x = &w->nodes[a].lanes[author][lane], *y = &w->nodes[b].lanes[author][lane];

	if (seq > x->count || seq > y->count)
		return false;
	const struct entry *i = &x->entries[seq - 1], *k = &y->entries[seq - 1];
	return memcmp(i->header, k->header, PL_ENTRY_HEADER_BYTES) == 0 && i->body_bytes == k->body_bytes &&
	       memcmp(i->body, k->body, i->body_bytes) == 0;
}
