/* The links of the small world, and the test as a peer. */
#include "tests/world_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct end *world_link_end(struct world *w, uint16_t node, uint32_t link, struct link **out_link)
{
	if (link >= w->next_link)
		return NULL;
	struct link *found = &w->links[w->slots[link / 2]]; /* or what stands there now */
	for (int k = 0; found->used && k < 2; k++) {
		if (found->ends[k].node == node && found->ends[k].link == link) {
			*out_link = found;
			return &found->ends[k];
		}
	}
	return NULL;
}

/* Returns when it will have left. */
uint64_t world_link_push(struct world *w, struct link *link, int to, const uint8_t *bytes, size_t count)
{
	struct end *end = &link->ends[to];
	struct chunk *chunk = malloc(sizeof(*chunk) + count);

	if (end->busy_until_us < w->now_ms * 1000)
		end->busy_until_us = w->now_ms * 1000;
	if (w->rate > 0)
		end->busy_until_us += count * 1000000 / w->rate;
	const uint64_t left_ms = (end->busy_until_us + 999) / 1000;

	memcpy(chunk->bytes, bytes, count);
	chunk->count = count;
	chunk->taken = 0;
	chunk->next = NULL;
	chunk->at_ms = left_ms + w->latency_ms;
	if (w->tamper && !w->tamper(w->tamper_ctx, link->ends[!to].node, end->node, chunk->bytes, count)) {
		free(chunk);
		return left_ms;
	}
	*end->last = chunk;
	end->last = &chunk->next;
	return left_ms;
}

void world_link_free(struct link *link)
{
	for (int k = 0; k < 2; k++) {
		while (link->ends[k].first) {
			struct chunk *next = link->ends[k].first->next;
			free(link->ends[k].first);
			link->ends[k].first = next;
		}
	}
	for (int k = 0; k < 2; k++)
		free(link->ends[k].inbox);
	link->used = false;
}

struct link *world_link_new(struct world *w, uint16_t a, uint16_t b)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		struct link *link = &w->links[i];
		if (link->used)
			continue;
		*link = (struct link){ .used = true, .open = true };
		if (i >= w->links_end)
			w->links_end = i + 1;
		if (w->next_link / 2 >= w->slots_max) {
			w->slots_max = w->slots_max ? 2 * w->slots_max : 64;
			w->slots = realloc(w->slots, w->slots_max * sizeof(*w->slots));
			assert(w->slots);
		}
		w->slots[w->next_link / 2] = (uint16_t)i;
		for (int k = 0; k < 2; k++) {
			link->ends[k].node = k == 0 ? a : b;
			link->ends[k].link = w->next_link++;
			link->ends[k].last = &link->ends[k].first;
			link->ends[k].plays = PL_NODE_NONE;
		}
		return link;
	}
	assert(!"room for links");
	return NULL;
}

/* The engine of one end has let go: the other hears of it once what was sent has arrived. */
void world_link_let_go(struct world *w, uint16_t node, uint32_t handle)
{
	struct link *link = NULL;
	struct end *end = world_link_end(w, node, handle, &link);

	if (end) {
		end->node = PL_NODE_NONE - 1; /* nobody */
		link->open = false;
	}
}

void world_link_break(struct world *w, struct link *link)
{
	struct end ends[2] = { link->ends[0], link->ends[1] };

	world_link_free(link);
	for (int k = 0; k < 2; k++) {
		struct pl_event event = { .type = PL_EV_LINK_DOWN, .link_down = { ends[k].link, PL_NODE_NONE } };
		if (ends[k].node < w->count && w->nodes[ends[k].node].engine)
			assert(world_step(w, ends[k].node, &event) == PL_OK);
	}
}

void world_cut(struct world *w, uint16_t a, uint16_t b)
{
	w->cut[a][b] = w->cut[b][a] = true;
	for (int i = 0; i < w->links_end; i++) {
		struct link *link = &w->links[i];
		const uint16_t x = link->ends[0].node, y = link->ends[1].node;
		if (link->used && ((x == a && y == b) || (x == b && y == a)))
			world_link_break(w, link);
	}
}

void world_heal(struct world *w, uint16_t a, uint16_t b) { w->cut[a][b] = w->cut[b][a] = false; }

bool world_link_run(struct world *w, struct link *link)
{
	bool any = false;

	for (int k = 0; link->used && k < 2; k++) {
		struct end *end = &link->ends[k];
		while (link->used && end->first && end->first->at_ms <= w->now_ms) {
			struct chunk *chunk = end->first;
			any = true;
			if (end->node == PL_NODE_NONE) {
				end->inbox = realloc(end->inbox, end->received + chunk->count);
				memcpy(end->inbox + end->received, chunk->bytes, chunk->count);
				end->received += chunk->count;
			}
			if (end->node < w->count && w->nodes[end->node].engine) {
				struct pl_event event = { .type = PL_EV_BYTES };
				event.bytes.link = end->link;
				event.bytes.bytes = chunk->bytes + chunk->taken;
				event.bytes.count = chunk->count - chunk->taken;
				assert(world_step(w, end->node, &event) == PL_OK);
				chunk->taken += event.bytes.consumed;
				if (!link->used)
					return true;
				if (end->node < w->count && chunk->taken < chunk->count)
					continue;
			}
			end->first = chunk->next;
			if (!end->first)
				end->last = &end->first;
			free(chunk);
		}
	}
	/* what the test was sent on a link stays until the test lets go of it */
	if (link->used && !link->open && !link->ends[0].first && !link->ends[1].first && link->ends[0].node != PL_NODE_NONE &&
	    link->ends[1].node != PL_NODE_NONE) {
		world_link_break(w, link);
		any = true;
	}
	return any;
}

/* --- the test as a peer --- */

uint32_t world_raw_connect(struct world *w, uint16_t node) { return world_raw_connect_from(w, node, WORLD_TEST_ADDRESS); }

uint32_t world_raw_connect_from(struct world *w, uint16_t node, uint64_t address_hash)
{
	struct link *link = world_link_new(w, PL_NODE_NONE, node);
	struct pl_event accept = { .type = PL_EV_LINK_UP, .link_up = { link->ends[1].link, PL_NODE_NONE, address_hash } };
	const uint32_t mine = link->ends[0].link;

	assert(world_step(w, node, &accept) == PL_OK);
	return mine;
}

void world_raw_send(struct world *w, uint32_t handle, const uint8_t *bytes, size_t count)
{
	struct link *link = NULL;
	const struct end *end = world_link_end(w, PL_NODE_NONE, handle, &link);

	if (end)
		world_link_push(w, link, end == &link->ends[0], bytes, count);
}

size_t world_raw_received(struct world *w, uint32_t handle)
{
	struct link *link = NULL;
	const struct end *end = world_link_end(w, PL_NODE_NONE, handle, &link);

	return end ? end->received : 0;
}

size_t world_raw_take(struct world *w, uint32_t handle, uint8_t *out, size_t max)
{
	struct link *link = NULL;
	struct end *end = world_link_end(w, PL_NODE_NONE, handle, &link);
	size_t count = end ? end->received - end->taken : 0;

	if (count > max)
		count = max;
	if (count > 0)
		memcpy(out, end->inbox + end->taken, count);
	if (end)
		end->taken += count;
	return count;
}

bool world_raw_open(struct world *w, uint32_t handle)
{
	struct link *link = NULL;

	return world_link_end(w, PL_NODE_NONE, handle, &link) != NULL && link->open;
}

void world_raw_close(struct world *w, uint32_t handle)
{
	struct link *link = NULL;

	if (world_link_end(w, PL_NODE_NONE, handle, &link))
		world_link_break(w, link);
}

void world_raw_stall(struct world *w, uint32_t handle)
{
	struct link *link = NULL;
	struct end *end = world_link_end(w, PL_NODE_NONE, handle, &link);

	if (end)
		end->stalled = true;
}

uint32_t world_raw_dialled(struct world *w, uint16_t node)
{
	for (int i = 0; i < w->links_end; i++) {
		struct end *end = &w->links[i].ends[1];
		if (w->links[i].used && w->links[i].open && end->node == PL_NODE_NONE && end->plays == node) {
			end->plays = PL_NODE_NONE;
			return end->link;
		}
	}
	return PL_LINK_NONE;
}
