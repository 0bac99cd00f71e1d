#include "tests/sim/oracle.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

/* By PROTOCOL.md, not by the engine's headers. */
enum { HEADER = 232, ID = 32, LANES = 3, ITEM = 48, FRAME_HEADER = 8 };
enum { FRONTIER = 2, HAVE = 3, ACK = 4, ENTRY = 7, FRAG = 8 };
#define FLAG_FIRST 0x02
#define FLAG_FLASH 0x04

struct said {
	uint8_t id[ID];
	uint64_t gseq;
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
};

struct key_use {
	uint8_t key[32];
	uint64_t next_nonce;
};

struct oracle {
	struct sim *sim;
	uint16_t nodes, authors;
	struct feed *feeds;       /* [author][lane] */
	uint64_t *gseq;           /* of each author, the last */
	bool *was_restored;       /* each author */
	struct holding *holdings; /* [node][author][lane] */
	bool *evidence;           /* [node][author] */
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

struct oracle *oracle_new(struct sim *sim, uint16_t nodes, uint16_t authors)
{
	struct oracle *o = calloc(1, sizeof(*o));

	assert(o);
	o->sim = sim;
	o->nodes = nodes;
	o->authors = authors;
	o->feeds = calloc((size_t)authors * LANES, sizeof(*o->feeds));
	o->gseq = calloc(authors, sizeof(*o->gseq));
	o->was_restored = calloc(authors, sizeof(*o->was_restored));
	o->holdings = calloc((size_t)nodes * authors * LANES, sizeof(*o->holdings));
	o->evidence = calloc((size_t)nodes * authors, sizeof(*o->evidence));
	o->keys_max = 1024;
	o->keys = calloc(o->keys_max, sizeof(*o->keys));
	assert(o->feeds && o->gseq && o->was_restored && o->holdings && o->evidence && o->keys);
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
	free(o->gseq);
	free(o->was_restored);
	free(o->holdings);
	free(o->evidence);
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

void oracle_stores(struct oracle *o, uint16_t node, uint16_t author, const uint8_t header[HEADER], const uint8_t *body, uint32_t body_bytes,
                   const uint8_t claimed_id[ID])
{
	static const char id_label[] = "parley/v1/entry-id", body_label[] = "parley/v1/body";
	const uint8_t lane = header[1];
	const uint64_t seq = number(header + 16, 8);
	uint8_t id[ID], body_hash[ID];

	if (!is_honest(o, node))
		return;
	if (author >= o->authors || lane >= LANES) {
		sim_fail(o->sim, "authentic", "node %u stores an entry of nobody: author %u lane %u", node, author, lane);
		return;
	}
	struct holding *h = holding_of(o, node, author, lane);
	const struct feed *feed = feed_of(o, author, lane);
	hash(id_label, sizeof(id_label), o->sim->network_id, ID, header, HEADER, id);
	hash(body_label, sizeof(body_label), body, body_bytes, NULL, 0, body_hash);
	if (memcmp(id, claimed_id, ID) != 0 || memcmp(body_hash, header + 136, ID) != 0 || number(header + 12, 4) != body_bytes)
		sim_fail(o->sim, "authentic", "node %u stores %u/%u/%llu with an id, a length or a hash that is not its own", node, author, lane,
		         (unsigned long long)seq);
	else if (seq != h->next + 1)
		sim_fail(o->sim, "chain", "node %u stores %u/%u/%llu after %llu", node, author, lane, (unsigned long long)seq,
		         (unsigned long long)h->next);
	else if (seq > 1 && memcmp(header + 72, h->last_id, ID) != 0)
		sim_fail(o->sim, "chain", "node %u stores %u/%u/%llu, which does not name the one before it", node, author, lane,
		         (unsigned long long)seq);
	else if (author != node && is_honest(o, author) && (seq > feed->count || memcmp(feed->said[seq - 1].id, id, ID) != 0))
		sim_fail(o->sim, "authentic", "node %u stores %u/%u/%llu, which its author has never stored", node, author, lane,
		         (unsigned long long)seq);
	else if (author == node && seq <= feed->count && memcmp(feed->said[seq - 1].id, id, ID) != 0)
		sim_fail(o->sim, "seq", "node %u signs %u/%llu a second time", node, lane, (unsigned long long)seq);
	h->next = seq;
	memcpy(h->last_id, id, ID);
}

static void say(struct oracle *o, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t id[ID])
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
	memcpy(feed->said[feed->count++].id, id, ID);
	o->authored++;
}

void oracle_durable(struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t id[ID])
{
	if (author >= o->authors)
		return;
	struct holding *h = holding_of(o, node, author, lane);
	if (author == node && !has_branches(o, author))
		say(o, author, lane, seq, id);
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

/* Whether it holds this entry; id: NULL, any. */
static bool holds(const struct oracle *o, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq, const uint8_t *id)
{
	const struct holding *h = holding_of(o, node, author, lane);

	if (seq == 0 || seq > h->durable)
		return false;
	return !id || memcmp(has_branches(o, author) ? h->ids[seq - 1] : feed_of(o, author, lane)->said[seq - 1].id, id, ID) == 0;
}

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
		if (2 * ++o->keys_count > o->keys_max) {
			use->next_nonce = nonce + 1;
			keys_grow(o);
			return;
		}
	} else if (nonce < use->next_nonce) {
		sim_fail(o->sim, "nonce", "node %u encrypts a second record with number %llu of one key", node, (unsigned long long)nonce);
	}
	use->next_nonce = nonce + 1;
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

void oracle_fork(struct oracle *o, uint16_t node, uint16_t author, const uint8_t a[HEADER], const uint8_t b[HEADER])
{
	(void)a;
	(void)b;
	if (author >= o->authors)
		return;
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
		for (uint16_t node = 0; node < o->nodes && has_branches(o, author); node++) {
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
