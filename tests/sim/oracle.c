#include "tests/sim/oracle.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

/* By PROTOCOL.md, not by the engine's headers. */
enum { HEADER = 232, ID = 32, LANES = 3, ITEM = 48, FRAME_HEADER = 8 };
#define NEVER (UINT64_MAX / 4)
#define HOP_US 10000u      /* what a node and its link need besides the way */
#define COMMITS_US 25000u /* the commit under way, and the one that follows */
#define KEY_US 3660000000ull
#define ENTRY_MOST 147688u /* the largest */
#define LOOSE_MS 5000u     /* with so much slack links may break */
#define FORK_ROUNDS 3
#define SETTLED_MS 3000u   /* when each pair of nodes has one link */

enum { FRONTIER = 2, HAVE = 3, ACK = 4, ENTRY = 7, FRAG = 8, HEADS = 16, GROUP = 21 };
#define FLAG_FIRST 0x02
#define FLAG_FLASH 0x04

struct said {
	uint8_t id[ID];
	uint64_t at_us; /* when it was durable there */
	bool flash;
};

/* What an author has said in a lane, in that order; it counts once it is durable there. */
struct feed {
	struct said *said;
	uint64_t count, max;
};

struct holding {
	uint64_t durable, most; /* most: ever */
	uint64_t next;          /* that its engine may give to the disk */
	uint8_t last_id[ID];    /* of what it has given */
	uint8_t (*ids)[ID];     /* of a feed with two branches: its own */
	uint64_t ids_max;
	uint64_t taken;         /* bytes since its start, of another's feed */
	uint64_t spent_us;      /* of the author's quota: when all that was taken has been made up for, in this node's time */
};

struct key_use {
	uint8_t key[32];
	uint64_t next_nonce, since_us;
};

struct oracle {
	struct sim *sim;
	uint16_t nodes, authors;
	struct feed *feeds;       /* [author][lane] */
	uint64_t *way_us[2];      /* [from][to]: the shortest, at once and with a commit at each node; NULL: not looked at */
	bool *was_restored;       /* each author */
	struct holding *holdings; /* [node][author][lane] */
	bool *evidence;           /* [node][author] */
	uint64_t *evidence_due_us; /* each author: when all have to have it; 0: no two branches are in reach of each other */
	struct key_use *keys;     /* open addressing */
	uint32_t keys_count, keys_max;
	uint64_t authored;
};

static uint64_t number(const uint8_t *p, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

static bool is_honest(const struct oracle *o, uint16_t node)
{
	return o->sim->nodes[node].vice == SIM_HONEST;
}

static bool has_branches(const struct oracle *o, uint16_t author)
{
	return o->sim->nodes[author].vice == SIM_FORKS;
}

static struct holding *holding_of(const struct oracle *o, uint16_t node, uint16_t author, uint8_t lane)
{
	return &o->holdings[((size_t)node * o->authors + author) * LANES + lane];
}

static struct feed *feed_of(const struct oracle *o, uint16_t author, uint8_t lane)
{
	return &o->feeds[(size_t)author * LANES + lane];
}

/* --- how soon an entry can be everywhere --- */

/* By distance and thickness of the link, which may be at work on a record; with the commit at a node, and the one before that. */
static uint64_t hop_us(const struct sim *sim, uint16_t a, uint16_t b, int commits)
{
	return sim_delay_us(sim, a, b) * 17 / 16 + HOP_US + (commits ? COMMITS_US : 0);
}

static uint64_t *ways_new(size_t n)
{
	uint64_t *way = malloc(n * n * sizeof(*way));

	assert(way);
	for (size_t i = 0; i < n * n; i++)
		way[i] = i % (n + 1) == 0 ? 0 : NEVER;
	return way;
}

static void ways_shorten(uint64_t *way, size_t n)
{
	for (size_t over = 0; over < n; over++) {
		for (size_t a = 0; a < n; a++) {
			for (size_t b = 0; b < n; b++) {
				const uint64_t us = way[a * n + over] + way[over * n + b];
				if (us < way[a * n + b])
					way[a * n + b] = us;
			}
		}
	}
}

static uint64_t *ways_make(const struct sim *sim, int commits)
{
	const size_t n = sim->nodes_count;
	uint64_t *way = ways_new(n);

	for (uint16_t a = 0; a < n; a++) {
		for (uint16_t k = 0; k < sim->nodes[a].dial_to_count; k++) {
			const uint16_t b = sim->nodes[a].peers[sim->nodes[a].dial_to[k]];
			way[a * n + b] = way[b * n + a] = hop_us(sim, a, b, commits);
		}
	}
	ways_shorten(way, n);
	return way;
}

/* It has come to a node, and is durable there. */
static void check_prompt(const struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	const struct said *said = &feed_of(o, author, lane)->said[seq - 1];
	const uint64_t now_us = o->sim->now_us, way_us = o->way_us[!said->flash][(size_t)author * o->nodes + node];

	if (lane == 2 || said->at_us < o->sim->plan->prompt_from_ms * 1000 || author == o->sim->plan->flooder || !is_honest(o, node))
		return;
	sim_trace(o->sim, node, said->flash ? "flash-in" : "entry-in", now_us - said->at_us, way_us);
	if (now_us - said->at_us > way_us + COMMITS_US + o->sim->plan->prompt_slack_ms * 1000)
		sim_fail(o->sim, "prompt", "%s%u/%u/%llu is on the disk of node %u %.3f s after it was on its author's, and the way takes %.3f s",
		         said->flash ? "FLASH " : "", author, lane, (unsigned long long)seq, node, (double)(now_us - said->at_us) / 1e6, (double)way_us / 1e6);
}

struct oracle *oracle_new(struct sim *sim, uint16_t nodes, uint16_t authors)
{
	struct oracle *o = calloc(1, sizeof(*o));

	assert(o);
	o->sim = sim;
	o->nodes = nodes;
	o->authors = authors;
	o->feeds = calloc((size_t)authors * LANES, sizeof(*o->feeds));
	o->was_restored = calloc(authors, sizeof(*o->was_restored));
	o->holdings = calloc((size_t)nodes * authors * LANES, sizeof(*o->holdings));
	o->evidence = calloc((size_t)nodes * authors, sizeof(*o->evidence));
	o->keys_max = 1024;
	o->keys = calloc(o->keys_max, sizeof(*o->keys));
	o->evidence_due_us = calloc(authors, sizeof(*o->evidence_due_us));
	assert(o->evidence_due_us && o->feeds && o->was_restored && o->holdings && o->evidence && o->keys);
	for (int commits = 0; commits < 2 && sim->plan->prompt_slack_ms > 0; commits++)
		o->way_us[commits] = ways_make(sim, commits);
	return o;
}

void oracle_free(struct oracle *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < (size_t)o->authors * LANES; i++)
		free(o->feeds[i].said);
	for (size_t i = 0; i < (size_t)o->nodes * o->authors * LANES; i++)
		free(o->holdings[i].ids);
	free(o->feeds);
	free(o->way_us[0]);
	free(o->way_us[1]);
	free(o->was_restored);
	free(o->holdings);
	free(o->evidence);
	free(o->evidence_due_us);
	free(o->keys);
	free(o);
}

uint64_t oracle_authored(const struct oracle *o) { return o->authored; }

/* --- what is stored --- */

static void hash(const char *label, size_t label_bytes, const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes, uint8_t out[ID])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, ID);
	crypto_generichash_update(&state, (const uint8_t *)label, label_bytes);
	crypto_generichash_update(&state, a, a_bytes);
	crypto_generichash_update(&state, b, b_bytes);
	crypto_generichash_final(&state, out, ID);
}

static void entry_id(const struct oracle *o, const uint8_t header[HEADER], uint8_t id[ID])
{
	static const char label[] = "parley/v1/entry-id";

	hash(label, sizeof(label), o->sim->network_id, ID, header, HEADER, id);
}

static bool body_fits(const uint8_t header[HEADER], const uint8_t *body, uint32_t body_bytes)
{
	static const char label[] = "parley/v1/body";
	uint8_t body_hash[ID];

	hash(label, sizeof(label), body, body_bytes, NULL, 0, body_hash);
	return memcmp(body_hash, header + 136, ID) == 0 && number(header + 12, 4) == body_bytes;
}

/* Whether all this is what its id, and the hash in its header, say. The same entry goes to many disks: where every byte is as it was when that was
 * found to be so, it still is. */
static bool is_right(const struct oracle *o, struct sim_entry *kept, const uint8_t header[HEADER], const uint8_t *body, uint32_t body_bytes)
{
	const bool is_kept = kept->body_bytes == body_bytes && memcmp(kept->header, header, HEADER) == 0 &&
	                     (body_bytes == 0 || memcmp(kept->body, body, body_bytes) == 0);
	uint8_t id[ID];

	if (is_kept && kept->is_right)
		return true;
	entry_id(o, header, id);
	if (memcmp(id, kept->id, ID) != 0 || !body_fits(header, body, body_bytes))
		return false;
	kept->is_right |= is_kept;
	return true;
}

/* Whether it holds this entry; id: NULL, any. */
static bool holds(const struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t *id)
{
	const struct holding *h = holding_of(o, node, author, lane);

	if (seq == 0 || seq > h->durable)
		return false;
	return !id || memcmp(has_branches(o, author) ? h->ids[seq - 1] : feed_of(o, author, lane)->said[seq - 1].id, id, ID) == 0;
}

/* A bucket, as the time at which it is full again. One entry more than its burst passes when it is full. */
static void check_quota(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, struct holding *h, uint32_t bytes)
{
	const struct pl_quota *quota = &o->sim->nodes[node].config.quota[lane];
	const uint64_t now_us = o->sim->now_us, burst_us = quota->bytes_burst * 1000000 / quota->bytes_per_s;

	h->taken += bytes;
	h->spent_us = (h->spent_us > now_us ? h->spent_us : now_us) + bytes * 1000000ull / quota->bytes_per_s;
	if (h->spent_us > now_us + burst_us + ENTRY_MOST * 1000000ull / quota->bytes_per_s)
		sim_fail(o->sim, "quota", "node %u has taken more of %u in lane %u than its quota: %llu bytes since it started", node, author, lane,
		         (unsigned long long)h->taken);
}

void oracle_throttles(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane)
{
	if (!is_honest(o, node) || author >= o->authors || lane >= LANES)
		return;
	const struct holding *h = holding_of(o, node, author, lane);
	if (h->taken + ENTRY_MOST < o->sim->nodes[node].config.quota[lane].bytes_burst)
		sim_fail(o->sim, "throttled", "node %u has %u wait in lane %u, and has taken %llu bytes of it since it started", node, author, lane,
		         (unsigned long long)h->taken);
}

void oracle_repairs(struct oracle *o, uint16_t node, uint16_t author, const uint8_t header[HEADER], const uint8_t *body, uint32_t body_bytes,
                    struct sim_entry *kept)
{
	const uint8_t lane = header[1];
	const uint64_t seq = number(header + 16, 8);

	if (!is_honest(o, node) || author >= o->authors || lane >= LANES)
		return;
	if (!is_right(o, kept, header, body, body_bytes) || !holds(o, node, author, lane, seq, kept->id))
		sim_fail(o->sim, "authentic", "node %u puts into the place of %u/%u/%llu what did not stand there", node, author, lane, (unsigned long long)seq);
}

void oracle_stores(struct oracle *o, uint16_t node, uint16_t author, const uint8_t header[HEADER], const uint8_t *body, uint32_t body_bytes,
                   struct sim_entry *kept)
{
	const uint8_t lane = header[1], *id = kept->id;
	const uint64_t seq = number(header + 16, 8);

	if (!is_honest(o, node))
		return;
	if (author >= o->authors || lane >= LANES) {
		sim_fail(o->sim, "authentic", "node %u stores an entry of nobody: author %u lane %u", node, author, lane);
		return;
	}
	struct holding *h = holding_of(o, node, author, lane);
	const struct feed *feed = feed_of(o, author, lane);
	if (!is_right(o, kept, header, body, body_bytes))
		sim_fail(o->sim, "authentic", "node %u stores %u/%u/%llu with an id, a length or a hash that is not its own", node, author, lane,
		         (unsigned long long)seq);
	else if (seq != h->next + 1)
		sim_fail(o->sim, "chain", "node %u stores %u/%u/%llu after %llu", node, author, lane, (unsigned long long)seq,
		         (unsigned long long)h->next);
	else if (seq > 1 && memcmp(header + 72, h->last_id, ID) != 0)
		sim_fail(o->sim, "chain", "node %u stores %u/%u/%llu, which does not name the one before it", node, author, lane,
		         (unsigned long long)seq);
	else if (author != node && !has_branches(o, author) && (seq > feed->count || memcmp(feed->said[seq - 1].id, id, ID) != 0))
		sim_fail(o->sim, "authentic", "node %u stores %u/%u/%llu, which its author has never stored", node, author, lane,
		         (unsigned long long)seq);
	else if (author == node && seq <= feed->count && memcmp(feed->said[seq - 1].id, id, ID) != 0)
		sim_fail(o->sim, "seq", "node %u signs %u/%llu a second time", node, lane, (unsigned long long)seq);
	else if (author != node && o->evidence[(size_t)node * o->authors + author])
		sim_fail(o->sim, "frozen", "node %u stores %u/%u/%llu, and has proof that its author has forked", node, author, lane, (unsigned long long)seq);
	else if (author != node)
		check_quota(o, node, author, lane, h, HEADER + body_bytes);
	h->next = seq;
	memcpy(h->last_id, id, ID);
}

static void say(struct oracle *o, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t id[ID], bool flash)
{
	struct feed *feed = feed_of(o, author, lane);

	if (seq <= feed->count) {
		if (memcmp(feed->said[seq - 1].id, id, ID) != 0)
			sim_fail(o->sim, "seq", "node %u has stored another entry of its own as %u/%llu than before", author, lane, (unsigned long long)seq);
		return;
	}
	if (feed->count == feed->max) {
		feed->max = feed->max ? 2 * feed->max : 16;
		feed->said = realloc(feed->said, feed->max * sizeof(*feed->said));
		assert(feed->said);
	}
	memcpy(feed->said[feed->count].id, id, ID);
	feed->said[feed->count].at_us = o->sim->now_us;
	feed->said[feed->count++].flash = flash;
	o->authored++;
}

void oracle_durable(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t id[ID], bool flash)
{
	if (author >= o->authors)
		return;
	struct holding *h = holding_of(o, node, author, lane);
	if (author == node && !has_branches(o, author))
		say(o, author, lane, seq, id, flash);
	else if (!has_branches(o, author) && o->way_us[0] && seq <= feed_of(o, author, lane)->count)
		check_prompt(o, node, author, lane, seq);
	if (has_branches(o, author)) {
		if (seq > h->ids_max) {
			h->ids_max = h->ids_max ? 2 * h->ids_max : 16;
			h->ids = realloc(h->ids, h->ids_max * sizeof(*h->ids));
			assert(h->ids && seq <= h->ids_max);
		}
		memcpy(h->ids[seq - 1], id, ID);
	}
	if (seq != h->durable + 1)
		sim_fail(o->sim, "chain", "node %u has %u/%u/%llu on its disk after %llu", node, author, lane, (unsigned long long)seq,
		         (unsigned long long)h->durable);
	h->durable = seq;
	if (seq > h->most)
		h->most = seq;
}

void oracle_crashes(struct oracle *o, uint16_t node)
{
	for (uint16_t author = 0; author < o->authors; author++) {
		for (uint8_t lane = 0; lane < LANES; lane++) {
			struct holding *h = holding_of(o, node, author, lane);
			h->next = h->durable;
			if (h->durable > 0 && has_branches(o, author))
				memcpy(h->last_id, h->ids[h->durable - 1], ID);
			else if (h->durable > 0 && feed_of(o, author, lane)->count >= h->durable)
				memcpy(h->last_id, feed_of(o, author, lane)->said[h->durable - 1].id, ID);
		}
	}
}

void oracle_restarts(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, bool was_restored)
{
	if (author >= o->authors)
		return;
	struct holding *h = holding_of(o, node, author, lane);
	h->taken = h->spent_us = 0;
	if (was_restored) {
		o->was_restored[author] |= author == node;
		h->durable = seq;
	}
	if (h->durable != seq)
		sim_fail(o->sim, "kept", "node %u starts with %llu entries of %u/%u, and had %llu", node, (unsigned long long)seq, author, lane,
		         (unsigned long long)h->durable);
	if (author + 1 == o->authors && lane + 1 == LANES)
		oracle_crashes(o, node);
}

/* --- what is sent --- */

static void check_items(struct oracle *o, uint16_t node, const char *frame, const uint8_t *items, size_t bytes)
{
	const struct sim_node *sender = &o->sim->nodes[node];

	for (size_t at = 0; at + ITEM <= bytes; at += ITEM) {
		const uint16_t place = (uint16_t)number(items + at, 2), author = place < sender->peers_count ? sender->peers[place] : SIM_NOBODY;
		const uint64_t seq = number(items + at + 8, 8);
		if (author >= o->authors || items[at + 2] >= LANES || !holds(o, node, author, items[at + 2], seq, items + at + 16))
			sim_fail(o->sim, "store-first", "node %u says %s of %u/%u/%llu, which is not on its disk", node, frame, place, items[at + 2],
			         (unsigned long long)seq);
	}
}

/* The tags are salted; what they stand for cannot be told from outside, but the places can. */
static void check_heads(struct oracle *o, uint16_t node, const uint8_t *p, size_t bytes)
{
	const struct sim_node *sender = &o->sim->nodes[node];

	for (size_t at = 0; at < bytes;) {
		const uint8_t lane = p[at] % LANES;
		const uint16_t first = (uint16_t)(GROUP * (p[at++] / LANES));
		for (uint16_t place = first; place < first + GROUP && place < sender->peers_count && at < bytes; place++) {
			const uint8_t seq_bytes = p[at++];
			if (seq_bytes == 0)
				continue;
			const uint64_t seq = seq_bytes <= 8 && seq_bytes + 8u <= bytes - at ? number(p + at, seq_bytes) : UINT64_MAX;
			if (sender->peers[place] >= o->authors || !holds(o, node, sender->peers[place], lane, seq, NULL)) {
				sim_fail(o->sim, "store-first", "node %u says HEADS of %u/%u/%llu, which is not on its disk", node, place, lane,
				         (unsigned long long)seq);
				return;
			}
			at += seq_bytes + 8u;
		}
	}
}

static void check_entry(struct oracle *o, uint16_t node, const uint8_t *wire, size_t bytes, uint8_t flags)
{
	if (bytes < 24)
		return;
	const uint16_t author = (uint16_t)number(wire, 2);
	const uint8_t lane = wire[3];
	const uint64_t seq = number(wire + 16, 8);
	if (author >= o->authors || lane >= LANES)
		sim_fail(o->sim, "store-first", "node %u sends an entry of nobody: author %u lane %u", node, author, lane);
	else if (!holds(o, node, author, lane, seq, NULL) && !((flags & FLAG_FLASH) && (author != node || seq <= feed_of(o, author, lane)->count)))
		/* (an own FLASH that it has lost with its disk comes back to it, and goes on, as those of others do) */
		sim_fail(o->sim, "store-first", "node %u sends %u/%u/%llu, which is not on its disk", node, author, lane, (unsigned long long)seq);
}

static struct key_use *key_find(const struct oracle *o, const uint8_t key[32])
{
	uint32_t at;

	memcpy(&at, key, sizeof(at));
	for (at &= o->keys_max - 1; o->keys[at].next_nonce != 0 && memcmp(o->keys[at].key, key, 32) != 0;)
		at = (at + 1) & (o->keys_max - 1);
	return &o->keys[at];
}

static void keys_grow(struct oracle *o)
{
	struct key_use *old = o->keys;
	const uint32_t old_max = o->keys_max;

	o->keys_max *= 2;
	o->keys = calloc(o->keys_max, sizeof(*o->keys));
	assert(o->keys);
	for (uint32_t i = 0; i < old_max; i++) {
		if (old[i].next_nonce != 0)
			*key_find(o, old[i].key) = old[i];
	}
	free(old);
}

static void check_nonce(struct oracle *o, uint16_t node, const uint8_t key[32], uint64_t nonce)
{
	struct key_use *use = key_find(o, key);

	if (use->next_nonce == 0) {
		memcpy(use->key, key, 32);
		use->since_us = o->sim->now_us;
		if (2 * ++o->keys_count > o->keys_max) {
			use->next_nonce = nonce + 1;
			keys_grow(o);
			return;
		}
	} else if (nonce < use->next_nonce) {
		sim_fail(o->sim, "nonce", "node %u encrypts a second record with number %llu of one key", node, (unsigned long long)nonce);
	}
	use->next_nonce = nonce + 1;
	if (o->sim->now_us - use->since_us > KEY_US && is_honest(o, node))
		sim_fail(o->sim, "renewed", "node %u encrypts with a key that is older than an hour", node);
}

void oracle_record(struct oracle *o, uint16_t node, const uint8_t key[32], uint64_t nonce, const uint8_t *plain, size_t plain_bytes)
{
	check_nonce(o, node, key, nonce);
	if (!is_honest(o, node))
		return;
	for (size_t at = 0; at + FRAME_HEADER <= plain_bytes && plain[at] != 0;) {
		const uint8_t type = plain[at], flags = plain[at + 1];
		const uint64_t bytes = number(plain + at + 4, 4);
		const uint8_t *payload = plain + at + FRAME_HEADER;
		if (bytes > plain_bytes - at - FRAME_HEADER) {
			sim_fail(o->sim, "limits", "node %u sends a frame that does not fit its record", node);
			return;
		}
		if (type == FRONTIER || type == HAVE || type == ACK)
			check_items(o, node, type == ACK ? "ACK" : type == HAVE ? "HAVE" : "FRONTIER", payload, bytes);
		else if (type == HEADS)
			check_heads(o, node, payload, bytes);
		else if (type == ENTRY)
			check_entry(o, node, payload, bytes, flags);
		else if (type == FRAG && (flags & FLAG_FIRST) && bytes > 4)
			check_entry(o, node, payload + 4, bytes - 4, flags);
		at += FRAME_HEADER + bytes;
	}
}

/* --- what is believed of others --- */

void oracle_acked(struct oracle *o, uint16_t node, uint16_t peer, uint16_t author, uint8_t lane, uint64_t seq)
{
	if (!is_honest(o, node) || !is_honest(o, peer))
		return;
	if (author >= o->authors || seq > holding_of(o, peer, author, lane)->most)
		sim_fail(o->sim, "acked", "node %u notes that %u holds %u/%u/%llu, which it does not", node, peer, author, lane, (unsigned long long)seq);
}

void oracle_blames(struct oracle *o, uint16_t node, uint16_t peer, bool tampered, const char *what)
{
	if (is_honest(o, node) && is_honest(o, peer) && !tampered)
		sim_fail(o->sim, "blame", "node %u says of %u, which is honest: %s", node, peer, what);
}

void oracle_refuses(struct oracle *o, uint16_t node, uint16_t peer, uint16_t author, uint8_t lane, uint64_t seq, bool tampered, const char *what)
{
	if (author < o->authors && is_honest(o, node) && is_honest(o, peer) && is_honest(o, author) && !o->was_restored[author] && !tampered)
		sim_fail(o->sim, "refused", "node %u refuses %u/%u/%llu of %u, which is honest: %s", node, author, lane, (unsigned long long)seq, peer, what);
}

/* Of two links between the same nodes one is given up, when both have dialled; from then on none is. */
void oracle_loses(struct oracle *o, uint16_t node, uint16_t peer, const char *what)
{
	const struct sim_plan *plan = o->sim->plan;

	if (o->way_us[0] && plan->prompt_slack_ms < LOOSE_MS && o->sim->now_us / 1000 > plan->prompt_from_ms + SETTLED_MS)
		sim_fail(o->sim, "link", "node %u has lost its link to %u, which nothing has disturbed: %s", node, peer, what);
}

/* Two headers that one author cannot have signed both: of one place, or of one gseq, or of which the second does not follow the first. */
static bool is_fork(const struct oracle *o, const uint8_t a[HEADER], const uint8_t b[HEADER])
{
	uint8_t id_a[ID], id_b[ID];
	const uint64_t seq_a = number(a + 16, 8), seq_b = number(b + 16, 8);

	entry_id(o, a, id_a);
	entry_id(o, b, id_b);
	if (memcmp(id_a, id_b, ID) == 0 || memcmp(a + 40, b + 40, 32) != 0)
		return false;
	return (a[1] == b[1] && seq_a == seq_b) || number(a + 24, 8) == number(b + 24, 8) ||
	       (a[1] == b[1] && seq_b == seq_a + 1 && memcmp(b + 72, id_a, ID) != 0) || (a[1] == b[1] && seq_a == seq_b + 1 && memcmp(a + 72, id_b, ID) != 0);
}

void oracle_fork(struct oracle *o, uint16_t node, uint16_t author, const uint8_t a[HEADER], const uint8_t b[HEADER])
{
	if (author >= o->authors)
		return;
	if (is_honest(o, node) && !is_fork(o, a, b))
		sim_fail(o->sim, "evidence", "node %u keeps as a proof against %u what proves nothing", node, author);
	o->evidence[(size_t)node * o->authors + author] = true;
	if (is_honest(o, node) && is_honest(o, author))
		sim_fail(o->sim, "blame", "node %u has proof that %u, which is honest, has two branches", node, author);
}

/* --- the end --- */

/* How far an author's lane goes: what it has said, or what is left of that anywhere where an old copy of its disk was put back. */
static uint64_t end_of(const struct oracle *o, uint16_t author, uint8_t lane)
{
	uint64_t most = 0;

	if (!o->was_restored[author])
		return feed_of(o, author, lane)->count;
	for (uint16_t node = 0; node < o->nodes; node++) {
		if (is_honest(o, node) && holding_of(o, node, author, lane)->durable > most)
			most = holding_of(o, node, author, lane)->durable;
	}
	return most;
}

/* Whether two honest nodes hold different entries of an author at one place in a lane, or in its feed. */
static bool is_split(const struct oracle *o, uint16_t author)
{
	for (uint8_t lane = 0; lane < LANES; lane++) {
		const struct holding *most = NULL;
		for (uint16_t node = 0; node < o->nodes; node++) {
			const struct holding *h = holding_of(o, node, author, lane);
			if (is_honest(o, node) && (!most || h->durable > most->durable))
				most = h;
		}
		for (uint16_t node = 0; node < o->nodes; node++) {
			const struct holding *h = holding_of(o, node, author, lane);
			if (is_honest(o, node) && h->durable > 0 && memcmp(h->ids[h->durable - 1], most->ids[h->durable - 1], ID) != 0)
				return true;
		}
	}
	return authors_same_gseq(o->sim, author);
}

/* What a round takes now; NEVER: the honest nodes do not hang together by links that stand and pass everything. */
static uint64_t round_us(const struct oracle *o)
{
	const size_t n = o->nodes;
	uint64_t *way = ways_new(n), longest_us = 0;

	for (uint16_t a = 0; a < n; a++) {
		for (uint16_t b = 0; b < a; b++) {
			if (is_honest(o, a) && is_honest(o, b) && sim_is_linked(o->sim, a, b))
				way[a * n + b] = way[b * n + a] = hop_us(o->sim, a, b, 1);
		}
	}
	ways_shorten(way, n);
	for (size_t i = 0; i < n * n; i++) {
		if (is_honest(o, (uint16_t)(i / n)) && is_honest(o, (uint16_t)(i % n)) && way[i] > longest_us)
			longest_us = way[i];
	}
	free(way);
	return longest_us < NEVER ? longest_us : NEVER;
}

bool oracle_watch_forks(struct oracle *o)
{
	bool any = false;

	for (uint16_t author = 0; author < o->authors; author++) {
		uint16_t lacks = 0;
		while (lacks < o->nodes && (!is_honest(o, lacks) || o->evidence[(size_t)lacks * o->authors + author]))
			lacks++;
		if (!has_branches(o, author) || lacks == o->nodes)
			continue;
		any = true;
		const uint64_t takes_us = is_split(o, author) ? round_us(o) : NEVER;
		if (takes_us == NEVER)
			o->evidence_due_us[author] = 0;
		else if (o->evidence_due_us[author] == 0)
			o->evidence_due_us[author] = o->sim->now_us + FORK_ROUNDS * takes_us;
		else if (o->sim->now_us > o->evidence_due_us[author])
			sim_fail(o->sim, "rounds", "node %u has no proof that %u has two branches, %d rounds of %.3f s after they were in reach of each other", lacks,
			         author, FORK_ROUNDS, (double)takes_us / 1e6);
	}
	return any;
}

bool oracle_agreed(struct oracle *o, char *why, size_t why_max)
{
	for (uint16_t author = 0; author < o->authors; author++) {
		for (uint8_t lane = 0; lane < LANES && is_honest(o, author); lane++) {
			const uint64_t end = end_of(o, author, lane);
			for (uint16_t node = 0; node < o->nodes; node++) {
				const uint64_t durable = holding_of(o, node, author, lane)->durable;
				if (!is_honest(o, node) || durable == end)
					continue;
				snprintf(why, why_max, "node %u holds %llu entries of %u/%u, of %llu", node, (unsigned long long)durable, author, lane,
				         (unsigned long long)end);
				return false;
			}
		}
		for (uint16_t node = 0; node < o->nodes && has_branches(o, author) && is_split(o, author); node++) {
			if (!is_honest(o, node) || o->evidence[(size_t)node * o->authors + author])
				continue;
			snprintf(why, why_max, "node %u has no proof that %u has two branches", node, author);
			return false;
		}
	}
	for (uint16_t node = 0; node < o->nodes; node++) {
		if (!is_honest(o, node) || (o->sim->nodes[node].up && o->sim->nodes[node].writes_count == 0))
			continue;
		snprintf(why, why_max, "node %u is not idle", node);
		return false;
	}
	return true;
}
