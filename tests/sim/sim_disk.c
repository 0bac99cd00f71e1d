/* A node's disk. Entries go to it in the order in which the engine gives them; a commit takes all that waits, or, if anything urgent waits, that
 * first. Until a commit is done its entries are there or not, as chance has it: of each lane a first part, since a store that finds a gap when
 * it starts cuts the lane there. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

#define COMMIT_US_MIN 2000u
#define COMMIT_US_MAX 9000u
#define COMMIT_ENTRY_US 8u
#define READY_US 1000000u /* after a full disk has room again */

/* --- entries, each once however many nodes hold it --- */

static struct sim_entry **bucket_of(const struct sim *sim, const uint8_t id[PL_ID_BYTES])
{
	uint32_t word;

	memcpy(&word, id, sizeof(word));
	return &sim->entries[word & (sim->entries_buckets - 1)];
}

static void buckets_grow(struct sim *sim)
{
	struct sim_entry **old = sim->entries;
	const uint32_t old_buckets = sim->entries_buckets;

	sim->entries_buckets *= 4;
	sim->entries = calloc(sim->entries_buckets, sizeof(struct sim_entry *));
	assert(sim->entries);
	for (uint32_t i = 0; i < old_buckets; i++) {
		while (old[i]) {
			struct sim_entry *entry = old[i], **to = bucket_of(sim, entry->id);
			old[i] = entry->next;
			entry->next = *to;
			*to = entry;
		}
	}
	free(old);
}

static struct sim_entry *entry_hold(struct sim *sim, const uint8_t id[PL_ID_BYTES], const uint8_t *header, const uint8_t *body,
                                    uint32_t body_bytes)
{
	for (struct sim_entry *entry = *bucket_of(sim, id); entry; entry = entry->next) {
		if (memcmp(entry->id, id, PL_ID_BYTES) != 0)
			continue;
		entry->held++;
		return entry;
	}
	if (sim->entries_count++ == sim->entries_buckets)
		buckets_grow(sim);
	struct sim_entry *entry = malloc(sizeof(*entry) + body_bytes), **bucket = bucket_of(sim, id);
	assert(entry);
	*entry = (struct sim_entry){ .next = *bucket, .held = 1, .body_bytes = body_bytes };
	memcpy(entry->id, id, PL_ID_BYTES);
	memcpy(entry->header, header, PL_ENTRY_HEADER_BYTES);
	if (body_bytes > 0)
		memcpy(entry->body, body, body_bytes);
	*bucket = entry;
	return entry;
}

static void entry_let_go(struct sim *sim, struct sim_entry *entry)
{
	if (--entry->held > 0)
		return;
	struct sim_entry **at = bucket_of(sim, entry->id);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	sim->entries_count--;
	free(entry);
}

static void lane_append(struct sim_lane *lane, struct sim_entry *entry)
{
	if (lane->count == lane->max) {
		lane->max = lane->max ? 2 * lane->max : 4;
		lane->entries = realloc(lane->entries, lane->max * sizeof(struct sim_entry *));
		assert(lane->entries);
	}
	lane->entries[lane->count++] = entry;
}

/* --- a disk --- */

void sim_disk_make(struct sim_node *node)
{
	const size_t places = node->peers_count;

	node->disk.lanes = calloc(places * PL_LANES, sizeof(*node->disk.lanes));
	node->disk.acked = calloc(places * places * PL_LANES, sizeof(*node->disk.acked));
	node->disk.forks = calloc(places, sizeof(*node->disk.forks));
	assert(node->disk.lanes && node->disk.acked && node->disk.forks);
	for (int i = 0; i < PL_ANCHORS_MAX; i++)
		node->disk.anchors[i] = PL_NODE_NONE;
}

void sim_disk_free(struct sim *sim, struct sim_disk *disk, const struct sim_node *node)
{
	for (size_t i = 0; disk->lanes && i < (size_t)node->peers_count * PL_LANES; i++) {
		for (uint64_t k = 0; k < disk->lanes[i].count; k++)
			entry_let_go(sim, disk->lanes[i].entries[k]);
		free(disk->lanes[i].entries);
	}
	free(disk->lanes);
	free(disk->acked);
	free(disk->forks);
	memset(disk, 0, sizeof(*disk));
}

void sim_disk_copy(struct sim_disk *to, const struct sim_node *node)
{
	const size_t places = node->peers_count;

	to->lanes = calloc(places * PL_LANES, sizeof(*to->lanes));
	to->acked = calloc(places * places * PL_LANES, sizeof(*to->acked));
	to->forks = calloc(places, sizeof(*to->forks));
	assert(to->lanes && to->acked && to->forks);
	for (size_t i = 0; i < places * PL_LANES; i++) {
		for (uint64_t k = 0; k < node->disk.lanes[i].count; k++) {
			node->disk.lanes[i].entries[k]->held++;
			lane_append(&to->lanes[i], node->disk.lanes[i].entries[k]);
		}
		memcpy(to->lanes[i].rotten, node->disk.lanes[i].rotten, sizeof(to->lanes[i].rotten));
	}
	memcpy(to->acked, node->disk.acked, places * places * PL_LANES * sizeof(*to->acked));
	to->has_acked = node->disk.has_acked;
	memcpy(to->anchors, node->disk.anchors, sizeof(to->anchors));
	memcpy(to->forks, node->disk.forks, places * sizeof(*to->forks));
	to->rotten_count = node->disk.rotten_count;
}

void sim_disk_put_back(struct sim *sim, struct sim_node *node)
{
	uint64_t kept_seq[PL_LANES];

	memcpy(kept_seq, node->disk.kept_seq, sizeof(kept_seq));
	sim_disk_free(sim, &node->disk, node);
	node->disk = node->backup;
	memset(&node->backup, 0, sizeof(node->backup));
	if (node->vice != SIM_FORKS)
		memcpy(node->disk.kept_seq, kept_seq, sizeof(kept_seq));
	node->has_backup = false;
	node->was_restored = node->is_copy = true;
}

/* --- writing --- */

void sim_disk_store(struct sim *sim, struct sim_node *node, const struct pl_effect *fx)
{
	struct sim_entry *entry = entry_hold(sim, fx->store.id, fx->store.header, fx->store.body, fx->store.body_bytes);

	if (sim->oracle && fx->type == PL_FX_STORE)
		oracle_stores(sim->oracle, node->index, fx->store.node, fx->store.header, fx->store.body, fx->store.body_bytes, entry);
	else if (sim->oracle)
		oracle_repairs(sim->oracle, node->index, fx->store.node, fx->store.header, fx->store.body, fx->store.body_bytes, entry);
	if (sim->oracle && fx->type == PL_FX_STORE && fx->store.node == node->self)
		authors_store(sim, node, entry);
	if (fx->type == PL_FX_STORE && fx->store.lane >= node->room)
		sim_fail(sim, "room", "node %u stores %u/%u/%llu, and its disk has room for %u lanes", node->index, fx->store.node, fx->store.lane,
		         (unsigned long long)fx->store.seq, node->room);
	if (sim->oracle && fx->type == PL_FX_STORE)
		bounds_store(sim, node, fx->store.node, fx->store.lane, fx->store.seq);
	if (sim->stop) {
		entry_let_go(sim, entry);
		return;
	}
	if (sim->options.observer && sim->options.observer->accepted && fx->type == PL_FX_STORE)
		sim->options.observer->accepted(sim->options.observer->ctx, sim->now_us, node->index, fx->store.node, fx->store.lane, fx->store.seq);
	struct sim_write *write = calloc(1, sizeof(*write));
	assert(write);
	write->entry = entry;
	write->author = fx->store.node;
	write->lane = fx->store.lane;
	write->urgent = fx->store.urgent;
	write->is_repair = fx->type == PL_FX_REPAIR;
	*node->writes_last = write;
	node->writes_last = &write->next;
	node->writes_count++;
	sim_trace(sim, node->index, "store", ((uint64_t)fx->store.node << 8) + fx->store.lane, fx->store.seq);
}

/* An urgent entry does not overtake its own lane: what waits of it goes along. */
static void take_with_it(struct sim_node *node, struct sim_write *urgent)
{
	for (struct sim_write *w = node->writes; w != urgent->next; w = w->next)
		w->taken |= w->author == urgent->author && w->lane == urgent->lane;
}

void sim_disk_commit(struct sim *sim, struct sim_node *node)
{
	bool urgent = false;
	uint32_t taken = 0;

	if (node->committing || node->full || !node->up || !node->writes)
		return;
	for (const struct sim_write *w = node->writes; w; w = w->next)
		urgent |= w->urgent;
	for (struct sim_write *w = node->writes; w; w = w->next) {
		w->taken = !urgent;
		if (w->urgent)
			take_with_it(node, w);
	}
	for (const struct sim_write *w = node->writes; w; w = w->next)
		taken += w->taken;
	const uint32_t least_us = sim->plan->commit_us_min ? sim->plan->commit_us_min : COMMIT_US_MIN;
	const uint32_t most_us = sim->plan->commit_us_max ? sim->plan->commit_us_max : COMMIT_US_MAX;
	uint64_t takes_us = rng_between(&node->disk_rng, least_us, most_us) + (uint64_t)taken * COMMIT_ENTRY_US;
	if (sim->now_us < node->slow_until_us)
		takes_us *= node->slower;
	node->committing = true;
	node->commit_ends_us = sim->now_us + takes_us;
	sim_later(sim, node->commit_ends_us, SIM_EV_COMMIT, node)->token = ++node->commits;
	if (node->strike)
		sim_act_in_commit(sim, node);
}

static void write_done(struct sim_node *node, struct sim_write **at)
{
	struct sim_write *write = *at;

	*at = write->next;
	if (!*at)
		node->writes_last = at;
	node->writes_count--;
	free(write);
}

/* Entries of others overtake nothing; what is its own is also noted beside the store. */
static void keep(struct sim *sim, struct sim_node *node, const struct sim_write *write)
{
	struct sim_lane *lane = &node->disk.lanes[(size_t)write->author * PL_LANES + write->lane];
	const uint64_t seq = pl_header_seq(write->entry->header);

	if (write->is_repair) {
		for (int i = 0; i < SIM_ROTTEN_MAX; i++) {
			node->disk.rotten_count -= lane->rotten[i] == seq;
			lane->rotten[i] = lane->rotten[i] == seq ? 0 : lane->rotten[i];
		}
		entry_let_go(sim, write->entry);
		return;
	}
	assert(seq == lane->count + 1);
	lane_append(lane, write->entry);
	if (write->author == node->self) {
		const uint64_t gseq = pl_header_gseq(write->entry->header);
		node->disk.kept_seq[write->lane] = seq > node->disk.kept_seq[write->lane] ? seq : node->disk.kept_seq[write->lane];
		node->said_gseq = gseq > node->said_gseq ? gseq : node->said_gseq;
	}
	sim->result->entries_stored++;
	if (sim->options.observer && sim->options.observer->durable)
		sim->options.observer->durable(sim->options.observer->ctx, sim->now_us, node->index, write->author, write->lane, seq);
	if (sim->oracle)
		oracle_durable(sim->oracle, node->index, write->author, write->lane, seq, write->entry->id,
		               (pl_header_flags(write->entry->header) & PL_FLAG_FLASH) != 0);
}

/* Whoever is an addressee of a message says that it is here. */
static void receipt_plan(struct sim *sim, struct sim_node *node, const struct sim_write *write)
{
	if (!sim->plan->receipts || node->receipt_due || write->author == node->self || pl_header_kind(write->entry->header) != PL_KIND_MESSAGE ||
	    node->index >= sim->plan->authors || (write->entry->id[node->index % PL_ID_BYTES] & 3) != 0)
		return;
	node->receipt_due = true;
	sim_later(sim, sim->now_us + rng_between(&node->disk_rng, 20000, 400000), SIM_EV_RECEIPT, node);
}

/* The engine hears of each lane once: its last entry, and the bytes of all. */
static void tell_lane(struct sim *sim, struct sim_node *node, const struct sim_write *last, size_t bytes, uint64_t kept_bytes)
{
	struct pl_event event = { .type = PL_EV_STORED };

	event.stored.node = last->author;
	event.stored.lane = last->lane;
	event.stored.seq = pl_header_seq(last->entry->header);
	event.stored.gseq = pl_header_gseq(last->entry->header);
	event.stored.id = last->entry->id;
	event.stored.bytes = bytes;
	event.stored.kept_bytes = kept_bytes;
	sim_trace(sim, node->index, "durable", ((uint64_t)last->author << 8) + last->lane, event.stored.seq);
	(void)sim_step(sim, node, &event);
}

void sim_disk_committed(struct sim *sim, struct sim_node *node)
{
	const uint32_t boot = node->boot;

	if (sim->now_us < node->fails_until_us) {
		sim_disk_fails(sim, node);
		return;
	}
	for (struct sim_write *w = node->writes; w && !sim->stop; w = w->next) {
		if (w->taken)
			keep(sim, node, w);
	}
	while (!sim->stop && node->boot == boot) {
		struct sim_write **at = &node->writes, last = { 0 };
		size_t bytes = 0;
		uint64_t kept_bytes = 0;
		while (*at) {
			struct sim_write *w = *at;
			if (!w->taken || (bytes > 0 && (w->author != last.author || w->lane != last.lane || w->is_repair))) {
				at = &w->next;
				continue;
			}
			if (!w->is_repair) {
				bytes += PL_ENTRY_HEADER_BYTES + w->entry->body_bytes;
				kept_bytes += pl_entry_kept_bytes(pl_header_kind(w->entry->header), w->entry->body_bytes);
			}
			last = *w;
			receipt_plan(sim, node, w);
			write_done(node, at);
			if (last.is_repair)
				break;
		}
		if (!last.entry)
			break;
		if (last.is_repair) {
			struct pl_event event = { .type = PL_EV_REPAIRED, .repaired = { last.author, last.lane, pl_header_seq(last.entry->header) } };
			(void)sim_step(sim, node, &event);
		} else {
			tell_lane(sim, node, &last, bytes, kept_bytes);
		}
	}
	if (sim->stop || node->boot != boot)
		return;
	node->committing = false;
	sim_disk_commit(sim, node);
}

void sim_disk_drop(struct sim *sim, struct sim_node *node)
{
	while (node->writes) {
		entry_let_go(sim, node->writes->entry);
		write_done(node, &node->writes);
	}
	node->committing = false;
}

void sim_disk_crash(struct sim *sim, struct sim_node *node, uint64_t seed)
{
	struct rng rng = rng_stream(seed, SIM_RNG_DISK, node->index);
	const uint32_t kept = node->committing ? (uint32_t)rng_below(&rng, 4) : 0;

	/* A commit that was under way is there whole, in part, or not: of each lane a first part. */
	for (struct sim_write **at = &node->writes; *at;) {
		struct sim_write *w = *at;
		const struct sim_lane *lane = &node->disk.lanes[(size_t)w->author * PL_LANES + w->lane];
		const bool follows = !w->is_repair && pl_header_seq(w->entry->header) == lane->count + 1;
		if (w->taken && follows && (kept == 3 || (kept > 0 && rng_chance(&rng, 500000)))) {
			keep(sim, node, w);
			write_done(node, at);
		} else {
			at = &w->next;
		}
	}
	sim_disk_drop(sim, node);
}

void sim_disk_fails(struct sim *sim, struct sim_node *node)
{
	struct pl_event event = { .type = PL_EV_STORE_FAILED };

	sim_disk_drop(sim, node);
	if (sim->oracle)
		oracle_crashes(sim->oracle, node->index);
	sim_trace(sim, node->index, "failed", 0, 0);
	if (sim->now_us < node->fails_until_us) {
		node->full = true;
		sim_later(sim, node->fails_until_us, SIM_EV_READY, node);
	}
	node->fails_until_us = 0;
	(void)sim_step(sim, node, &event);
}

/* --- reading --- */

static void restore_lane(struct sim *sim, struct sim_node *node, uint16_t author, uint8_t number)
{
	const struct sim_lane *lane = &node->disk.lanes[(size_t)author * PL_LANES + number];
	struct pl_event event = { .type = PL_EV_RESTORE, .restore = { .node = author, .lane = number } };

	if (sim->oracle)
		oracle_restarts(sim->oracle, node->index, author, number, lane->count, node->was_restored);
	if (lane->count == 0 || sim->stop)
		return;
	const struct sim_entry *last = lane->entries[lane->count - 1];
	event.restore.seq = lane->count;
	event.restore.gseq = pl_header_gseq(last->header);
	memcpy(event.restore.id, last->id, PL_ID_BYTES);
	for (uint64_t i = 0; i < lane->count; i++)
		event.restore.kept_bytes += pl_entry_kept_bytes(pl_header_kind(lane->entries[i]->header), lane->entries[i]->body_bytes);
	(void)sim_step(sim, node, &event);
}

void sim_disk_restore(struct sim *sim, struct sim_node *node)
{
	const uint16_t places = node->peers_count;
	bool is_copy = false;

	for (uint16_t author = 0; author < places && !sim->stop; author++) {
		for (uint8_t lane = 0; lane < PL_LANES && !sim->stop; lane++)
			restore_lane(sim, node, author, lane);
	}
	node->was_restored = false;
	for (size_t i = 0; node->disk.has_acked && i < (size_t)places * places * PL_LANES && !sim->stop; i++) {
		struct pl_event event = { .type = PL_EV_RESTORE_ACK };
		if (node->disk.acked[i] == 0)
			continue;
		event.restore_ack.peer = (uint16_t)(i / PL_LANES / places);
		event.restore_ack.node = (uint16_t)(i / PL_LANES % places);
		event.restore_ack.lane = (uint8_t)(i % PL_LANES);
		event.restore_ack.seq = node->disk.acked[i];
		(void)sim_step(sim, node, &event);
	}
	for (uint16_t author = 0; author < places && !sim->stop; author++) {
		const struct sim_fork_kept *fork = &node->disk.forks[author];
		struct pl_event event = { .type = PL_EV_RESTORE_FORK, .restore_fork = { author, fork->headers[0], fork->headers[1] } };
		if (fork->is_kept)
			(void)sim_step(sim, node, &event);
	}
	for (int i = 0; i < PL_ANCHORS_MAX && !sim->stop; i++) {
		struct pl_event event = { .type = PL_EV_RESTORE_ANCHOR, .restore_anchor = { node->disk.anchors[i] } };
		if (node->disk.anchors[i] != PL_NODE_NONE)
			(void)sim_step(sim, node, &event);
	}
	for (uint8_t lane = 0; lane < PL_LANES; lane++)
		is_copy |= node->disk.lanes[(size_t)node->self * PL_LANES + lane].count < node->disk.kept_seq[lane];
	if (is_copy && !sim->stop) {
		struct pl_event event = { .type = PL_EV_FREEZE_SELF };
		(void)sim_step(sim, node, &event);
	}
}

static bool is_rotten(const struct sim_lane *lane, uint64_t seq)
{
	for (int i = 0; i < SIM_ROTTEN_MAX; i++) {
		if (lane->rotten[i] == seq)
			return true;
	}
	return false;
}

/* Which entry it has to be says the one after it; of the head only the engine can tell. */
static void tell_rot(struct sim *sim, struct sim_node *node, uint16_t author, uint8_t number, uint64_t seq)
{
	const struct sim_lane *lane = &node->disk.lanes[(size_t)author * PL_LANES + number];
	struct pl_event event = { .type = PL_EV_DAMAGED, .damaged = { .node = author, .lane = number, .seq = seq } };

	if (seq < lane->count)
		memcpy(event.damaged.id, pl_header_prev(lane->entries[seq]->header), PL_ID_BYTES);
	sim_trace(sim, node->index, "damaged", ((uint64_t)author << 8) + number, seq);
	(void)sim_step(sim, node, &event);
}

/* Also what is on its way to the disk and not there yet: a store may well show it to who reads. */
static const struct sim_entry *entry_at(const struct sim_node *node, uint16_t author, uint8_t number, uint64_t seq)
{
	const struct sim_lane *lane = &node->disk.lanes[(size_t)author * PL_LANES + number];

	if (seq <= lane->count)
		return lane->entries[seq - 1];
	for (const struct sim_write *w = node->writes; w; w = w->next) {
		if (!w->is_repair && w->author == author && w->lane == number && pl_header_seq(w->entry->header) == seq)
			return w->entry;
	}
	return NULL;
}

/* Whether somebody else could give it again: an honest node whose disk has it as it was. */
static bool is_elsewhere(const struct sim *sim, const struct sim_node *node, uint16_t author, uint8_t number, uint64_t seq)
{
	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		const struct sim_node *other = &sim->nodes[i];
		const struct sim_lane *lane = &other->disk.lanes[(size_t)author * PL_LANES + number];
		if (other != node && other->vice == SIM_HONEST && lane->count >= seq && !is_rotten(lane, seq))
			return true;
	}
	return false;
}

#define SCRUB_US 5000000u

void sim_disk_rots(struct sim *sim, struct sim_node *node, uint64_t seed)
{
	struct rng rng = rng_stream(seed, SIM_RNG_DISK, node->index);

	for (int tries = 0; tries < 8; tries++) {
		const uint16_t author = (uint16_t)rng_below(&rng, sim->plan->authors);
		const uint8_t number = (uint8_t)rng_below(&rng, PL_LANES);
		struct sim_lane *lane = &node->disk.lanes[(size_t)author * PL_LANES + number];
		const uint64_t seq = lane->count > 0 ? rng_between(&rng, 1, lane->count) : 0;
		const uint64_t slot = rng_below(&rng, SIM_ROTTEN_MAX);
		if (seq == 0 || lane->rotten[slot] != 0 || is_rotten(lane, seq) || !is_elsewhere(sim, node, author, number, seq))
			continue;
		lane->rotten[slot] = seq;
		node->disk.rotten_count++;
		sim_trace(sim, node->index, "rots", ((uint64_t)author << 8) + number, seq);
		sim_later(sim, sim->now_us + rng_below(&rng, SCRUB_US), SIM_EV_SCRUB, NULL)->peer = node->index;
		return;
	}
}

void sim_disk_scrub(struct sim *sim, struct sim_node *node)
{
	for (size_t i = 0; i < (size_t)node->peers_count * PL_LANES && node->up && !sim->stop; i++) {
		for (int k = 0; k < SIM_ROTTEN_MAX && !sim->stop; k++) {
			const uint64_t seq = node->disk.lanes[i].rotten[k];
			if (seq != 0)
				tell_rot(sim, node, (uint16_t)(i / PL_LANES), (uint8_t)(i % PL_LANES), seq);
		}
	}
	if (node->disk.rotten_count > 0 && !sim->stop)
		sim_later(sim, sim->now_us + SCRUB_US, SIM_EV_SCRUB, NULL)->peer = node->index;
}

void sim_disk_room(struct sim *sim, struct sim_node *node, uint8_t lanes, uint64_t share_bytes)
{
	struct pl_event event = { .type = PL_EV_ROOM, .room = { lanes, share_bytes ? share_bytes : UINT64_MAX } };

	node->room = lanes;
	node->share_bytes = share_bytes;
	sim_trace(sim, node->index, "room", lanes, 0);
	if (node->up && !sim->stop)
		(void)sim_step(sim, node, &event);
}

void sim_disk_loaded(struct sim *sim, struct sim_node *node, struct sim_load *load)
{
	const struct sim_lane *lane = &node->disk.lanes[(size_t)load->author * PL_LANES + load->lane];
	struct pl_event event = { .type = PL_EV_LOADED, .loaded = { .token = load->token } };
	const size_t most = load->from <= load->to && load->from <= lane->count + node->writes_count ? lane->count + node->writes_count - load->from + 1 : 0;
	struct pl_stored_entry *entries = calloc(most + 1, sizeof(*entries));
	size_t bytes = 0;

	assert(entries);
	for (size_t i = 0; i < most && load->from + i <= load->to && (i == 0 || bytes < load->max_bytes); i++) {
		const struct sim_entry *entry = entry_at(node, load->author, load->lane, load->from + i);
		if (!entry)
			break;
		if (is_rotten(lane, load->from + i)) {
			tell_rot(sim, node, load->author, load->lane, load->from + i);
			break;
		}
		entries[i] = (struct pl_stored_entry){ entry->header, entry->body, entry->body_bytes };
		bytes += PL_ENTRY_HEADER_BYTES + entry->body_bytes;
		event.loaded.count++;
	}
	event.loaded.entries = entries;
	(void)sim_step(sim, node, &event);
	free(entries);
}
