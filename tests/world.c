#include "tests/world_impl.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "proto/state.h"

#define ROUNDS_MAX 1000000 /* with nothing left to do long before; more is an engine that turns in circles */

static void draw(struct world *w, uint8_t out[32])
{
	uint8_t in[40];

	memcpy(in, w->seed, 32);
	pl_put64(in + 32, w->draws++);
	crypto_generichash(out, 32, in, sizeof(in), NULL, 0);
}

struct world *world_new(uint16_t nodes, uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert(w && nodes <= WORLD_NODES_MAX && sodium_init() >= 0);
	w->count = nodes;
	w->now_ms = 1000;
	w->latency_ms = 1;
	w->commit_ms = 1;
	memset(w->lane_commit_ms, 0xff, sizeof(w->lane_commit_ms));
	pl_put64(w->seed, seed);
	w->charter = calloc(1, sizeof(*w->charter));
	draw(w, w->charter->network_id);
	w->charter->members_count = w->charter->nodes_count = nodes;
	for (uint16_t i = 0; i < nodes; i++) {
		struct node *n = &w->nodes[i];
		struct pl_member *m = &w->charter->members[i];
		struct pl_certificate *c = &w->charter->nodes[i].certificate;
		snprintf(m->code, sizeof(m->code), "A%c%c", 'A' + i / 26, 'A' + i % 26);
		m->first_node = i;
		m->nodes_count = 1;
		w->charter->nodes[i].member = i;
		pl_engine_config_default(&n->config);
		n->config.charter = w->charter;
		n->config.self = i;
		n->config.links_max = 8;
		n->config.configured = n->named;
		n->group = i;
		for (int k = 0; k < PL_ANCHORS_MAX; k++)
			n->anchors[k] = PL_NODE_NONE;
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
	struct room *room = malloc(sizeof(*room) + bytes);

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

enum pl_err world_step(struct world *w, uint16_t node, struct pl_event *event)
{
	event->now_ms = w->now_ms;
	event->wall_ms = world_wall(w);
	draw(w, event->seed);
	struct node *n = &w->nodes[node];
	struct pl_engine_counters before, after;
	pl_engine_counters(n->engine, &before);
	enum pl_err err = pl_engine_step(n->engine, event);
	pl_engine_counters(n->engine, &after);
	if (event->type == PL_EV_TICK && after.signatures_verified - before.signatures_verified > n->tick_verified)
		n->tick_verified = after.signatures_verified - before.signatures_verified;
	effects(w, node);
	world_check(n);
	return err;
}

static void tell(struct world *w, uint16_t node, const struct pl_effect *fx)
{
	crypto_generichash_state state;
	uint64_t numbers[9] = { w->now_ms, node, (uint64_t)fx->type };
	const uint8_t *bytes = NULL;
	size_t count = 0;
	uint8_t encoded[sizeof(numbers)];

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
	case PL_FX_ANCHORS:
		for (int i = 0; i < PL_ANCHORS_MAX; i++)
			numbers[3 + i] = fx->anchors.nodes[i];
		break;
	case PL_FX_NOTE:
		numbers[3] = (uint64_t)fx->note.code;
		numbers[4] = fx->note.peer;
		numbers[5] = fx->note.node;
		numbers[6] = fx->note.seq;
		break;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		pl_put64(encoded + 8 * i, numbers[i]);
	crypto_generichash_init(&state, NULL, 0, sizeof(w->story));
	crypto_generichash_update(&state, w->story, sizeof(w->story));
	crypto_generichash_update(&state, encoded, sizeof(encoded));
	if (count > 0)
		crypto_generichash_update(&state, bytes, count);
	crypto_generichash_final(&state, w->story, sizeof(w->story));
}

void world_story(const struct world *w, uint8_t hash[32]) { memcpy(hash, w->story, sizeof(w->story)); }

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
			struct end *end = world_link_end(w, node, fx.send.link, &link);
			/* the promise of engine.h: at most one is outstanding on a link */
			for (uint32_t i = 0; i < n->sent_count; i++)
				assert(n->sent_due[i].link != fx.send.link);
			assert(n->sent_count < SENT_MAX);
			n->sent_due[n->sent_count].link = fx.send.link;
			n->sent_due[n->sent_count++].at_ms = end ? world_link_push(w, link, end == &link->ends[0], fx.send.bytes, fx.send.count) : w->now_ms;
			break;
		}
		case PL_FX_CLOSE:
			world_link_let_go(w, node, fx.close.link);
			break;
		case PL_FX_STORE:
		case PL_FX_REPAIR: {
			struct pending *p = calloc(1, sizeof(*p));
			p->is_repair = fx.type == PL_FX_REPAIR;
			p->at_ms = w->now_ms + (w->lane_commit_ms[fx.store.lane] == UINT64_MAX ? w->commit_ms : w->lane_commit_ms[fx.store.lane]);
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
			struct load *l = calloc(1, sizeof(*l));
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
		case PL_FX_ANCHORS:
			memcpy(n->anchors, fx.anchors.nodes, sizeof(n->anchors));
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
			event.restore.seq = pl_header_seq(header);
			event.restore.gseq = pl_header_gseq(header);
			for (size_t i = 0; i < lane->count; i++)
				event.restore.kept_bytes += pl_entry_kept_bytes(pl_header_kind(lane->entries[i].header), lane->entries[i].body_bytes);
			pl_entry_id(w->charter->network_id, header, event.restore.id);
			assert(world_step(w, node, &event) == PL_OK);
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
				assert(world_step(w, node, &event) == PL_OK);
			}
		}
	}
	for (uint16_t a = 0; a < w->count; a++) {
		struct pl_event event = { .type = PL_EV_RESTORE_FORK, .restore_fork = { a, n->fork[a][0], n->fork[a][1] } };
		if (n->forked[a])
			assert(world_step(w, node, &event) == PL_OK);
	}
	for (int i = 0; i < PL_ANCHORS_MAX; i++) {
		struct pl_event event = { .type = PL_EV_RESTORE_ANCHOR, .restore_anchor = { n->anchors[i] } };
		if (n->anchors[i] != PL_NODE_NONE)
			assert(world_step(w, node, &event) == PL_OK);
	}
	struct pl_event event = { .type = PL_EV_START };
	assert(world_step(w, node, &event) == PL_OK);
	for (uint16_t p = 0; p < w->count; p++) {
		struct pl_event dial = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { p, w->nodes[p].group } };
		if (n->dials[p])
			assert(world_step(w, node, &dial) == PL_OK);
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
	struct pl_event event = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { b, w->nodes[b].group } };

	w->nodes[a].dials[b] = true;
	if (w->started)
		assert(world_step(w, a, &event) == PL_OK);
}

void world_mesh(struct world *w, uint16_t first, uint16_t end)
{
	for (uint16_t a = first; a < end; a++) {
		for (uint16_t b = (uint16_t)(a + 1); b < end; b++)
			world_link(w, a, b);
	}
}

void world_link_all(struct world *w)
{
	for (uint16_t a = 0; a < w->count; a++) {
		for (uint16_t b = 0; b < w->count; b++) {
			if (a != b)
				world_link(w, a, b);
		}
	}
}

void world_group(struct world *w, uint16_t node, uint32_t group) { w->nodes[node].group = group; }
void world_name(struct world *w, uint16_t a, uint16_t b) { w->nodes[a].named[b] = true; }
uint16_t world_anchor(const struct world *w, uint16_t node, int i) { return w->nodes[node].anchors[i]; }

void world_latency(struct world *w, uint64_t latency_ms, uint64_t commit_ms)
{
	w->latency_ms = latency_ms;
	w->commit_ms = commit_ms;
}

void world_lane_latency(struct world *w, uint8_t lane, uint64_t commit_ms) { w->lane_commit_ms[lane] = commit_ms; }

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
	return world_step(w, node, &event);
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
			assert(world_step(w, node, &event) == PL_OK);
			continue;
		}
		struct link *link = world_link_new(w, node, peer);
		const uint32_t a = link->ends[0].link, b = link->ends[1].link;
		struct pl_event accept = { .type = PL_EV_LINK_UP, .link_up = { b, PL_NODE_NONE, node } };
		struct pl_event dialled = { .type = PL_EV_LINK_UP, .link_up = { a, peer, peer } };
		if (w->nodes[peer].played) {
			link->ends[1].node = PL_NODE_NONE;
			link->ends[1].plays = peer;
		} else {
			assert(world_step(w, peer, &accept) == PL_OK);
		}
		assert(world_step(w, node, &dialled) == PL_OK);
	}
	for (uint32_t i = 0; i < n->sent_count;) {
		struct pl_event event = { .type = PL_EV_SENT, .sent = { n->sent_due[i].link } };
		struct link *link = NULL;
		const struct end *end = world_link_end(w, node, n->sent_due[i].link, &link);
		if (n->sent_due[i].at_ms > w->now_ms || (end && link->ends[end == &link->ends[0]].stalled)) {
			i++;
			continue;
		}
		memmove(n->sent_due + i, n->sent_due + i + 1, (--n->sent_count - i) * sizeof(*n->sent_due));
		any = true;
		assert(world_step(w, node, &event) == PL_OK);
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
		memmove(n->checked + i, n->checked + i + 1, (--n->checked_count - i) * sizeof(*n->checked));
		assert(world_step(w, node, &event) == PL_OK);
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
			any |= world_store_run(w, i);
			any |= run_checks(w, i);
			for (uint32_t ticks = 0; pl_engine_deadline_ms(w->nodes[i].engine) <= w->now_ms; ticks++) {
				struct pl_event event = { .type = PL_EV_TICK };
				assert(ticks < ROUNDS_MAX && world_step(w, i, &event) == PL_OK);
				any = true;
			}
		}
		for (int i = 0; i < w->links_end; i++) {
			if (w->links[i].used)
				any |= world_link_run(w, &w->links[i]);
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
			for (const struct pending *p = n->pending; p; p = p->next) {
				if (p->at_ms < next)
					next = p->at_ms;
			}
			for (uint32_t k = 0; k < n->sent_count; k++) {
				if (n->sent_due[k].at_ms < next)
					next = n->sent_due[k].at_ms;
			}
			for (uint32_t k = 0; k < n->checked_count; k++) {
				if (n->checked[k].at_ms < next)
					next = n->checked[k].at_ms;
			}
		}
		for (int i = 0; i < w->links_end; i++) {
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
	for (int i = 0; i < w->links_end; i++) {
		if (w->links[i].used && (w->links[i].ends[0].node == node || w->links[i].ends[1].node == node))
			world_link_break(w, &w->links[i]);
	}
	world_pending_drop(n);
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

	assert(world_step(w, node, &event) == PL_OK);
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
	world_store_append(store, &entry);
	engine_start(w, holder);
}

uint32_t world_notes(const struct world *w, uint16_t node, enum pl_note_code code) { return w->nodes[node].notes[code]; }
const char *world_last_detail(const struct world *w, uint16_t node, enum pl_note_code code)
{
	return w->nodes[node].details[code] ? w->nodes[node].details[code] : "";
}
uint32_t world_forks(const struct world *w, uint16_t node) { return w->nodes[node].forks; }
uint32_t world_dials(const struct world *w, uint16_t node) { return w->nodes[node].dials_count; }
uint64_t world_tick_verified(const struct world *w, uint16_t node) { return w->nodes[node].tick_verified; }
uint32_t world_loads(const struct world *w, uint16_t node) { return w->nodes[node].loads_count; }

void world_play(struct world *w, uint16_t node) { w->nodes[node].played = true; }

void world_free(struct world *w)
{
	for (uint16_t i = 0; i < w->count; i++)
		w->nodes[i].config.charter = NULL;
	for (int i = 0; i < w->links_end; i++) {
		if (w->links[i].used)
			world_link_free(&w->links[i]);
	}
	free(w->slots);
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
