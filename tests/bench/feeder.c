/* A peer that does nothing but feed: the engine over TCP with its store in memory, so that a parleyd at the other end can be measured alone.
 *
 *   feeder DIR PEER ADDRESS live|catchup COUNT BYTES
 *
 * DIR: the folder of a node (key, charter). It authors COUNT entries of BYTES on lane 2 and waits until PEER has acknowledged the last: live, while the
 * link is up, never more than 4,096 ahead of the acknowledgements; catchup, all before it dials. Prints seconds and entries a second from
 * the first entry to the last acknowledgement.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "node/conf.h"
#include "node/keys.h"
#include "node/net.h"
#include "proto/engine.h"

#define AHEAD_MAX 4096

struct entry {
	uint8_t header[PL_ENTRY_HEADER_BYTES];
	uint8_t *body;
	uint32_t body_bytes;
};

struct load {
	uint32_t token;
	uint16_t node;
	uint8_t lane;
	uint64_t from, to;
	uint32_t max_bytes;
};

static uv_loop_t loop;
static uv_timer_t timer;
static uv_idle_t idle;
static struct pl_net *net;
static struct pl_engine *engine;
static struct pl_charter charter;
static struct entry *own; /* lane 2 of this node; what others author is acknowledged and forgotten */
static uint64_t count, body_bytes, authored, stored_at_peer;
static uint16_t peer, self;
static const char *address;
static bool live_mode, stepping;
static double started;
static struct load loads[256];
static size_t loads_count;
static struct pl_event checks[64];
static size_t checks_count;
static struct pl_event stored[512];
static uint8_t stored_ids[512][PL_ID_BYTES];
static size_t stored_count;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "feeder: %s\n", what);
	exit(1);
}

static void step(struct pl_event *event);
static void on_idle(uv_idle_t *handle);

static void carry_out(void)
{
	struct pl_effect fx;

	while (pl_engine_next_effect(engine, &fx)) {
		switch (fx.type) {
		case PL_FX_DIAL:
			pl_net_dial(net, fx.dial.peer, 0, &address, 1);
			break;
		case PL_FX_SEND:
			pl_net_send(net, fx.send.link, fx.send.bytes, fx.send.count);
			break;
		case PL_FX_CLOSE:
			pl_net_close(net, fx.close.link);
			break;
		case PL_FX_STORE: {
			if (stored_count == sizeof(stored) / sizeof(*stored))
				fail("too much at once");
			if (fx.store.node == self && fx.store.seq <= count) {
				struct entry *entry = &own[fx.store.seq - 1];
				memcpy(entry->header, fx.store.header, PL_ENTRY_HEADER_BYTES);
				entry->body = malloc(fx.store.body_bytes + 1);
				entry->body_bytes = fx.store.body_bytes;
				memcpy(entry->body, fx.store.body, fx.store.body_bytes);
			}
			struct pl_event *event = &stored[stored_count];
			*event = (struct pl_event){ .type = PL_EV_STORED };
			memcpy(stored_ids[stored_count], fx.store.id, PL_ID_BYTES);
			event->stored.node = fx.store.node;
			event->stored.lane = fx.store.lane;
			event->stored.seq = fx.store.seq;
			event->stored.gseq = fx.store.gseq;
			event->stored.id = stored_ids[stored_count];
			event->stored.bytes = PL_ENTRY_HEADER_BYTES + fx.store.body_bytes;
			event->stored.kept_bytes = pl_entry_kept_bytes(pl_header_kind(fx.store.header), fx.store.body_bytes);
			stored_count++;
			break;
		}
		case PL_FX_LOAD:
			if (loads_count == sizeof(loads) / sizeof(*loads))
				fail("too many loads at once");
			loads[loads_count++] = (struct load){ fx.load.token, fx.load.node, fx.load.lane, fx.load.from, fx.load.to, fx.load.max_bytes };
			break;
		case PL_FX_ANCHORS:
			break;
		case PL_FX_ACKED:
			if (fx.acked.peer == peer && fx.acked.lane == 2) {
				stored_at_peer = fx.acked.seq;
				uv_idle_start(&idle, on_idle);
			}
			break;
		case PL_FX_NOTE:
			if (fx.note.code == PL_NOTE_LINK_LIVE)
				uv_idle_start(&idle, on_idle);
			else if (fx.note.code == PL_NOTE_PEER_FAULT || fx.note.code == PL_NOTE_LINK_BROKEN || fx.note.code == PL_NOTE_HANDSHAKE_FAILED)
				fail(fx.note.detail);
			else if (fx.note.code == PL_NOTE_LINK_LOST)
				fail("the link was lost");
			break;
		case PL_FX_VERIFY:
			if (checks_count == sizeof(checks) / sizeof(*checks))
				fail("too many checks at once");
			checks[checks_count] = (struct pl_event){ .type = PL_EV_VERIFIED, .verified = { .token = fx.verify.token } };
			checks[checks_count++].verified.good = pl_entries_verify(charter.network_id, fx.verify.headers, fx.verify.count);
			break;
		case PL_FX_REPAIR:
			fail("nothing was damaged");
			break;
		case PL_FX_FORK:
			fail("a fork");
			break;
		}
	}
}

static void raw_step(struct pl_event *event)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	event->now_ms = uv_now(&loop);
	event->wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
	randombytes_buf(event->seed, sizeof(event->seed));
	if (pl_engine_step(engine, event) != PL_OK && event->type != PL_EV_SUBMIT)
		fail("the engine refused an event");
	carry_out();
}

static void answer_loads(void)
{
	while (loads_count > 0) {
		const struct load load = loads[--loads_count];
		struct pl_stored_entry found[256];
		struct pl_event event = { .type = PL_EV_LOADED };
		uint32_t bytes = 0;
		event.loaded.token = load.token;
		event.loaded.entries = found;
		for (uint64_t seq = load.from; load.lane == 2 && seq <= load.to && seq <= authored && event.loaded.count < 256 && bytes < load.max_bytes; seq++) {
			const struct entry *entry = &own[seq - 1];
			found[event.loaded.count++] = (struct pl_stored_entry){ entry->header, entry->body, entry->body_bytes };
			bytes += PL_ENTRY_HEADER_BYTES + entry->body_bytes;
		}
		raw_step(&event);
	}
}

static void on_timer(uv_timer_t *t)
{
	struct pl_event event = { .type = PL_EV_TICK };

	(void)t;
	step(&event);
}

static void step(struct pl_event *event)
{
	if (stepping)
		fail("an event within an event");
	stepping = true;
	raw_step(event);
	while (stored_count > 0 || loads_count > 0 || checks_count > 0) {
		if (checks_count > 0) {
			struct pl_event verified = checks[--checks_count];
			raw_step(&verified);
		}
		/* in the order in which they came: of one lane only the last counts */
		struct pl_event batch[512];
		const size_t n = stored_count;
		memcpy(batch, stored, n * sizeof(*batch));
		stored_count = 0;
		for (size_t i = 0; i < n; i++) {
			uint8_t id[PL_ID_BYTES];
			memcpy(id, stored_ids[i], PL_ID_BYTES);
			batch[i].stored.id = id;
			raw_step(&batch[i]);
		}
		answer_loads();
	}
	stepping = false;
	const uint64_t deadline = pl_engine_deadline_ms(engine);
	if (deadline != UINT64_MAX)
		uv_timer_start(&timer, on_timer, deadline > uv_now(&loop) ? deadline - uv_now(&loop) : 0, 0);
}

static void net_up(void *ctx, uint32_t link, uint16_t who, uint64_t hash)
{
	struct pl_event event = { .type = PL_EV_LINK_UP, .link_up = { link, who, hash } };

	(void)ctx;
	step(&event);
}

static void net_down(void *ctx, uint32_t link, uint16_t who, const char *why)
{
	(void)ctx;
	(void)link;
	(void)who;
	fail(why);
}

static void net_bytes(void *ctx, uint32_t link, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	while (n > 0) {
		struct pl_event event = { .type = PL_EV_BYTES };
		event.bytes.link = link;
		event.bytes.bytes = bytes;
		event.bytes.count = n;
		step(&event);
		bytes += event.bytes.consumed;
		n -= event.bytes.consumed;
	}
}

static void net_sent(void *ctx, uint32_t link)
{
	struct pl_event event = { .type = PL_EV_SENT, .sent = { link } };

	(void)ctx;
	step(&event);
}

static bool author_one(void)
{
	static uint8_t body[PL_BODY_BYTES_MAX];
	struct pl_event event = { .type = PL_EV_SUBMIT };

	memcpy(body, &authored, sizeof(authored));
	event.submit.lane = 2;
	event.submit.kind = PL_KIND_INDICATORS;
	event.submit.body = body;
	event.submit.body_bytes = (uint32_t)body_bytes;
	const uint64_t before = authored++;
	step(&event);
	if (event.submit.seq == before + 1)
		return true;
	authored = before;
	return false;
}

/* Runs while there is something to author, and otherwise takes no processor: that is the node's, whose figure this is. */
static void on_idle(uv_idle_t *handle)
{
	if (started == 0)
		started = seconds();
	for (int i = 0; i < 32 && authored < count && authored - stored_at_peer < AHEAD_MAX; i++) {
		if (!author_one())
			return;
	}
	if (stored_at_peer >= count) {
		const double took = seconds() - started;
		printf("%s %.3f s %.0f entries/s\n", live_mode ? "live" : "catchup", took, (double)count / took);
		fflush(stdout);
		_exit(0);
	}
	if (authored == count || authored - stored_at_peer >= AHEAD_MAX)
		uv_idle_stop(handle); /* until it acknowledges more */
}

int main(int argc, char **argv)
{
	const struct pl_net_callbacks callbacks = { .up = net_up, .down = net_down, .bytes = net_bytes, .sent = net_sent };
	struct pl_engine_config config;
	struct pl_node_keys keys;
	char path[1100], why[512], at[4];
	uint8_t *document;
	size_t document_bytes;

	if (argc != 7 || sodium_init() < 0)
		fail("usage: feeder DIR PEER ADDRESS live|catchup COUNT BYTES");
	snprintf(path, sizeof(path), "%s/charter.plc", argv[1]);
	if (pl_file_read(path, PL_CHARTER_BYTES_MAX, &document, &document_bytes, why, sizeof(why)) != PL_OK)
		fail(why);
	if (pl_charter_read(document, document_bytes, &charter, at) != PL_OK)
		fail("the charter is not valid");
	snprintf(path, sizeof(path), "%s/node.key", argv[1]);
	const char *passphrase = getenv("PARLEY_PASSPHRASE");
	if (pl_key_read_node(path, passphrase ? passphrase : "", &keys, why, sizeof(why)) != PL_OK)
		fail(why);
	peer = pl_charter_find_name(&charter, argv[2]);
	address = argv[3];
	live_mode = strcmp(argv[4], "live") == 0;
	count = strtoull(argv[5], NULL, 10);
	body_bytes = strtoull(argv[6], NULL, 10);
	own = calloc(count, sizeof(*own));
	pl_engine_config_default(&config);
	config.charter = &charter;
	config.self = self = pl_charter_find_node(&charter, keys.node_id);
	config.links_max = 1;
	config.quota[2] = (struct pl_quota){ 1ull << 40, 1ull << 40 };
	config.sign_secret = keys.sign_secret;
	config.noise_secret = keys.noise_secret;
	if (peer == PL_NODE_NONE || config.self == PL_NODE_NONE || !own || count == 0 || body_bytes < 8 || body_bytes > PL_BODY_BYTES_MAX)
		fail("peer, key, count or size is unusable");
	const size_t bytes = pl_engine_bytes(&config);
	if (pl_engine_init(&config, calloc(1, bytes), bytes, &engine) != PL_OK)
		fail("no engine");
	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	uv_idle_init(&loop, &idle);
	if (pl_net_new(&loop, &callbacks, &net) != PL_OK)
		fail("no net");
	struct pl_event start = { .type = PL_EV_START }, dial = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { .node = peer } };
	step(&start);
	while (!live_mode && authored < count) {
		if (!author_one())
			fail("cannot author");
	}
	uv_update_time(&loop); /* authoring may have taken longer than a dial may */
	step(&dial);
	uv_run(&loop, UV_RUN_DEFAULT);
	return 1;
}
