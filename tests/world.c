#include "tests/world.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"

#define LINKS_MAX 512
#define ROUNDS_MAX 1000000 /* with nothing left to do long before; more is an engine that turns in circles */
#define CHECKED_MAX 64
#define WALL_START_MS 1790000000000ULL

struct room {
	struct room *next;
	_Alignas(max_align_t) uint8_t bytes[];
};

struct chunk {
	struct chunk *next;
	uint64_t at_ms;
	size_t count, taken;
	uint8_t bytes[];
};

struct end {
	uint16_t node; /* PL_NODE_NONE: the test */
	uint32_t link;
	struct chunk *first, **last; /* towards this end */
	/* where the end is the test: */
	uint16_t plays; /* the node that was dialled, until the test has been told; PL_NODE_NONE */
	uint8_t *inbox;
	size_t received, taken;
	bool stalled;
	uint64_t busy_until_us; /* what is sent towards this end */
};

struct link {
	bool used, open;
	struct end ends[2];
};

struct entry {
	uint8_t header[PL_ENTRY_HEADER_BYTES];
	uint8_t *body;
	uint32_t body_bytes;
	uint64_t durable_at_ms;
	bool rotten; /* the disk has changed it, and the store notices when it is read */
};

struct lane_store {
	struct entry *entries;
	size_t count, max;
};

struct pending {
	struct pending *next;
	uint64_t at_ms;
	uint16_t node;
	uint8_t lane, id[PL_ID_BYTES];
	uint64_t seq, gseq;
	struct entry entry;
	bool is_repair;
};

struct load {
	struct load *next;
	uint32_t token;
	uint16_t node;
	uint8_t lane;
	uint64_t from, to;
	uint32_t max_bytes;
};

/* Verdicts that are on their way to the engine. */
struct checked {
	uint64_t at_ms;
	uint32_t token, good;
};

struct node {
	struct pl_engine_config config;
	struct pl_engine *engine;
	void *memory;
	uint8_t sign_secret[PL_SIGN_SECRET_BYTES], noise_secret[32];
	struct lane_store lanes[WORLD_NODES_MAX][PL_LANES];
	uint64_t acked[WORLD_NODES_MAX][WORLD_NODES_MAX][PL_LANES];
	struct pending *pending, **pending_last;
	struct load *loads, **loads_last;
	bool store_fails, store_forgets, dials[WORLD_NODES_MAX];
	struct checked checked[CHECKED_MAX];
	uint32_t checked_count;
	uint32_t notes[PL_NOTE_CAUGHT_UP + 1], forks, loads_count, dials_count, repairs;
	const char *details[PL_NOTE_CAUGHT_UP + 1];
	uint16_t dial_due[WORLD_NODES_MAX], dial_count;
	struct {
		uint32_t link;
		uint64_t at_ms;
	} sent_due[LINKS_MAX];
	uint32_t sent_count;
	uint8_t fork[WORLD_NODES_MAX][2][PL_ENTRY_HEADER_BYTES]; /* by author */
	bool forked[WORLD_NODES_MAX];
	bool played;
};

struct world {
	uint16_t count;
	uint64_t now_ms, latency_ms, commit_ms, check_ms, rate, draws;
	uint8_t seed[32];
	bool started, cut[WORLD_NODES_MAX][WORLD_NODES_MAX];
	struct pl_charter *charter;
	struct node nodes[WORLD_NODES_MAX];
	struct link links[LINKS_MAX];
	uint32_t next_link;
	world_tamper tamper;
	void *tamper_ctx;
	struct room *rooms;
	uint8_t story[32];
};

static void draw(struct world *w, uint8_t out[32])
{
	uint8_t in[40];

	memcpy(in, w->seed, 32);
	pl_put64(in + 32, w->draws++);
	crypto_generichash(out, 32, in, sizeof in, NULL, 0);
}

struct world *world_new(uint16_t nodes, uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	assert(w && nodes <= WORLD_NODES_MAX && sodium_init() >= 0);
	w->count = nodes;
	w->now_ms = 1000;
	w->latency_ms = 1;
	w->commit_ms = 1;
	pl_put64(w->seed, seed);
	w->charter = calloc(1, sizeof *w->charter);
	draw(w, w->charter->network_id);
	w->charter->members_count = w->charter->nodes_count = nodes;
	for (uint16_t i = 0; i < nodes; i++) {
		struct node *n = &w->nodes[i];
		struct pl_member *m = &w->charter->members[i];
		struct pl_certificate *c = &w->charter->nodes[i].certificate;
		snprintf(m->code, sizeof m->code, "AA%c", 'A' + i);
		m->first_node = i;
		m->nodes_count = 1;
		w->charter->nodes[i].member = i;
		pl_engine_config_default(&n->config);
		n->config.charter = w->charter;
		n->config.self = i;
		n->config.links_max = 8;
		draw(w, n->noise_secret);
		pl_sign_keypair(n->noise_secret, c->node_id, n->sign_secret);
		draw(w, n->noise_secret);
		crypto_scalarmult_base(c->noise_public, n->noise_secret);
		n->config.sign_secret = n->sign_secret;
		n->config.noise_secret = n->noise_secret;
		c->generation = 1;
		c->valid_from_ms = WALL_START_MS - 86400000;
		c->valid_until_ms = WALL_START_MS + 86400000 * 365ULL;
		n->pending_last = &n->pending;
		n->loads_last = &n->loads;
	}
	return w;
}

void *world_room(struct world *w, size_t bytes)
{
	struct room *room = malloc(sizeof *room + bytes);

	assert(room);
	room->next = w->rooms;
	w->rooms = room;
	return room->bytes;
}

struct pl_charter *world_charter(struct world *w) { return w->charter; }
struct pl_engine_config *world_config(struct world *w, uint16_t node) { return &w->nodes[node].config; }
struct pl_engine *world_engine(struct world *w, uint16_t node) { return w->nodes[node].engine; }
uint64_t world_now(const struct world *w) { return w->now_ms; }
uint64_t world_wall(const struct world *w) { return WALL_START_MS + w->now_ms; }

static void effects(struct world *w, uint16_t node);

static enum pl_err step(struct world *w, uint16_t node, struct pl_event *event)
{
	event->now_ms = w->now_ms;
	event->wall_ms = world_wall(w);
	draw(w, event->seed);
	enum pl_err err = pl_engine_step(w->nodes[node].engine, event);
	effects(w, node);
	return err;
}

static struct end *end_of(struct world *w, uint16_t node, uint32_t link, struct link **out_link)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		for (int k = 0; w->links[i].used && k < 2; k++) {
			if (w->links[i].ends[k].node == node && w->links[i].ends[k].link == link) {
				*out_link = &w->links[i];
				return &w->links[i].ends[k];
			}
		}
	}
	return NULL;
}

/* Returns when it will have left. */
static uint64_t push(struct world *w, struct link *link, int to, const uint8_t *bytes, size_t count)
{
	struct end *end = &link->ends[to];
	struct chunk *chunk = malloc(sizeof *chunk + count);

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

static void link_free(struct link *link)
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

static struct link *link_new(struct world *w, uint16_t a, uint16_t b)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		struct link *link = &w->links[i];
		if (link->used)
			continue;
		*link = (struct link){ .used = true, .open = true };
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
static void close_end(struct world *w, uint16_t node, uint32_t handle)
{
	struct link *link = NULL;
	struct end *end = end_of(w, node, handle, &link);

	if (end) {
		end->node = PL_NODE_NONE - 1; /* nobody */
		link->open = false;
	}
}

static void tell(struct world *w, uint16_t node, const struct pl_effect *fx)
{
	crypto_generichash_state state;
	uint64_t numbers[9] = { w->now_ms, node, (uint64_t)fx->type };
	const uint8_t *bytes = NULL;
	size_t count = 0;
	uint8_t encoded[sizeof numbers];

	switch (fx->type) {
	case PL_FX_DIAL:
		numbers[3] = fx->dial.peer;
		break;
	case PL_FX_SEND:
		numbers[3] = fx->send.link;
		bytes = fx->send.bytes;
		count = fx->send.count;
		break;
	case PL_FX_VERIFY:
		numbers[3] = fx->verify.token;
		bytes = fx->verify.headers;
		count = (size_t)fx->verify.count * PL_ENTRY_HEADER_BYTES;
		break;
	case PL_FX_CLOSE:
		numbers[3] = fx->close.link;
		break;
	case PL_FX_STORE:
	case PL_FX_REPAIR:
		numbers[3] = fx->store.node;
		numbers[4] = fx->store.lane;
		numbers[5] = fx->store.seq;
		numbers[6] = fx->store.urgent;
		bytes = fx->store.header;
		count = PL_ENTRY_HEADER_BYTES;
		break;
	case PL_FX_LOAD:
		numbers[3] = fx->load.node;
		numbers[4] = fx->load.lane;
		numbers[5] = fx->load.from;
		numbers[6] = fx->load.to;
		numbers[7] = fx->load.token;
		break;
	case PL_FX_ACKED:
		numbers[3] = fx->acked.node;
		numbers[4] = fx->acked.lane;
		numbers[5] = fx->acked.seq;
		numbers[6] = fx->acked.peer;
		break;
	case PL_FX_FORK:
		numbers[3] = fx->fork.node;
		break;
	case PL_FX_NOTE:
		numbers[3] = (uint64_t)fx->note.code;
		numbers[4] = fx->note.peer;
		numbers[5] = fx->note.node;
		numbers[6] = fx->note.seq;
		break;
	}
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		pl_put64(encoded + 8 * i, numbers[i]);
	crypto_generichash_init(&state, NULL, 0, sizeof w->story);
	crypto_generichash_update(&state, w->story, sizeof w->story);
	crypto_generichash_update(&state, encoded, sizeof encoded);
	if (count > 0)
		crypto_generichash_update(&state, bytes, count);
	crypto_generichash_final(&state, w->story, sizeof w->story);
}

void world_story(const struct world *w, uint8_t hash[32]) { memcpy(hash, w->story, sizeof w->story); }

static void effects(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];
	struct pl_effect fx;

	while (pl_engine_next_effect(n->engine, &fx)) {
		struct link *link = NULL;
		tell(w, node, &fx);
		switch (fx.type) {
		case PL_FX_DIAL:
			n->dial_due[n->dial_count++] = fx.dial.peer;
			n->dials_count++;
			break;
		case PL_FX_SEND: {
			struct end *end = end_of(w, node, fx.send.link, &link);
			/* the promise of engine.h: at most one is outstanding on a link */
			for (uint32_t i = 0; i < n->sent_count; i++)
				assert(n->sent_due[i].link != fx.send.link);
			n->sent_due[n->sent_count].link = fx.send.link;
			n->sent_due[n->sent_count++].at_ms = end ? push(w, link, end == &link->ends[0], fx.send.bytes, fx.send.count) : w->now_ms;
			break;
		}
		case PL_FX_CLOSE:
			close_end(w, node, fx.close.link);
			break;
		case PL_FX_STORE:
		case PL_FX_REPAIR: {
			struct pending *p = calloc(1, sizeof *p);
			p->is_repair = fx.type == PL_FX_REPAIR;
			p->at_ms = w->now_ms + w->commit_ms;
			p->node = fx.store.node;
			p->lane = fx.store.lane;
			p->seq = fx.store.seq;
			p->gseq = fx.store.gseq;
			memcpy(p->id, fx.store.id, PL_ID_BYTES);
			memcpy(p->entry.header, fx.store.header, PL_ENTRY_HEADER_BYTES);
			p->entry.body = malloc(fx.store.body_bytes + 1);
			memcpy(p->entry.body, fx.store.body, fx.store.body_bytes);
			p->entry.body_bytes = fx.store.body_bytes;
			*n->pending_last = p;
			n->pending_last = &p->next;
			break;
		}
		case PL_FX_LOAD: {
			struct load *l = calloc(1, sizeof *l);
			*l = (struct load){ .token = fx.load.token, .node = fx.load.node, .lane = fx.load.lane, .from = fx.load.from, .to = fx.load.to,
			                    .max_bytes = fx.load.max_bytes };
			*n->loads_last = l;
			n->loads_last = &l->next;
			n->loads_count++;
			break;
		}
		case PL_FX_VERIFY: {
			assert(n->checked_count < CHECKED_MAX);
			struct checked *checked = &n->checked[n->checked_count++];
			*checked = (struct checked){ .at_ms = w->now_ms + w->check_ms, .token = fx.verify.token,
			                              .good = pl_entries_verify(w->charter->network_id, fx.verify.headers, fx.verify.count) };
			break;
		}
		case PL_FX_ACKED:
			assert(fx.acked.seq > n->acked[fx.acked.peer][fx.acked.node][fx.acked.lane]);
			n->acked[fx.acked.peer][fx.acked.node][fx.acked.lane] = fx.acked.seq;
			break;
		case PL_FX_FORK:
			assert(!n->forked[fx.fork.node]);
			n->forked[fx.fork.node] = true;
			memcpy(n->fork[fx.fork.node][0], fx.fork.header_a, PL_ENTRY_HEADER_BYTES);
			memcpy(n->fork[fx.fork.node][1], fx.fork.header_b, PL_ENTRY_HEADER_BYTES);
			n->forks++;
			break;
		case PL_FX_NOTE:
			n->notes[fx.note.code]++;
			n->details[fx.note.code] = fx.note.detail;
			if (getenv("WORLD_TRACE"))
				fprintf(stderr, "%6llu node %u note %d peer %u node %u lane %u seq %llu %s\n", (unsigned long long)w->now_ms, node, fx.note.code,
				        fx.note.peer, fx.note.node, fx.note.lane, (unsigned long long)fx.note.seq, fx.note.detail);
			break;
		}
	}
}

static void lane_append(struct lane_store *lane, const struct entry *entry)
{
	if (lane->count == lane->max) {
		lane->max = lane->max ? 2 * lane->max : 16;
		lane->entries = realloc(lane->entries, lane->max * sizeof *lane->entries);
	}
	lane->entries[lane->count++] = *entry;
}

static void engine_start(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];
	const size_t bytes = pl_engine_bytes(&n->config);

	n->memory = calloc(1, bytes);
	if (pl_engine_init(&n->config, n->memory, bytes, &n->engine) != PL_OK)
		abort();
	for (uint16_t a = 0; a < w->count; a++) {
		for (uint8_t l = 0; l < PL_LANES; l++) {
			const struct lane_store *lane = &n->lanes[a][l];
			struct pl_event event = { .type = PL_EV_RESTORE, .restore = { .node = a, .lane = l } };
			if (lane->count == 0)
				continue;
			const uint8_t *header = lane->entries[lane->count - 1].header;
			event.restore.seq = pl_get64(header + 16);
			event.restore.gseq = pl_get64(header + 24);
			for (size_t i = 0; i < lane->count; i++)
				event.restore.bytes += PL_ENTRY_HEADER_BYTES + lane->entries[i].body_bytes;
			pl_entry_id(w->charter->network_id, header, event.restore.id);
			assert(step(w, node, &event) == PL_OK);
		}
	}
	for (uint16_t p = 0; p < w->count; p++) {
		for (uint16_t a = 0; a < w->count; a++) {
			for (uint8_t l = 0; l < PL_LANES; l++) {
				struct pl_event event = { .type = PL_EV_RESTORE_ACK };
				if (n->acked[p][a][l] == 0)
					continue;
				event.restore_ack.peer = p;
				event.restore_ack.node = a;
				event.restore_ack.lane = l;
				event.restore_ack.seq = n->acked[p][a][l];
				assert(step(w, node, &event) == PL_OK);
			}
		}
	}
	for (uint16_t a = 0; a < w->count; a++) {
		struct pl_event event = { .type = PL_EV_RESTORE_FORK, .restore_fork = { a, n->fork[a][0], n->fork[a][1] } };
		if (n->forked[a])
			assert(step(w, node, &event) == PL_OK);
	}
	struct pl_event event = { .type = PL_EV_START };
	assert(step(w, node, &event) == PL_OK);
	for (uint16_t p = 0; p < w->count; p++) {
		struct pl_event dial = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { p } };
		if (n->dials[p])
			assert(step(w, node, &dial) == PL_OK);
	}
}

void world_start(struct world *w)
{
	w->started = true;
	for (uint16_t i = 0; i < w->count; i++) {
		if (!w->nodes[i].played)
			engine_start(w, i);
	}
}

void world_link(struct world *w, uint16_t a, uint16_t b)
{
	struct pl_event event = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { b } };

	w->nodes[a].dials[b] = true;
	if (w->started)
		assert(step(w, a, &event) == PL_OK);
}

static void link_break(struct world *w, struct link *link)
{
	struct end ends[2] = { link->ends[0], link->ends[1] };

	link_free(link);
	for (int k = 0; k < 2; k++) {
		struct pl_event event = { .type = PL_EV_LINK_DOWN, .link_down = { ends[k].link, PL_NODE_NONE } };
		if (ends[k].node < w->count && w->nodes[ends[k].node].engine)
			assert(step(w, ends[k].node, &event) == PL_OK);
	}
}

void world_cut(struct world *w, uint16_t a, uint16_t b)
{
	w->cut[a][b] = w->cut[b][a] = true;
	for (int i = 0; i < LINKS_MAX; i++) {
		struct link *link = &w->links[i];
		const uint16_t x = link->ends[0].node, y = link->ends[1].node;
		if (link->used && ((x == a && y == b) || (x == b && y == a)))
			link_break(w, link);
	}
}

void world_heal(struct world *w, uint16_t a, uint16_t b) { w->cut[a][b] = w->cut[b][a] = false; }

void world_latency(struct world *w, uint64_t latency_ms, uint64_t commit_ms)
{
	w->latency_ms = latency_ms;
	w->commit_ms = commit_ms;
}

void world_rate(struct world *w, uint64_t bytes_per_s) { w->rate = bytes_per_s; }
void world_check_takes(struct world *w, uint64_t check_ms) { w->check_ms = check_ms; }

void world_set_tamper(struct world *w, world_tamper tamper, void *ctx)
{
	w->tamper = tamper;
	w->tamper_ctx = ctx;
}

enum pl_err world_submit(struct world *w, uint16_t node, uint8_t lane, uint8_t kind, uint8_t flags, const void *body, uint32_t body_bytes)
{
	struct pl_event event = { .type = PL_EV_SUBMIT };

	event.submit.lane = lane;
	event.submit.kind = kind;
	event.submit.flags = flags;
	event.submit.body = body;
	event.submit.body_bytes = body_bytes;
	return step(w, node, &event);
}

/* --- the clock --- */

static bool run_dials(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];
	bool any = false;

	while (n->dial_count > 0) {
		const uint16_t peer = n->dial_due[--n->dial_count];
		any = true;
		if (w->cut[node][peer] || (!w->nodes[peer].engine && !w->nodes[peer].played)) {
			struct pl_event event = { .type = PL_EV_LINK_DOWN, .link_down = { PL_LINK_NONE, peer } };
			assert(step(w, node, &event) == PL_OK);
			continue;
		}
		struct link *link = link_new(w, node, peer);
		const uint32_t a = link->ends[0].link, b = link->ends[1].link;
		struct pl_event accept = { .type = PL_EV_LINK_UP, .link_up = { b, PL_NODE_NONE, node } };
		struct pl_event dialled = { .type = PL_EV_LINK_UP, .link_up = { a, peer, peer } };
		if (w->nodes[peer].played) {
			link->ends[1].node = PL_NODE_NONE;
			link->ends[1].plays = peer;
		} else {
			assert(step(w, peer, &accept) == PL_OK);
		}
		assert(step(w, node, &dialled) == PL_OK);
	}
	for (uint32_t i = 0; i < n->sent_count;) {
		struct pl_event event = { .type = PL_EV_SENT, .sent = { n->sent_due[i].link } };
		struct link *link = NULL;
		const struct end *end = end_of(w, node, n->sent_due[i].link, &link);
		if (n->sent_due[i].at_ms > w->now_ms || (end && link->ends[end == &link->ends[0]].stalled)) {
			i++;
			continue;
		}
		memmove(n->sent_due + i, n->sent_due + i + 1, (--n->sent_count - i) * sizeof *n->sent_due);
		any = true;
		assert(step(w, node, &event) == PL_OK);
	}
	return any;
}

static bool run_checks(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];
	bool any = false;

	for (uint32_t i = 0; i < n->checked_count;) {
		struct pl_event event = { .type = PL_EV_VERIFIED, .verified = { n->checked[i].token, n->checked[i].good } };
		if (n->checked[i].at_ms > w->now_ms) {
			i++;
			continue;
		}
		memmove(n->checked + i, n->checked + i + 1, (--n->checked_count - i) * sizeof *n->checked);
		assert(step(w, node, &event) == PL_OK);
		any = true;
	}
	return any;
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
	assert(step(w, node, &event) == PL_OK);
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
	assert(step(w, node, &event) == PL_OK);
}

static bool run_store(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];
	bool any = false;

	if (n->store_fails && n->pending) {
		while (n->pending) {
			struct pending *next = n->pending->next;
			free(n->pending->entry.body);
			free(n->pending);
			n->pending = next;
		}
		n->pending_last = &n->pending;
		struct pl_event event = { .type = PL_EV_STORE_FAILED };
		assert(step(w, node, &event) == PL_OK);
		return true;
	}
	while (n->pending && n->pending->at_ms <= w->now_ms) {
		struct pending *p = n->pending;
		struct pl_event event = { .type = PL_EV_STORED };
		n->pending = p->next;
		if (!n->pending)
			n->pending_last = &n->pending;
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
		lane_append(lane, &p->entry);
		event.stored.node = p->node;
		event.stored.lane = p->lane;
		event.stored.seq = p->seq;
		event.stored.gseq = p->gseq;
		event.stored.id = p->id;
		event.stored.bytes = PL_ENTRY_HEADER_BYTES + p->entry.body_bytes;
		assert(step(w, node, &event) == PL_OK);
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
		for (uint64_t seq = l->from; !n->store_forgets && seq <= l->to && seq <= lane->count && count < 512 && (count == 0 || bytes < l->max_bytes); seq++) {
			struct entry *entry = &lane->entries[seq - 1];
			if (entry->rotten) {
				report_rot(w, node, l, seq);
				break;
			}
			found[count++] = (struct pl_stored_entry){ entry->header, entry->body, entry->body_bytes };
			bytes += PL_ENTRY_HEADER_BYTES + entry->body_bytes;
		}
		event.loaded.token = l->token;
		event.loaded.entries = found;
		event.loaded.count = count;
		assert(step(w, node, &event) == PL_OK);
		free(l);
		any = true;
	}
	return any;
}

static bool run_link(struct world *w, struct link *link)
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
				assert(step(w, end->node, &event) == PL_OK);
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
		link_break(w, link);
		any = true;
	}
	return any;
}

static void settle(struct world *w)
{
	bool any = true;

	for (uint32_t rounds = 0; any; rounds++) {
		assert(rounds < ROUNDS_MAX);
		any = false;
		for (uint16_t i = 0; i < w->count; i++) {
			if (!w->nodes[i].engine)
				continue;
			any |= run_dials(w, i);
			any |= run_store(w, i);
			any |= run_checks(w, i);
			for (uint32_t ticks = 0; pl_engine_deadline_ms(w->nodes[i].engine) <= w->now_ms; ticks++) {
				struct pl_event event = { .type = PL_EV_TICK };
				assert(ticks < ROUNDS_MAX && step(w, i, &event) == PL_OK);
				any = true;
			}
		}
		for (int i = 0; i < LINKS_MAX; i++) {
			if (w->links[i].used)
				any |= run_link(w, &w->links[i]);
		}
	}
}

void world_run_ms(struct world *w, uint64_t ms)
{
	const uint64_t until = w->now_ms + ms;

	settle(w);
	while (w->now_ms < until) {
		/* to the next thing that is due, or to the end */
		uint64_t next = until;
		for (uint16_t i = 0; i < w->count; i++) {
			struct node *n = &w->nodes[i];
			if (!n->engine)
				continue;
			const uint64_t deadline = pl_engine_deadline_ms(n->engine);
			if (deadline < next)
				next = deadline;
			if (n->pending && n->pending->at_ms < next)
				next = n->pending->at_ms;
			for (uint32_t k = 0; k < n->sent_count; k++) {
				if (n->sent_due[k].at_ms < next)
					next = n->sent_due[k].at_ms;
			}
			for (uint32_t k = 0; k < n->checked_count; k++) {
				if (n->checked[k].at_ms < next)
					next = n->checked[k].at_ms;
			}
		}
		for (int i = 0; i < LINKS_MAX; i++) {
			for (int k = 0; w->links[i].used && k < 2; k++) {
				if (w->links[i].ends[k].first && w->links[i].ends[k].first->at_ms < next)
					next = w->links[i].ends[k].first->at_ms;
			}
		}
		w->now_ms = next > w->now_ms ? next : w->now_ms + 1;
		settle(w);
	}
}

bool world_converges(struct world *w, uint64_t ms)
{
	const uint64_t until = w->now_ms + ms;

	while (true) {
		uint8_t first[PL_ID_BYTES], other[PL_ID_BYTES];
		bool equal = true, pending = false;
		pl_engine_frontier_root(w->nodes[0].engine, first);
		for (uint16_t i = 0; i < w->count; i++) {
			if (!w->nodes[i].engine)
				continue;
			pl_engine_frontier_root(w->nodes[i].engine, other);
			equal &= memcmp(first, other, PL_ID_BYTES) == 0;
			pending |= w->nodes[i].pending != NULL;
		}
		if (equal && !pending)
			return true;
		if (w->now_ms >= until)
			return false;
		world_run_ms(w, 10);
	}
}

void world_submit_bulk(struct world *w, uint16_t node, uint32_t count, uint32_t body_bytes)
{
	uint8_t *body = malloc(body_bytes);

	for (uint32_t i = 0; i < count; i++) {
		memset(body, (int)(i & 0xff), body_bytes);
		pl_put32(body, i);
		for (uint32_t ms = 0; world_submit(w, node, 2, PL_KIND_INDICATORS, 0, body, body_bytes) == PL_ERR_FULL; ms++) {
			assert(ms < ROUNDS_MAX);
			world_run_ms(w, 1);
		}
	}
	free(body);
}

/* --- mishaps --- */

static void stop(struct world *w, uint16_t node)
{
	struct node *n = &w->nodes[node];

	free(n->memory);
	n->memory = NULL;
	n->engine = NULL;
	for (int i = 0; i < LINKS_MAX; i++) {
		if (w->links[i].used && (w->links[i].ends[0].node == node || w->links[i].ends[1].node == node))
			link_break(w, &w->links[i]);
	}
	while (n->pending) {
		struct pending *next = n->pending->next;
		free(n->pending->entry.body);
		free(n->pending);
		n->pending = next;
	}
	n->pending_last = &n->pending;
	while (n->loads) {
		struct load *next = n->loads->next;
		free(n->loads);
		n->loads = next;
	}
	n->loads_last = &n->loads;
	n->dial_count = n->sent_count = n->checked_count = 0;
}

void world_stop(struct world *w, uint16_t node) { stop(w, node); }

void world_crash(struct world *w, uint16_t node)
{
	stop(w, node);
	engine_start(w, node);
}

void world_restore_copy(struct world *w, uint16_t node, uint8_t lane, uint64_t keep_seq)
{
	struct lane_store *l = &w->nodes[node].lanes[node][lane];

	stop(w, node);
	while (l->count > keep_seq)
		free(l->entries[--l->count].body);
	engine_start(w, node);
}

void world_drain(struct world *w, uint16_t node)
{
	struct pl_event event = { .type = PL_EV_DRAIN };

	assert(step(w, node, &event) == PL_OK);
}

enum pl_err world_step(struct world *w, uint16_t node, struct pl_event *event) { return step(w, node, event); }

void world_store_forgets(struct world *w, uint16_t node, bool forgets) { w->nodes[node].store_forgets = forgets; }

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
		assert(step(w, node, &event) == PL_OK);
}

void world_forge(struct world *w, uint16_t holder, uint16_t author, uint8_t lane, uint64_t seq, const void *body, uint32_t body_bytes)
{
	struct node *n = &w->nodes[holder];
	struct lane_store *store = &n->lanes[author][lane];
	struct entry entry = { .body_bytes = body_bytes };
	struct pl_header header = { .lane = lane, .kind = lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, .generation = 1, .seq = seq, .gseq = seq,
	                            .body_bytes = body_bytes, .time_ms = WALL_START_MS };

	stop(w, holder);
	memcpy(header.author, w->charter->nodes[author].certificate.node_id, PL_NODE_ID_BYTES);
	if (seq > 1)
		pl_entry_id(w->charter->network_id, store->entries[seq - 2].header, header.prev);
	pl_body_hash(body, body_bytes, header.body_hash);
	pl_header_encode(&header, entry.header);
	pl_entry_sign(w->charter->network_id, w->nodes[author].sign_secret, entry.header);
	entry.body = malloc(body_bytes + 1);
	memcpy(entry.body, body, body_bytes);
	while (store->count >= seq)
		free(store->entries[--store->count].body);
	lane_append(store, &entry);
	engine_start(w, holder);
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

uint32_t world_notes(const struct world *w, uint16_t node, enum pl_note_code code) { return w->nodes[node].notes[code]; }
const char *world_last_detail(const struct world *w, uint16_t node, enum pl_note_code code)
{
	return w->nodes[node].details[code] ? w->nodes[node].details[code] : "";
}
uint32_t world_forks(const struct world *w, uint16_t node) { return w->nodes[node].forks; }
uint32_t world_dials(const struct world *w, uint16_t node) { return w->nodes[node].dials_count; }
uint32_t world_loads(const struct world *w, uint16_t node) { return w->nodes[node].loads_count; }

/* --- the test as a peer --- */

uint32_t world_raw_connect(struct world *w, uint16_t node) { return world_raw_connect_from(w, node, WORLD_TEST_ADDRESS); }

uint32_t world_raw_connect_from(struct world *w, uint16_t node, uint64_t address_hash)
{
	struct link *link = link_new(w, PL_NODE_NONE, node);
	struct pl_event accept = { .type = PL_EV_LINK_UP, .link_up = { link->ends[1].link, PL_NODE_NONE, address_hash } };
	const uint32_t mine = link->ends[0].link;

	assert(step(w, node, &accept) == PL_OK);
	return mine;
}

void world_raw_send(struct world *w, uint32_t handle, const uint8_t *bytes, size_t count)
{
	struct link *link = NULL;
	const struct end *end = end_of(w, PL_NODE_NONE, handle, &link);

	if (end)
		push(w, link, end == &link->ends[0], bytes, count);
}

size_t world_raw_received(struct world *w, uint32_t handle)
{
	struct link *link = NULL;
	const struct end *end = end_of(w, PL_NODE_NONE, handle, &link);

	return end ? end->received : 0;
}

size_t world_raw_take(struct world *w, uint32_t handle, uint8_t *out, size_t max)
{
	struct link *link = NULL;
	struct end *end = end_of(w, PL_NODE_NONE, handle, &link);
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

	return end_of(w, PL_NODE_NONE, handle, &link) != NULL && link->open;
}

void world_raw_close(struct world *w, uint32_t handle)
{
	struct link *link = NULL;

	if (end_of(w, PL_NODE_NONE, handle, &link))
		link_break(w, link);
}

void world_raw_stall(struct world *w, uint32_t handle)
{
	struct link *link = NULL;
	struct end *end = end_of(w, PL_NODE_NONE, handle, &link);

	if (end)
		end->stalled = true;
}

void world_play(struct world *w, uint16_t node) { w->nodes[node].played = true; }

uint32_t world_raw_dialled(struct world *w, uint16_t node)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		struct end *end = &w->links[i].ends[1];
		if (w->links[i].used && w->links[i].open && end->node == PL_NODE_NONE && end->plays == node) {
			end->plays = PL_NODE_NONE;
			return end->link;
		}
	}
	return PL_LINK_NONE;
}

void world_free(struct world *w)
{
	for (uint16_t i = 0; i < w->count; i++)
		w->nodes[i].config.charter = NULL;
	for (int i = 0; i < LINKS_MAX; i++) {
		if (w->links[i].used)
			link_free(&w->links[i]);
	}
	for (uint16_t i = 0; i < w->count; i++) {
		stop(w, i);
		for (uint16_t a = 0; a < w->count; a++) {
			for (uint8_t l = 0; l < PL_LANES; l++) {
				struct lane_store *lane = &w->nodes[i].lanes[a][l];
				for (size_t k = 0; k < lane->count; k++)
					free(lane->entries[k].body);
				free(lane->entries);
			}
		}
	}
	while (w->rooms) {
		struct room *next = w->rooms->next;
		free(w->rooms);
		w->rooms = next;
	}
	free(w->charter);
	free(w);
}
