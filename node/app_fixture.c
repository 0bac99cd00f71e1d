#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/app_fixture_impl.h"

#define QUIET_MS 40
#define START_MS (PL_FIXTURE_CREATED_MS + 3600000)

/* --- life --- */

struct fix *fix_new(unsigned members, unsigned nodes_per_member)
{
	struct fix *fix = calloc(1, sizeof(*fix));
	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(uv_loop_init(&fix->loop), 0);
	fix->loop_thread = uv_thread_self();
	fix->begun_ms = uv_now(&fix->loop);
	fix->net = pl_fixture_new(1, members, nodes_per_member);
	cr_assert_leq(fix->net->charter.nodes_count, FIX_NODES_MAX);
	/* What a disk keeps is the store's business and tested there; in memory these tests take a tenth of the time. */
	snprintf(fix->dir, sizeof(fix->dir), "%s/parley-app-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	cr_assert_not_null(mkdtemp(fix->dir));
	for (uint16_t node = 0; node < fix->net->charter.nodes_count; node++) {
		struct pl_core *core = fix->cores[node] = calloc(1, sizeof(*core));
		core->room_bytes = UINT64_MAX;
		core->lanes_with_room = PL_LANES;
		core->fix = fix;
		core->self = node;
		core->deliver = true;
		snprintf(core->dir, sizeof(core->dir), "%s/%u", fix->dir, node);
		snprintf(core->store_path, sizeof(core->store_path), "%s/store.db", core->dir);
		snprintf(core->socket_path, sizeof(core->socket_path), "%s/sock", core->dir);
		cr_assert_eq(pl_conf_default(&core->conf, core->dir), PL_OK);
		memcpy(core->keys.node_id, fix->net->charter.nodes[node].certificate.node_id, PL_NODE_ID_BYTES);
		memcpy(core->keys.sign_secret, fix->net->nodes[node].sign_secret, PL_SIGN_SECRET_BYTES);
		pl_fixture_seed("store key", 0, node, core->keys.store_key);
	}
	return fix;
}

static void restore_head(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, uint64_t gseq, const uint8_t id[PL_ID_BYTES])
{
	struct pl_core *core = ctx;
	struct pl_event event = { .type = PL_EV_RESTORE };
	event.restore.node = node;
	event.restore.lane = lane;
	event.restore.seq = seq;
	event.restore.gseq = gseq;
	memcpy(event.restore.id, id, PL_ID_BYTES);
	fix_step(core, &event);
	core->heads[node][lane] = seq;
}

/* What the application has not been through, as the real core offers it after a restart: without the time at which it came. */
static void offer_rest(struct pl_core *core)
{
	sqlite3_stmt *statement = pl_store_prepare(pl_store_db(core->store), "SELECT entry.node, entry.lane, entry.seq, gseq, id, header, body,"
	                                           " coalesce(applied.seq, 0) FROM entry LEFT JOIN applied USING (node, lane)"
	                                           " ORDER BY arrival");
	cr_assert_not_null(statement);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		struct pl_store_entry entry = { .node = (uint16_t)sqlite3_column_int(statement, 0),
		                                .lane = (uint8_t)sqlite3_column_int(statement, 1),
		                                .seq = (uint64_t)sqlite3_column_int64(statement, 2),
		                                .gseq = (uint64_t)sqlite3_column_int64(statement, 3),
		                                .body = sqlite3_column_blob(statement, 6),
		                                .body_bytes = (uint32_t)sqlite3_column_bytes(statement, 6) };
		memcpy(entry.id, sqlite3_column_blob(statement, 4), sizeof(entry.id));
		memcpy(entry.header, sqlite3_column_blob(statement, 5), sizeof(entry.header));
		core->lanes[entry.node][entry.lane].applied = (uint64_t)sqlite3_column_int64(statement, 7);
		fix_offer(core, &entry);
	}
	sqlite3_reset(statement);
}

/* Up to the application. */
static enum pl_err open_core(struct fix *fix, uint16_t node, char *why, size_t why_max)
{
	struct pl_core *core = fix->cores[node];
	struct pl_engine_config config;
	cr_assert(mkdir(core->dir, 0700) == 0 || errno == EEXIST);
	pl_engine_config_default(&config);
	config.charter = &fix->net->charter;
	config.self = node;
	config.links_max = 1;
	config.sign_secret = core->keys.sign_secret;
	config.noise_secret = fix->net->nodes[node].noise_secret;
	core->engine_memory = calloc(1, pl_engine_bytes(&config));
	cr_assert_eq(pl_engine_init(&config, core->engine_memory, pl_engine_bytes(&config), &core->engine), PL_OK);
	cr_assert_eq(pl_store_open(core->store_path, fix->net->charter.network_id, core->keys.node_id, &core->store, why, why_max), PL_OK, "%s",
	             why);
	cr_assert_eq(pl_store_each_head(core->store, restore_head, core), PL_OK);
	struct pl_event start = { .type = PL_EV_START };
	fix_step(core, &start);
	cr_assert_eq(pl_http_listen(&fix->loop, core->socket_path, &core->http, why, why_max), PL_OK, "%s", why);
	return pl_app_new(core, &core->app, why, why_max);
}

bool fix_start_fails(struct fix *fix, uint16_t node, const char *expected)
{
	struct pl_core *core = fix->cores[node];
	char why[256] = "";
	core->keys.store_key[0] ^= 1;
	bool fails = open_core(fix, node, why, sizeof(why)) != PL_OK && strstr(why, expected);
	pl_http_shutdown(core->http);
	pl_store_close(core->store);
	core->store = NULL;
	fix_settle(fix);
	pl_http_free(core->http);
	pl_engine_wipe(core->engine);
	free(core->engine_memory);
	memset(core->heads, 0, sizeof(core->heads));
	if (!fails)
		fprintf(stderr, "%s\n", why);
	return fails;
}

void fix_start(struct fix *fix, uint16_t node)
{
	struct pl_core *core = fix->cores[node];
	char why[256] = "";
	cr_assert_eq(open_core(fix, node, why, sizeof(why)), PL_OK, "%s", why);
	offer_rest(core);
	struct pl_store_callbacks callbacks = fix_store_callbacks;
	callbacks.ctx = core;
	cr_assert_eq(pl_store_start(core->store, &fix->loop, &callbacks), PL_OK);
	core->running = true;
	for (uint16_t n = 0; n < fix->net->charter.nodes_count; n++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			fix_pump(core, n, lane);
	pl_app_start(core->app);
	for (uint16_t author = 0; author < fix->net->charter.nodes_count; author++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			fix_catch_up(fix, author, lane, node);
}

void fix_start_all(struct fix *fix, unsigned nodes)
{
	for (uint16_t node = 0; node < nodes; node++)
		fix_start(fix, node);
	fix_settle(fix);
	for (uint16_t node = 0; node < nodes; node++)
		for (uint16_t other = 0; other < nodes; other++)
			cr_assert(pl_epoch_current(fix->cores[node]->app->epoch, other, NULL), "node %u has no key of node %u", node, other);
}

void fix_stop(struct fix *fix, uint16_t node)
{
	struct pl_core *core = fix->cores[node];
	pl_app_stop(core->app);
	core->running = false;
	pl_http_shutdown(core->http);
	pl_store_close(core->store);
	core->store = NULL;
	while (core->submissions) {
		struct submission *submission = core->submissions;
		core->submissions = submission->next;
		submission->done(submission->ctx, PL_ERR_STATE, NULL);
		free(submission);
	}
	fix_settle(fix);
	pl_app_free(core->app);
	pl_http_free(core->http);
	pl_engine_wipe(core->engine);
	free(core->engine_memory);
	for (uint16_t n = 0; n < PL_NODES_MAX; n++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			free(core->lanes[n][lane].in_hand);
			core->lanes[n][lane].in_hand = NULL;
			while (core->lanes[n][lane].first) {
				struct parcel *parcel = core->lanes[n][lane].first;
				core->lanes[n][lane].first = parcel->next;
				free(parcel);
			}
		}
	}
	memset(core->lanes, 0, sizeof(core->lanes));
	memset(core->heads, 0, sizeof(core->heads));
	core->app = NULL;
}

static void remove_dir(const char *dir)
{
	char path[400];
	struct dirent *item;
	DIR *stream = opendir(dir);
	while (stream && (item = readdir(stream))) {
		snprintf(path, sizeof(path), "%s/%s", dir, item->d_name);
		unlink(path);
	}
	if (stream)
		closedir(stream);
	rmdir(dir);
}

void fix_free(struct fix *fix)
{
	for (uint16_t node = 0; node < fix->net->charter.nodes_count; node++)
		if (fix->cores[node]->running)
			fix_stop(fix, node);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&fix->loop), 0, "handles are left");
	for (uint16_t node = 0; node < fix->net->charter.nodes_count; node++) {
		remove_dir(fix->cores[node]->dir);
		for (uint16_t n = 0; n < PL_NODES_MAX; n++)
			free(fix->cores[node]->courier[n]);
		free(fix->cores[node]);
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			for (size_t i = 0; i < fix->logs[node][lane].count; i++)
				free(fix->logs[node][lane].parcels[i]);
			free(fix->logs[node][lane].parcels);
		}
	}
	remove_dir(fix->dir);
	free(fix->net);
	free(fix);
}

/* --- what tests fix_turn --- */

uv_loop_t *fix_loop(struct fix *fix)
{
	return &fix->loop;
}

const char *fix_socket(struct fix *fix, uint16_t node)
{
	return fix->cores[node]->socket_path;
}

struct pl_core *fix_core(struct fix *fix, uint16_t node)
{
	return fix->cores[node];
}

struct pl_app *fix_app(struct fix *fix, uint16_t node)
{
	return fix->cores[node]->app;
}

const struct pl_charter *fix_charter(struct fix *fix)
{
	return &fix->net->charter;
}

void fix_advance(struct fix *fix, uint64_t ms)
{
	fix->ahead_ms += ms;
}

uint64_t fix_wall(const struct fix *fix)
{
	assert(pl_thread_is(fix->loop_thread));
	return START_MS + uv_now(&fix->loop) - fix->begun_ms + fix->ahead_ms + fix->wall_off_ms;
}

void fix_wall_jump(struct fix *fix, int64_t ms)
{
	fix->wall_off_ms += (uint64_t)ms;
}

void fix_pass(struct fix *fix, uint16_t author, uint8_t lane, uint16_t to, bool pass)
{
	fix->blocked[author][lane][to] = !pass;
	fix_catch_up(fix, author, lane, to);
}

void fix_deliver(struct fix *fix, uint16_t node, bool deliver)
{
	fix->cores[node]->deliver = deliver;
	for (uint16_t n = 0; n < fix->net->charter.nodes_count; n++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			fix_pump(fix->cores[node], n, lane);
}

void fix_refuse(struct fix *fix, uint16_t node, enum pl_err err)
{
	fix->cores[node]->refuse = err;
}

void fix_room(struct fix *fix, uint16_t node, uint64_t bytes)
{
	fix->cores[node]->room_bytes = bytes;
}

void fix_share(struct fix *fix, uint16_t node, uint64_t lane_bytes_max)
{
	struct pl_core *core = fix_core(fix, node);
	struct pl_event event = { .type = PL_EV_ROOM, .now_ms = pl_core_now_ms(core), .wall_ms = pl_core_wall_ms(core),
	                          .room = { PL_LANES, lane_bytes_max } };
	struct pl_effect effect;
	cr_assert_eq(pl_engine_step(core->engine, &event), PL_OK);
	while (pl_engine_next_effect(core->engine, &effect))
		;
}

void fix_lanes(struct fix *fix, uint16_t node, uint8_t lanes)
{
	fix->cores[node]->lanes_with_room = lanes;
}

void fix_courier_one(struct fix *fix, uint16_t at, uint16_t with, const uint8_t key[32])
{
	uint8_t **place = &fix->cores[at]->courier[with];
	free(*place);
	*place = NULL;
	if (key) {
		*place = malloc(32);
		memcpy(*place, key, 32);
	}
}

void fix_courier(struct fix *fix, uint16_t a, uint16_t b, const uint8_t key[32])
{
	fix_courier_one(fix, a, b, key);
	fix_courier_one(fix, b, a, key);
}

static void nothing(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	(void)ctx;
	(void)err;
	(void)entry;
}

void fix_forge(struct fix *fix, uint16_t author, uint8_t lane, uint8_t kind, uint8_t flags, const void *body, size_t body_bytes)
{
	cr_assert_eq(pl_core_submit(fix->cores[author], lane, kind, flags, body, (uint32_t)body_bytes, nothing, NULL), PL_OK);
}

struct forge {
	struct pl_seal seal;
	bool done;
};

static void forge_sealed(struct pl_seal *seal)
{
	((struct forge *)seal->ctx)->done = true;
}

static bool forge_is_done(void *ctx)
{
	return ((struct forge *)ctx)->done;
}

uint64_t fix_forge_sealed(struct fix *fix, uint16_t author, uint8_t lane, uint8_t kind, uint8_t flags, const uint16_t *nodes,
                          uint16_t nodes_count,
                          const void *plain, size_t plain_bytes)
{
	struct forge forge = { .seal = { .kind = kind, .nodes_count = nodes_count, .plain = plain, .plain_bytes = plain_bytes,
	                                 .done = forge_sealed } };
	struct pl_lane_info info;
	forge.seal.ctx = &forge;
	memcpy(forge.seal.nodes, nodes, nodes_count * sizeof(nodes[0]));
	pl_epoch_seal(fix->cores[author]->app->epoch, &forge.seal);
	fix_until(fix, forge_is_done, &forge);
	cr_assert_eq(forge.seal.err, PL_OK);
	fix_forge(fix, author, lane, kind, flags, forge.seal.envelope, forge.seal.envelope_bytes);
	free(forge.seal.envelope);
	memcpy(fix->cek, forge.seal.cek, sizeof(fix->cek));
	pl_engine_lane(fix->cores[author]->engine, author, lane, &info);
	return info.have_seq;
}

const uint8_t *fix_last_cek(const struct fix *fix)
{
	return fix->cek;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

/* A job behind all that the stores have to do now. */
struct barrier {
	struct pl_job job;
	struct fix *fix;
};

static enum pl_err barrier_work(struct pl_job *job, sqlite3 *db)
{
	(void)job;
	(void)db;
	return PL_OK;
}

static void barrier_done(struct pl_job *job)
{
	struct barrier *barrier = job->ctx;
	barrier->fix->barriers--;
	free(barrier);
}

static void raise_barriers(struct fix *fix)
{
	for (uint16_t node = 0; node < fix->net->charter.nodes_count; node++) {
		if (!fix->cores[node]->running)
			continue;
		struct barrier *barrier = calloc(1, sizeof(*barrier));
		barrier->fix = fix;
		barrier->job = (struct pl_job){ .work = barrier_work, .done = barrier_done, .ctx = barrier, .writes = true };
		fix->barriers++;
		pl_store_run(fix->cores[node]->store, &barrier->job);
	}
}

void fix_turn(struct fix *fix, bool (*until)(void *ctx), void *ctx)
{
	uv_timer_t timer;
	uv_timer_init(&fix->loop, &timer);
	uv_timer_start(&timer, on_tick, 5, 5);
	uv_update_time(&fix->loop);
	uint64_t begun_ms = uv_now(&fix->loop), quiet_ms = begun_ms, busy = fix->busy;
	bool is_done = false;
	while (!is_done) {
		uv_run(&fix->loop, UV_RUN_ONCE);
		uint64_t now_ms = uv_now(&fix->loop);
		if (fix->busy != busy || fix->loop.active_reqs.count > 0 || fix->barriers > 0)
			quiet_ms = now_ms;
		busy = fix->busy;
		is_done = until ? until(ctx) : now_ms - quiet_ms > QUIET_MS;
		cr_assert_lt(now_ms - begun_ms, FIX_GIVE_UP_MS, "nothing comes to an end");
	}
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&fix->loop, UV_RUN_NOWAIT);
}

void fix_settle(struct fix *fix)
{
	/* Quiet, and quiet still once the stores have been through their queues. */
	uint64_t busy;
	do {
		fix_turn(fix, NULL, NULL);
		busy = fix->busy;
		raise_barriers(fix);
		fix_turn(fix, NULL, NULL);
	} while (fix->busy != busy);
}

void fix_until(struct fix *fix, bool (*until)(void *ctx), void *ctx)
{
	fix_turn(fix, until, ctx);
}
