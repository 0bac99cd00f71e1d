/* For tests of channels and indicators: several nodes in one process. Store, applier, channels and indicators are the real ones; the core,
 * epoch keys and HTTP are stand-ins that a test can hold back, look into and lie with.
 *
 * Defining their functions here keeps the archive's own ones from being linked.
 */
#ifndef PL_NODE_INDICATOR_FIXTURE_H
#define PL_NODE_INDICATOR_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/api/api.h"
#include "node/app_parts.h"
#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "tests/fixture.h"

#define WORLD_NODES_MAX 3

/* --- a network --- */

struct waiting_entry { /* for the application, or for another node's store */
	struct waiting_entry *next;
	struct pl_store_entry entry;
	uint8_t body[];
};

struct submission {
	struct submission *next;
	uint8_t lane;
	uint64_t seq;
	pl_submit_done done;
	void *ctx;
};

struct world;

struct pl_core {
	struct world *world;
	bool up;
	uint16_t self;
	char path[128];
	struct pl_store *store;
	struct pl_node_keys keys;
	struct pl_applier *applier;
	struct pl_epoch *epoch;
	struct pl_channels *channels;
	struct pl_indicator_part *part;
	uint64_t seq[PL_LANES], gseq;
	uint8_t head[PL_LANES][PL_ID_BYTES];
	struct submission *submissions;
	/* entries for the application, and whether it has one in hand, by feed and lane */
	struct waiting_entry *inbox[WORLD_NODES_MAX][PL_LANES];
	bool in_hand[WORLD_NODES_MAX][PL_LANES];
	struct waiting_entry *hand[WORLD_NODES_MAX][PL_LANES]; /* what it is, unless it was done with at once */
	bool lacks_room;       /* for bulk */
	enum pl_err submit_err; /* not PL_OK: what pl_core_submit() says, from then on */
	size_t applied, published;
};

struct pl_epoch {
	struct pl_core *core;
	void (*learned)(void *ctx, uint16_t node);
	void *ctx;
};

struct world {
	uv_loop_t loop;
	char dir[64];
	struct pl_fixture *fixture;
	uint64_t wall_ms;
	struct pl_core cores[WORLD_NODES_MAX];
	bool has_key[WORLD_NODES_MAX];          /* as all others see it */
	bool held[WORLD_NODES_MAX][PL_LANES];   /* entries to this node's application in this lane, from others, are held back */
	size_t roots_sent;
};

static inline void feed_app(struct pl_core *core, uint16_t node, uint8_t lane)
{
	struct waiting_entry *first = core->inbox[node][lane];
	if (first == NULL || core->in_hand[node][lane] || !core->up || (node != core->self && core->world->held[core->self][lane]))
		return;
	const size_t applied = core->applied;
	core->in_hand[node][lane] = true;
	core->inbox[node][lane] = first->next;
	if (pl_header_kind(first->entry.header) == PL_KIND_CHANNEL)
		pl_channels_entry(core->channels, &first->entry);
	else
		pl_indicator_entry(core->part, &first->entry);
	if (core->applied == applied)
		core->hand[node][lane] = first;
	else
		free(first);
}

static inline struct waiting_entry *copy_entry(const struct pl_store_entry *entry)
{
	struct waiting_entry *copy = malloc(sizeof(*copy) + entry->body_bytes);
	copy->next = NULL;
	copy->entry = *entry;
	memcpy(copy->body, entry->body, entry->body_bytes);
	copy->entry.body = copy->body;
	return copy;
}

static inline void world_stored(void *ctx, const struct pl_store_entry *entries, size_t count)
{
	struct pl_core *core = ctx;
	for (size_t i = 0; i < count; i++) {
		const struct pl_store_entry *entry = &entries[i];
		struct waiting_entry **end = &core->inbox[entry->node][entry->lane];
		while (*end != NULL)
			end = &(*end)->next;
		*end = copy_entry(entry);
		struct submission **place = &core->submissions;
		while (*place != NULL && ((*place)->lane != entry->lane || (*place)->seq != entry->seq || entry->node != core->self))
			place = &(*place)->next;
		if (*place != NULL) {
			struct submission *submission = *place;
			*place = submission->next;
			submission->done(submission->ctx, PL_OK, entry);
			free(submission);
		}
		for (unsigned other = 0; entry->node == core->self && other < WORLD_NODES_MAX; other++)
			if (other != core->self && core->world->cores[other].up)
				cr_assert_eq(pl_store_append(core->world->cores[other].store, entry), PL_OK);
		feed_app(core, entry->node, entry->lane);
	}
}

static inline void world_failed(void *ctx, enum pl_err err, const char *why)
{
	(void)ctx;
	cr_assert_fail("the store failed: %s %s", pl_err_str(err), why);
}

static inline void world_ready(void *ctx)
{
	(void)ctx;
}

static inline void world_loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	(void)err;
	(void)ctx, (void)token, (void)entries, (void)count;
}

static inline void world_damaged(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t id[PL_ID_BYTES])
{
	(void)ctx, (void)node, (void)lane, (void)seq, (void)id;
}

static inline void core_up(struct world *world, uint16_t self)
{
	struct pl_core *core = &world->cores[self];
	char why[256];
	core->world = world;
	core->self = self;
	snprintf(core->path, sizeof(core->path), "%s/%u.db", world->dir, self);
	memset(core->keys.store_key, 0x40 + self, sizeof(core->keys.store_key));
	cr_assert_eq(pl_store_open(core->path, world->fixture->charter.network_id, world->fixture->charter.nodes[self].certificate.node_id,
	                           &core->store, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_applier_new(core, &core->applier), PL_OK);
	core->epoch = calloc(1, sizeof(*core->epoch));
	core->epoch->core = core;
	cr_assert_eq(pl_channels_new(core, core->applier, core->epoch, &core->channels, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_indicator_new(core, core->applier, core->channels, &core->part, why, sizeof(why)), PL_OK, "%s", why);
	const struct pl_store_callbacks callbacks = { core, world_stored, world_failed, world_ready, world_loaded, world_damaged, NULL };
	cr_assert_eq(pl_store_start(core->store, &world->loop, &callbacks), PL_OK);
	core->up = true;
	pl_channels_start(core->channels);
	pl_indicator_start(core->part);
}

/* In the order of pl_core_stop(): threads may end after the store is gone. */
static inline void core_down(struct pl_core *core)
{
	pl_indicator_stop(core->part);
	pl_channels_stop(core->channels);
	pl_applier_stop(core->applier);
	core->up = false;
	pl_store_close(core->store);
	core->store = NULL;
	while (core->submissions != NULL) {
		struct submission *submission = core->submissions;
		core->submissions = submission->next;
		submission->done(submission->ctx, PL_ERR_STATE, NULL);
		free(submission);
	}
	for (int i = 0; i < 20 || core->part->aside_first != NULL; i++)
		uv_run(&core->world->loop, UV_RUN_NOWAIT);
	pl_indicator_free(core->part);
	pl_channels_free(core->channels);
	pl_applier_free(core->applier);
	free(core->epoch);
	for (unsigned node = 0; node < WORLD_NODES_MAX; node++) {
		for (unsigned lane = 0; lane < PL_LANES; lane++) {
			core->in_hand[node][lane] = false;
			free(core->hand[node][lane]);
			core->hand[node][lane] = NULL;
			while (core->inbox[node][lane] != NULL) {
				struct waiting_entry *first = core->inbox[node][lane];
				core->inbox[node][lane] = first->next;
				free(first);
			}
		}
	}
}

static inline struct world *world_new(unsigned nodes)
{
	struct world *world = calloc(1, sizeof(*world));
	pl_log_open(2, PL_LOG_ERROR, false);
	world->fixture = pl_fixture_new(1, 3, 1);
	world->wall_ms = PL_FIXTURE_CREATED_MS;
	strcpy(world->dir, "/tmp/parley-indicator-XXXXXX");
	cr_assert_not_null(mkdtemp(world->dir));
	cr_assert_eq(uv_loop_init(&world->loop), 0);
	for (unsigned i = 0; i < WORLD_NODES_MAX; i++)
		world->has_key[i] = i < nodes;
	for (unsigned i = 0; i < nodes; i++)
		core_up(world, (uint16_t)i);
	return world;
}

static inline void world_free(struct world *world)
{
	for (unsigned i = 0; i < WORLD_NODES_MAX; i++)
		if (world->cores[i].up)
			core_down(&world->cores[i]);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&world->loop), 0, "something is left on the loop");
	DIR *dir = opendir(world->dir);
	for (struct dirent *item; (item = readdir(dir)) != NULL;) {
		char name[512];
		snprintf(name, sizeof(name), "%s/%s", world->dir, item->d_name);
		unlink(name);
	}
	closedir(dir);
	rmdir(world->dir);
	free(world->fixture);
	free(world);
}

/* Turns the loop until this holds. */
#define AWAIT(world, what)                                    \
	do {                                                  \
		while (!(what))                               \
			uv_run(&(world)->loop, UV_RUN_ONCE); \
	} while (0)

/* Long enough for anything to happen that is going to. */
static inline void pause_timer(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}
static inline void settle(struct world *world, uint64_t ms)
{
	uv_timer_t timer;
	bool over = false;
	uv_timer_init(&world->loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, pause_timer, ms, 0);
	AWAIT(world, over);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&world->loop, UV_RUN_NOWAIT);
}

static inline void hold(struct world *world, unsigned node, uint8_t lane, bool held)
{
	world->held[node][lane] = held;
	for (uint16_t author = 0; author < WORLD_NODES_MAX; author++)
		feed_app(&world->cores[node], author, lane);
}

static inline void publish_key(struct world *world, uint16_t node)
{
	world->has_key[node] = true;
	for (unsigned i = 0; i < WORLD_NODES_MAX; i++)
		if (world->cores[i].up)
			world->cores[i].epoch->learned(world->cores[i].epoch->ctx, node);
}

/* --- the core's stand-in --- */

uv_loop_t *pl_core_loop(struct pl_core *core)
{
	return &core->world->loop;
}
struct pl_store *pl_core_store(struct pl_core *core)
{
	return core->store;
}
struct pl_http *pl_core_http(struct pl_core *core)
{
	return (struct pl_http *)core;
}
const struct pl_charter *pl_core_charter(const struct pl_core *core)
{
	return &core->world->fixture->charter;
}
const struct pl_node_keys *pl_core_keys(const struct pl_core *core)
{
	return &core->keys;
}
uint16_t pl_core_self(const struct pl_core *core)
{
	return core->self;
}
uint64_t pl_core_wall_ms(const struct pl_core *core)
{
	return core->world->wall_ms;
}
uint64_t pl_core_now_ms(const struct pl_core *core)
{
	return core->world->wall_ms;
}
bool pl_core_find_room(struct pl_core *core, uint64_t bytes)
{
	(void)bytes;
	return !core->lacks_room;
}
void pl_core_applied(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t seq)
{
	(void)seq;
	core->applied++;
	core->in_hand[node][lane] = false;
	free(core->hand[node][lane]);
	core->hand[node][lane] = NULL;
	feed_app(core, node, lane);
}

void pl_core_offer_again(struct pl_core *core, uint16_t node, uint8_t lane)
{
	struct waiting_entry *again = core->hand[node][lane];
	again->next = core->inbox[node][lane];
	core->inbox[node][lane] = again;
	core->hand[node][lane] = NULL;
	core->in_hand[node][lane] = false;
	feed_app(core, node, lane);
}

enum pl_err pl_core_submit(struct pl_core *core, uint8_t lane, uint8_t kind, uint8_t flags, const uint8_t *body, uint32_t body_bytes,
                           pl_submit_done done, void *ctx)
{
	struct pl_header header = { .lane = lane, .kind = kind, .flags = flags, .generation = 1, .body_bytes = body_bytes,
	                            .seq = core->seq[lane] + 1, .gseq = core->gseq + 1, .time_ms = core->world->wall_ms };
	struct pl_store_entry entry = { .node = core->self, .lane = lane, .seq = header.seq, .gseq = header.gseq,
	                                .received_ms = core->world->wall_ms, .body = body, .body_bytes = body_bytes };
	const struct pl_charter *charter = &core->world->fixture->charter;
	if (core->submit_err != PL_OK)
		return core->submit_err;
	cr_assert_leq(body_bytes, pl_body_bytes_max(kind, flags), "an entry's body is too large");
	cr_assert(pl_kind_fits_lane(kind, lane));
	memcpy(header.author, charter->nodes[core->self].certificate.node_id, sizeof(header.author));
	memcpy(header.prev, core->head[lane], sizeof(header.prev));
	pl_body_hash(body, body_bytes, header.body_hash);
	pl_header_encode(&header, entry.header);
	pl_entry_sign(charter->network_id, core->world->fixture->nodes[core->self].sign_secret, entry.header);
	pl_entry_id(charter->network_id, entry.header, entry.id);
	struct submission *submission = malloc(sizeof(*submission)), **end = &core->submissions;
	*submission = (struct submission){ NULL, lane, header.seq, done, ctx };
	while (*end != NULL)
		end = &(*end)->next;
	*end = submission;
	core->seq[lane]++;
	core->gseq++;
	memcpy(core->head[lane], entry.id, PL_ID_BYTES);
	return pl_store_append(core->store, &entry);
}

/* --- the epoch part's stand-in: u16 count, u16 nodes, plaintext --- */

bool pl_epoch_current(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out)
{
	(void)out;
	return epoch->core->world->has_key[node];
}
void pl_epoch_listen(struct pl_epoch *epoch, void (*learned)(void *ctx, uint16_t node), void *ctx)
{
	epoch->learned = learned;
	epoch->ctx = ctx;
}
void pl_epoch_seal(struct pl_epoch *epoch, struct pl_seal *seal)
{
	seal->envelope_bytes = 2 + 2u * seal->nodes_count + seal->plain_bytes;
	seal->envelope = malloc(seal->envelope_bytes);
	seal->envelope[0] = (uint8_t)(seal->nodes_count >> 8);
	seal->envelope[1] = (uint8_t)seal->nodes_count;
	for (unsigned i = 0; i < seal->nodes_count; i++) {
		seal->envelope[2 + 2 * i] = (uint8_t)(seal->nodes[i] >> 8);
		seal->envelope[3 + 2 * i] = (uint8_t)seal->nodes[i];
	}
	memcpy(seal->envelope + 2 + 2u * seal->nodes_count, seal->plain, seal->plain_bytes);
	epoch->core->world->roots_sent++;
	seal->err = PL_OK;
	seal->done(seal);
}
void pl_epoch_open(struct pl_epoch *epoch, const struct pl_store_entry *entry, struct pl_open *open)
{
	unsigned count = (unsigned)entry->body[0] << 8 | entry->body[1];
	open->err = PL_ERR_NO_KEY;
	for (unsigned i = 0; i < count; i++)
		if (entry->body[3 + 2 * i] == epoch->core->self)
			open->err = PL_OK;
	if (open->err == PL_OK) {
		open->plain_bytes = entry->body_bytes - 2 - 2u * count;
		open->plain = malloc(open->plain_bytes);
		memcpy(open->plain, entry->body + 2 + 2u * count, open->plain_bytes);
	}
	open->done(open);
}
void pl_open_wipe(struct pl_open *open)
{
	free(open->plain);
	open->plain = NULL;
}

/* --- HTTP's stand-in --- */

struct pl_request {
	const char *query[8][2];
	const char *id;
	const uint8_t *body;
	size_t body_bytes;
	/* the reply */
	int status;
	json_t *json;
	char *bytes; /* with a NUL behind them */
	size_t count, room;
	bool streaming;
	struct pl_stream stream;
};

const char *pl_request_query(const struct pl_request *request, const char *name)
{
	for (int i = 0; i < 8 && request->query[i][0] != NULL; i++)
		if (strcmp(request->query[i][0], name) == 0)
			return request->query[i][1];
	return NULL;
}
const char *pl_request_param(const struct pl_request *request, const char *name)
{
	(void)name;
	return request->id;
}
const uint8_t *pl_request_body(const struct pl_request *request, size_t *count)
{
	*count = request->body_bytes;
	return request->body;
}
bool pl_request_query_u64(struct pl_request *request, const char *name, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *text = pl_request_query(request, name);
	if (text == NULL)
		return true;
	uint64_t number = strtoull(text, NULL, 10);
	if (number >= min && number <= max) {
		*value = number;
		return true;
	}
	pl_reply_error(request, 400, "bad_request", NULL, "%s", name);
	return false;
}
void pl_reply_json(struct pl_request *request, int status, json_t *body)
{
	cr_assert_eq(request->status, 0, "replied to twice");
	cr_assert_not_null(body);
	request->status = status;
	request->json = body;
}
void pl_reply_error(struct pl_request *request, int status, const char *code, const char *hint, const char *format, ...)
{
	char message[512];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	pl_reply_json(request, status, json_pack("{s:{s:s, s:s, s:s?}}", "error", "code", code, "message", message, "hint", hint));
}
static inline void take_in(struct pl_request *request, const void *bytes, size_t count)
{
	if (request->room < request->count + count + 1) {
		request->room = 2 * (request->count + count + 1);
		request->bytes = realloc(request->bytes, request->room);
	}
	memcpy(request->bytes + request->count, bytes, count);
	request->count += count;
	request->bytes[request->count] = '\0';
}
void pl_reply_bytes(struct pl_request *request, int status, const char *content_type, const char *file_name, uint8_t *bytes, size_t count)
{
	(void)file_name;
	cr_assert_str_eq(content_type, PL_STIX_MEDIA_TYPE);
	cr_assert_eq(request->status, 0);
	request->status = status;
	take_in(request, bytes, count);
	free(bytes);
}
void pl_reply_stream_begin(struct pl_request *request, int status, const char *content_type, const struct pl_stream *stream)
{
	cr_assert_str_eq(content_type, PL_STIX_MEDIA_TYPE);
	request->stream = *stream;
	request->streaming = true;
	(void)status;
}
void pl_reply_stream_write(struct pl_request *request, const void *bytes, size_t count)
{
	cr_assert(request->streaming);
	take_in(request, bytes, count);
}
void pl_reply_stream_end(struct pl_request *request)
{
	request->streaming = false;
	request->status = 200;
}
void pl_http_publish(struct pl_http *http, const char *event, json_t *data)
{
	struct pl_core *core = (struct pl_core *)http;
	cr_assert_str_eq(event, "indicators");
	core->published++;
	json_decref(data);
}

static const struct pl_route *world_routes;
static size_t world_routes_count;
enum pl_err pl_http_add_routes(struct pl_http *http, const struct pl_route *routes, size_t count, void *ctx)
{
	(void)http, (void)ctx;
	world_routes = routes;
	world_routes_count = count;
	return PL_OK;
}

/* Asks a node, waits for the reply. query: name, value, ..., NULL. */
static inline struct pl_request *ask(struct world *world, unsigned node, const char *method, const char *path, const char *id,
                                     const void *body, size_t body_bytes, const char *const *query)
{
	struct pl_request *request = calloc(1, sizeof(*request));
	struct pl_core *core = &world->cores[node];
	request->id = id;
	request->body = body;
	request->body_bytes = body_bytes;
	for (int i = 0; query != NULL && query[2 * i] != NULL; i++)
		request->query[i][0] = query[2 * i], request->query[i][1] = query[2 * i + 1];
	cr_assert_eq(pl_indicator_add_routes(core->part, pl_core_http(core)), PL_OK);
	for (size_t i = 0; i < world_routes_count; i++)
		if (strcmp(world_routes[i].method, method) == 0 && strcmp(world_routes[i].path, path) == 0)
			world_routes[i].handler(request, core->part);
	size_t seen = 0;
	while (request->status == 0) {
		if (request->streaming && request->count > seen) {
			seen = request->count;
			request->stream.more(request, request->stream.ctx);
		}
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	return request;
}
#define QUERY(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

static inline void free_request(struct pl_request *request)
{
	json_decref(request->json);
	free(request->bytes);
	free(request);
}

static inline json_int_t number_in(const struct pl_request *request, const char *name)
{
	return json_integer_value(json_object_get(request->json, name));
}
static inline const char *error_code(const struct pl_request *request)
{
	const char *code = json_string_value(json_object_get(json_object_get(request->json, "error"), "code"));
	return code != NULL ? code : "";
}

/* --- sharing and looking --- */

#define CHE 0
#define FIN 1
#define SGP 2

static inline struct pl_request *import(struct world *world, unsigned node, const void *body, size_t count, const char *tlp)
{
	return ask(world, node, "POST", "/v1/indicators", NULL, body, count, QUERY("tlp", tlp));
}

/* A bundle of objects "identity--…N", each with this text behind its name. */
static inline char *make_bundle(unsigned first, unsigned objects, const char *rest)
{
	char *text = malloc(400 + objects * (400 + strlen(rest)));
	size_t at = (size_t)sprintf(text, "{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[");
	for (unsigned i = first; i < first + objects; i++)
		at += (size_t)sprintf(
			text + at,
			"%s{\"type\":\"identity\",\"spec_version\":\"2.1\",\"id\":\"identity--11111111-2222-4333-8444-%012u\","
			"\"created\":\"2026-11-01T10:00:00.000Z\",\"modified\":\"2026-11-01T10:00:00.000Z\",\"name\":\"n%u\"%s}",
			i > first ? "," : "", i, i, rest);
	strcpy(text + at, "]}");
	return text;
}

/* Shares so many objects at TLP:GREEN and says how many were accepted. */
static inline json_int_t share(struct world *world, unsigned node, unsigned first, unsigned objects, const char *rest)
{
	char *bundle = make_bundle(first, objects, rest);
	struct pl_request *request = import(world, node, bundle, strlen(bundle), "green");
	json_int_t accepted = request->status == 201 ? number_in(request, "accepted") : -1;
	free_request(request);
	free(bundle);
	return accepted;
}

static inline uint64_t held(const struct world *world, unsigned node)
{
	struct pl_indicator_counts counts;
	pl_indicator_counts(world->cores[node].part, &counts);
	return counts.objects;
}

static inline struct pl_request *list(struct world *world, unsigned node, const char *const *query)
{
	struct pl_request *request = ask(world, node, "GET", "/v1/indicators", NULL, NULL, 0, query);
	cr_assert_eq(request->status, 200, "%s", error_code(request));
	return request;
}

static inline size_t listed(struct world *world, unsigned node, const char *const *query)
{
	struct pl_request *request = list(world, node, query);
	size_t count = json_array_size(json_object_get(request->json, "indicators"));
	free_request(request);
	return count;
}

#endif
