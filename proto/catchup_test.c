/* What it costs a node to come back after it has missed 10,000 entries: the bytes that are not entries, and the round trips until they come.
 * Two real engines, a link with a delay and no limit of rate, stores of memory that commit every 10 ms. The test reads along: it has the keys.
 * Every lane of every node holds entries, so the frontier is as large as the charter allows. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "proto/parts.h"

#define WALL_MS 1790000000000ULL
#define DELAY_MS 50
#define COMMIT_MS 10
#define BASE_SEQ 5 /* that both hold, of every lane */
#define BODY_BYTES 200
#define MISSED 10000
#define LANES_MAX (PL_NODES_MAX * PL_LANES)
#define FRAME_TYPES 32

enum { AHEAD, BEHIND, SIDES };

struct chunk {
	struct chunk *next;
	uint64_t at_ms;
	size_t count;
	uint8_t bytes[];
};

struct load {
	uint32_t token;
	uint32_t index;
	uint64_t from, to;
	uint32_t bytes_max;
};

struct entry {
	uint8_t header[PL_ENTRY_HEADER_BYTES], id[PL_ID_BYTES];
};

struct feed {
	struct entry *entries; /* after BASE_SEQ */
	uint64_t count;
};

struct side {
	struct pl_engine *engine;
	void *memory;
	struct chunk *first, **last; /* towards it */
	bool dials, unsent;
	struct load loads[8];
	size_t loads_count;
	uint32_t checks[8], checks_count;
	uint64_t accepted[LANES_MAX], durable[LANES_MAX], commit_at_ms;
	size_t storing[LANES_MAX];
	/* what has come to it */
	bool tapped;
	struct pl_record_reader tap;
	uint64_t frames[FRAME_TYPES], bytes[FRAME_TYPES], records, padding; /* of frames: with their headers */
	uint64_t first_ms[FRAME_TYPES];
};

static struct pl_charter charter;
static uint8_t sign_secrets[PL_NODES_MAX][PL_SIGN_SECRET_BYTES], noise_secrets[PL_NODES_MAX][32];
static struct side sides[SIDES];
static struct feed feeds[LANES_MAX];
static uint8_t body[BODY_BYTES];
static uint64_t now_ms, draws;

static void step(int which, struct pl_event *event);

static void base_id(uint32_t index, uint8_t id[PL_ID_BYTES])
{
	memset(id, 0, PL_ID_BYTES);
	pl_put32(id, index + 1);
}

static void effect(int which, const struct pl_effect *fx)
{
	struct side *s = &sides[which], *other = &sides[!which];
	uint32_t index;

	switch (fx->type) {
	case PL_FX_DIAL:
		s->dials = true;
		break;
	case PL_FX_SEND: {
		struct chunk *chunk = malloc(sizeof(*chunk) + fx->send.count);
		*chunk = (struct chunk){ .at_ms = now_ms + DELAY_MS, .count = fx->send.count };
		memcpy(chunk->bytes, fx->send.bytes, fx->send.count);
		*other->last = chunk;
		other->last = &chunk->next;
		s->unsent = true;
		break;
	}
	case PL_FX_STORE:
		index = pl_lane_index(fx->store.node, fx->store.lane);
		cr_assert_eq(fx->store.seq, s->accepted[index] + 1);
		s->accepted[index]++;
		s->storing[index] += PL_ENTRY_HEADER_BYTES + fx->store.body_bytes;
		if (s->commit_at_ms == 0)
			s->commit_at_ms = now_ms + COMMIT_MS;
		break;
	case PL_FX_LOAD:
		cr_assert_lt(s->loads_count, 8);
		s->loads[s->loads_count++] = (struct load){ fx->load.token, pl_lane_index(fx->load.node, fx->load.lane), fx->load.from, fx->load.to, fx->load.max_bytes };
		break;
	case PL_FX_VERIFY:
		s->checks[s->checks_count++] = fx->verify.token;
		break;
	case PL_FX_NOTE:
		cr_assert(fx->note.code == PL_NOTE_LINK_LIVE || fx->note.code == PL_NOTE_CAUGHT_UP, "%s", fx->note.detail);
		break;
	case PL_FX_CLOSE:
	case PL_FX_REPAIR:
	case PL_FX_FORK:
	case PL_FX_ANCHORS:
		cr_assert_fail("effect %d", fx->type);
		break;
	case PL_FX_ACKED:
		break;
	}
}

static void step(int which, struct pl_event *event)
{
	struct pl_effect fx;

	event->now_ms = now_ms;
	event->wall_ms = WALL_MS + now_ms;
	pl_put64(event->seed, ++draws);
	cr_assert_eq(pl_engine_step(sides[which].engine, event), PL_OK);
	while (pl_engine_next_effect(sides[which].engine, &fx))
		effect(which, &fx);
}

/* --- reading along --- */

static void tally(struct side *s, const uint8_t *bytes, size_t count)
{
	static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];
	size_t consumed, plain_bytes, at = 0;

	cr_assert_eq(pl_record_read(&s->tap, bytes, count, &consumed, plain, &plain_bytes), PL_OK);
	cr_assert(plain_bytes > 0 && consumed == count, "a record at a time");
	s->records++;
	while (at < plain_bytes) {
		const size_t before = at;
		struct pl_frame frame;
		cr_assert_eq(pl_frame_next(plain, plain_bytes, &at, &frame), PL_OK);
		if (frame.type == PL_FRAME_PAD) {
			s->padding += at - before;
			continue;
		}
		cr_assert_lt(frame.type, FRAME_TYPES);
		if (s->frames[frame.type]++ == 0)
			s->first_ms[frame.type] = now_ms;
		s->bytes[frame.type] += at - before;
	}
}

static void deliver(int which)
{
	struct side *s = &sides[which];
	struct chunk *chunk = s->first;
	struct pl_event event = { .type = PL_EV_BYTES };
	const struct pl_engine *e = s->engine;
	const uint16_t session = e->peers[!which].session;

	if (session != PL_NONE16 && !s->tapped) {
		s->tap.stream = e->sessions[session].reader->stream;
		s->tapped = true;
	}
	if (s->tapped)
		tally(s, chunk->bytes, chunk->count);
	event.bytes.link = 1;
	event.bytes.bytes = chunk->bytes;
	event.bytes.count = chunk->count;
	s->first = chunk->next;
	if (!s->first)
		s->last = &s->first;
	step(which, &event);
	cr_assert_eq(event.bytes.consumed, chunk->count);
	free(chunk);
}

/* --- stores --- */

static void answer_load(int which)
{
	struct side *s = &sides[which];
	const struct load load = s->loads[0];
	struct pl_stored_entry found[512];
	struct pl_event event = { .type = PL_EV_LOADED };

	memmove(s->loads, s->loads + 1, --s->loads_count * sizeof(*s->loads));
	event.loaded.token = load.token;
	event.loaded.entries = found;
	for (uint64_t seq = load.from, bytes = 0; seq <= load.to && seq <= s->durable[load.index] && event.loaded.count < 512; seq++) {
		bytes += PL_ENTRY_HEADER_BYTES + sizeof(body);
		if (bytes > load.bytes_max)
			break;
		cr_assert_gt(seq, BASE_SEQ);
		found[event.loaded.count++] = (struct pl_stored_entry){ feeds[load.index].entries[seq - BASE_SEQ - 1].header, body, sizeof(body) };
	}
	step(which, &event);
}

static void commit(int which)
{
	struct side *s = &sides[which];

	s->commit_at_ms = 0;
	for (uint32_t index = 0; index < charter.nodes_count * PL_LANES; index++) {
		struct pl_event event = { .type = PL_EV_STORED };
		if (s->storing[index] == 0)
			continue;
		const struct entry *head = &feeds[index].entries[s->accepted[index] - BASE_SEQ - 1];
		event.stored.node = (uint16_t)(index / PL_LANES);
		event.stored.lane = (uint8_t)(index % PL_LANES);
		event.stored.seq = s->durable[index] = s->accepted[index];
		event.stored.gseq = pl_header_gseq(head->header);
		event.stored.id = head->id;
		event.stored.bytes = event.stored.kept_bytes = s->storing[index];
		s->storing[index] = 0;
		step(which, &event);
	}
}

static bool run_now(int which)
{
	struct side *s = &sides[which];
	struct pl_event tick = { .type = PL_EV_TICK }, sent = { .type = PL_EV_SENT, .sent = { 1 } };

	if (s->first && s->first->at_ms <= now_ms) {
		deliver(which);
	} else if (s->unsent) {
		s->unsent = false;
		step(which, &sent);
	} else if (s->loads_count > 0) {
		answer_load(which);
	} else if (s->checks_count > 0) {
		struct pl_event event = { .type = PL_EV_VERIFIED, .verified = { s->checks[--s->checks_count], UINT32_MAX } };
		step(which, &event);
	} else if (s->commit_at_ms != 0 && s->commit_at_ms <= now_ms) {
		commit(which);
	} else if (pl_engine_deadline_ms(s->engine) <= now_ms) {
		step(which, &tick);
	} else {
		return false;
	}
	return true;
}

static void run_ms(uint64_t ms)
{
	for (const uint64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms++) {
		while (run_now(AHEAD) || run_now(BEHIND))
			;
	}
}

/* --- the two --- */

static void keys(void)
{
	for (uint16_t i = 0; i < charter.nodes_count; i++) {
		struct pl_certificate *c = &charter.nodes[i].certificate;
		uint8_t seed[32] = { 0, 1 };
		pl_put16(seed + 4, i);
		memcpy(noise_secrets[i], seed, sizeof(seed));
		pl_sign_keypair(seed, c->node_id, sign_secrets[i]);
		crypto_scalarmult_base(c->noise_public, noise_secrets[i]);
		c->generation = 1;
		c->valid_until_ms = WALL_MS * 2;
		const uint16_t member = i / PL_NODES_PER_MEMBER_MAX;
		charter.nodes[i].member = member;
		if (i % PL_NODES_PER_MEMBER_MAX == 0)
			charter.members[member].first_node = i;
		charter.members[member].nodes_count++;
		charter.members_count = member + 1;
	}
}

/* The ahead has so many entries more of this lane. */
static void make_feed(uint32_t index, uint64_t count)
{
	struct feed *feed = &feeds[index];
	const uint16_t node = (uint16_t)(index / PL_LANES);
	struct pl_header header = { .lane = (uint8_t)(index % PL_LANES), .kind = PL_KIND_MESSAGE, .generation = 1, .body_bytes = sizeof(body),
		                    .time_ms = WALL_MS };

	feed->entries = malloc(count * sizeof(*feed->entries));
	feed->count = count;
	memcpy(header.author, charter.nodes[node].certificate.node_id, PL_NODE_ID_BYTES);
	pl_body_hash(body, sizeof(body), header.body_hash);
	base_id(index, header.prev);
	for (uint64_t i = 0; i < count; i++) {
		header.seq = BASE_SEQ + 1 + i;
		header.gseq = PL_LANES * BASE_SEQ + 1 + i;
		pl_header_encode(&header, feed->entries[i].header);
		pl_entry_sign(charter.network_id, sign_secrets[node], feed->entries[i].header);
		pl_entry_id(charter.network_id, feed->entries[i].header, feed->entries[i].id);
		memcpy(header.prev, feed->entries[i].id, PL_ID_BYTES);
	}
}

static void start(int which, bool old)
{
	struct side *s = &sides[which];
	struct pl_engine_config config;
	struct pl_event begin = { .type = PL_EV_START };

	pl_engine_config_default(&config);
	config.mesh_nodes_max = PL_NODES_MAX; /* it dials whom it is told to */
	config.charter = &charter;
	config.self = (uint16_t)which;
	config.links_max = 2;
	config.whole_frontiers = old;
	config.sign_secret = sign_secrets[which];
	config.noise_secret = noise_secrets[which];
	s->memory = calloc(1, pl_engine_bytes(&config));
	cr_assert_eq(pl_engine_init(&config, s->memory, pl_engine_bytes(&config), &s->engine), PL_OK);
	s->last = &s->first;
	for (uint32_t index = 0; index < charter.nodes_count * PL_LANES; index++) {
		struct pl_event event = { .type = PL_EV_RESTORE };
		const struct feed *feed = &feeds[index];
		const uint64_t more = which == AHEAD ? feed->count : 0;
		s->accepted[index] = s->durable[index] = BASE_SEQ + more;
		event.restore.node = (uint16_t)(index / PL_LANES);
		event.restore.lane = (uint8_t)(index % PL_LANES);
		event.restore.seq = s->durable[index];
		event.restore.gseq = PL_LANES * BASE_SEQ + more;
		if (more > 0)
			memcpy(event.restore.id, feed->entries[more - 1].id, PL_ID_BYTES);
		else
			base_id(index, event.restore.id);
		step(which, &event);
	}
	step(which, &begin);
}

/* --- what it costs --- */

struct cost {
	uint64_t hello, frontier, want, ack, flow, framing, padding;
	uint64_t asked_ms, came_ms; /* after the first HELLO has left */
};

static uint64_t of_both(uint8_t type) { return sides[AHEAD].bytes[type] + sides[BEHIND].bytes[type]; }

/* The missed entries are of so many authors, spread over the charter, and all of lane 1. old: how many of the two do not know tags. */
static struct cost come_back(uint16_t nodes, uint16_t authors, int old)
{
	struct cost cost = { 0 };
	uint64_t missed = MISSED;

	cr_assert_geq(sodium_init(), 0);
	memset(charter.network_id, 7, PL_ID_BYTES);
	charter.nodes_count = nodes;
	keys();
	now_ms = 1000;
	for (uint16_t i = 0; i < authors; i++) {
		const uint64_t count = missed / (uint64_t)(authors - i);
		/* not at even distances, which would put each into a bucket of its own; the two themselves have missed nothing of their own */
		const uint16_t node = authors == nodes - 2 ? (uint16_t)(2 + i) : (uint16_t)(2 + (uint64_t)(nodes - 2) * (2u * i + 1 + i % 2) / (2u * authors + 1));
		make_feed(pl_lane_index(node, 1), count);
		missed -= count;
	}
	start(AHEAD, old >= 1);
	start(BEHIND, old == 2);
	struct pl_event dial = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { .node = AHEAD } };
	struct pl_event dialled = { .type = PL_EV_LINK_UP, .link_up = { 1, AHEAD, 1 } }, accepted = { .type = PL_EV_LINK_UP, .link_up = { 1, PL_NODE_NONE, 1 } };
	step(BEHIND, &dial);
	cr_assert(sides[BEHIND].dials);
	step(AHEAD, &accepted);
	step(BEHIND, &dialled);
	bool done = false;
	for (int i = 0; i < 600 && !done; i++) {
		run_ms(100);
		done = true;
		for (uint32_t index = 0; index < nodes * PL_LANES; index++)
			done = done && sides[BEHIND].durable[index] == sides[AHEAD].durable[index];
	}
	cr_assert(done);
	run_ms(2 * DELAY_MS); /* the last acknowledgement */
	for (uint32_t index = 0; index < nodes * PL_LANES; index++)
		cr_assert_eq(sides[AHEAD].engine->acked[BEHIND * nodes * PL_LANES + index], sides[AHEAD].durable[index], "lane index %u", index);

	for (uint8_t type = 0; type < FRAME_TYPES; type++) {
		const uint64_t bytes = of_both(type), frames = sides[AHEAD].frames[type] + sides[BEHIND].frames[type];
		switch (type) {
		case PL_FRAME_HELLO:
			cost.hello += bytes;
			break;
		case PL_FRAME_FRONTIER:
		case PL_FRAME_HEADS:
			cost.frontier += bytes;
			break;
		case PL_FRAME_WANT:
			cost.want += bytes;
			break;
		case PL_FRAME_ACK:
		case PL_FRAME_HAVE:
			cost.ack += bytes;
			break;
		case PL_FRAME_ENTRY:
		case PL_FRAME_FRAG:
			cost.framing += frames * PL_FRAME_HEADER_BYTES;
			break;
		default:
			cost.flow += bytes;
		}
	}
	for (int which = 0; which < SIDES; which++) {
		cost.framing += sides[which].records * (2 + PL_NOISE_TAG_BYTES);
		cost.padding += sides[which].padding;
	}
	const uint64_t hello_ms = (sides[AHEAD].first_ms[PL_FRAME_HELLO] < sides[BEHIND].first_ms[PL_FRAME_HELLO] ?
	                           sides[AHEAD].first_ms[PL_FRAME_HELLO] : sides[BEHIND].first_ms[PL_FRAME_HELLO]) - DELAY_MS;
	cost.asked_ms = sides[AHEAD].first_ms[PL_FRAME_WANT] - DELAY_MS - hello_ms;
	const uint64_t entry_ms = sides[BEHIND].first_ms[PL_FRAME_ENTRY];
	cost.came_ms = entry_ms - hello_ms;
	cr_log_info("%u authors of %u, %d know no tags: HELLO %d, heads %d, WANT %d, together %d; ACK %d; CREDIT, PING %d; framing %d, padding %d; asked after %.1f "
	            "round trips, first entry after %.1f", authors, nodes, old, (int)cost.hello, (int)cost.frontier, (int)cost.want,
	            (int)(cost.hello + cost.frontier + cost.want), (int)cost.ack, (int)cost.flow, (int)cost.framing, (int)cost.padding,
	            (double)cost.asked_ms / (2 * DELAY_MS), (double)cost.came_ms / (2 * DELAY_MS));
	return cost;
}

/* tests/README.md, "What catching up costs", has these figures. */
static void check(const struct cost *cost, uint64_t told_most, uint64_t control_most, uint64_t padding_most)
{
	const uint64_t told = cost->hello + cost->frontier + cost->want;

	cr_assert_leq(told, told_most, "%d bytes", (int)told);
	cr_assert_leq(told + cost->ack + cost->flow, control_most, "%d bytes", (int)(told + cost->ack + cost->flow));
	cr_assert_leq(cost->padding, padding_most, "%d bytes", (int)cost->padding);
	cr_assert_eq(cost->asked_ms, 2 * DELAY_MS, "%d ms", (int)cost->asked_ms);
	cr_assert_eq(cost->came_ms, 4 * DELAY_MS, "%d ms", (int)cost->came_ms);
}

Test(catchup, one_author_of_seven)
{
	const struct cost cost = come_back(7, 1, 0);

	check(&cost, 450, 2000, 140000);
}

Test(catchup, one_author_of_two_hundred)
{
	const struct cost cost = come_back(200, 1, 0);

	check(&cost, 1200, 2750, 140000);
}

Test(catchup, twenty_authors_of_two_hundred)
{
	const struct cost cost = come_back(200, 20, 0);

	check(&cost, 5500, 10800, 160000);
}

Test(catchup, all_others_of_768)
{
	const struct cost cost = come_back(PL_NODES_MAX, PL_NODES_MAX - 2, 0);

	check(&cost, 42500, 80500, 240000);
}

/* One or both of them are older. */
Test(catchup, with_whole_frontiers)
{
	struct cost cost = come_back(200, 1, 1);

	check(&cost, 58900, 60500, 180000);
	memset(sides, 0, sizeof(sides));
	memset(feeds, 0, sizeof(feeds));
	memset(&charter, 0, sizeof(charter));
	cost = come_back(200, 1, 2);
	check(&cost, 58000, 59600, 180000);
}
