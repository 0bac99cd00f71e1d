/* The whole daemon but main(): engine, store, links and application of several nodes in one process, on one loop, over TCP on loopback. Only the
 * wall clock is the test's, and the disk of one node, which is full when the test says so. What the application is given is noted on its way. */
#include <errno.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <time.h>
#include <uv.h>

#include "node/app_parts.h"
#include "node/folder_fixture.h"
#include "node/log.h"
#include "proto/mp.h"
#include "tests/fixture.h"

enum { CHE, FIN, SGP, NODES }; /* in the charter's order; FIN and SGP dial CHE, and have no link to one another */
#define SEEN_MAX 400
#define PATIENCE_MS 30000

struct seen {
	uint16_t node;
	uint8_t lane;
	uint64_t seq;
	uint8_t body_hash[PL_ID_BYTES];
};

struct daemon {
	struct pl_conf conf;
	struct pl_core *core; /* NULL: it does not run */
	bool stopped, failed;
	struct seen seen[SEEN_MAX]; /* what its application was given, since it was started */
	size_t seen_count;
};

static struct daemon daemons[NODES];
static struct pl_fixture *net;
static uv_loop_t loop;
static char address[32]; /* where CHE listens */

/* --- the clock --- */

static uint64_t wall_ms = PL_FIXTURE_CREATED_MS;

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_REALTIME)
		return __real_clock_gettime(clock, t);
	*t = (struct timespec){ .tv_sec = (time_t)(wall_ms / 1000), .tv_nsec = (long)(wall_ms % 1000) * 1000000 };
	return 0;
}

/* --- the disk --- */

static atomic_bool is_full; /* the disk of CHE */
static ssize_t (*own_pwrite)(int fd, const void *bytes, size_t count, off_t offset);

static ssize_t pwrite_if_room(int fd, const void *bytes, size_t count, off_t offset)
{
	char link[64], path[512] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (atomic_load(&is_full) && readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "/CHE/store.db")) {
		errno = ENOSPC;
		return -1;
	}
	return own_pwrite(fd, bytes, count, offset);
}

static void take_the_disk(void)
{
	static const char *const names[] = { "pwrite", "pwrite64" };
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	for (size_t i = 0; i < 2; i++) {
		sqlite3_syscall_ptr own = vfs->xGetSystemCall(vfs, names[i]);
		if (!own)
			continue;
		own_pwrite = (ssize_t (*)(int, const void *, size_t, off_t))own;
		cr_assert_eq(vfs->xSetSystemCall(vfs, names[i], (sqlite3_syscall_ptr)pwrite_if_room), SQLITE_OK);
	}
	cr_assert_not_null(own_pwrite);
}

/* --- memory for what is read from the store --- */

static unsigned lacks, lacked; /* so many reads find none; have found none */

enum pl_err __wrap_pl_store_load(struct pl_store *store, uint32_t token, uint16_t node, uint8_t lane, uint64_t from, uint64_t to, uint32_t max_bytes);
enum pl_err __real_pl_store_load(struct pl_store *store, uint32_t token, uint16_t node, uint8_t lane, uint64_t from, uint64_t to, uint32_t max_bytes);

enum pl_err __wrap_pl_store_load(struct pl_store *store, uint32_t token, uint16_t node, uint8_t lane, uint64_t from, uint64_t to, uint32_t max_bytes)
{
	if (lacked < lacks) {
		lacked++;
		return PL_ERR_MEMORY;
	}
	return __real_pl_store_load(store, token, node, lane, from, to, max_bytes);
}

/* --- the application: what it is given is noted on its way --- */

void __wrap_pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry);
void __real_pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry);

void __wrap_pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry)
{
	struct daemon *daemon = &daemons[pl_core_self(app->core)];
	struct seen *seen = &daemon->seen[daemon->seen_count++];

	cr_assert_lt(daemon->seen_count, SEEN_MAX);
	*seen = (struct seen){ .node = entry->node, .lane = entry->lane, .seq = entry->seq };
	pl_body_hash(entry->body, entry->body_bytes, seen->body_hash);
	__real_pl_app_entry(app, entry);
}

/* Whether a node's application has been given entries 1 to last of a lane, in order, each once and with the body that its header names. */
static bool has_seen(uint16_t at, uint16_t node, uint8_t lane, uint64_t first, uint64_t last)
{
	uint64_t next = first;

	for (size_t i = 0; i < daemons[at].seen_count; i++) {
		const struct seen *seen = &daemons[at].seen[i];
		if (seen->node != node || seen->lane != lane)
			continue;
		cr_assert_eq(seen->seq, next, "%u is given %u/%u/%u instead of %u", at, node, lane, (unsigned)seen->seq, (unsigned)next);
		next++;
	}
	return next == last + 1;
}

/* --- lives --- */

static void write_file(const char *path, const void *bytes, size_t count)
{
	cr_assert_eq(pl_file_write_new(path, 0600, bytes, count, why, sizeof(why)), PL_OK, "%s", why);
}

/* What the ceremony makes, from the keys of the fixture; nothing in it takes long. */
static void make_folder(uint16_t node)
{
	static const uint8_t salt[16], nonce[24];
	const char *code = net->charter.members[node].code;
	uint8_t payload[256], file[256 + PL_KEYFILE_OVERHEAD], store_key[32];
	struct pl_mp_writer writer;
	char path[128];

	cr_assert_eq(mkdir(in_dir(code), 0700), 0);
	snprintf(path, sizeof(path), "%s/charter.plc", in_dir(code));
	write_file(path, net->document, net->document_bytes);
	pl_fixture_seed("store key", 1, node, store_key);
	pl_mp_writer_init(&writer, payload, sizeof(payload));
	pl_mp_put_array(&writer, 6);
	pl_mp_put_uint(&writer, 1);
	pl_mp_put_str(&writer, "node", 4);
	pl_mp_put_str(&writer, "", 0);
	pl_mp_put_bin(&writer, net->nodes[node].sign_secret, 32); /* its first half is the seed */
	pl_mp_put_bin(&writer, net->nodes[node].noise_secret, 32);
	pl_mp_put_bin(&writer, store_key, 32);
	cr_assert_eq(writer.err, PL_OK);
	cr_assert_eq(pl_keyfile_seal(PL_KEYFILE_COST_MIN, "a passphrase", 12, salt, nonce, payload, writer.count, file), PL_OK);
	snprintf(path, sizeof(path), "%s/node.key", in_dir(code));
	write_file(path, file, writer.count + PL_KEYFILE_OVERHEAD);
}

static void on_failed(void *ctx)
{
	((struct daemon *)ctx)->failed = true;
}

static void start(uint16_t node)
{
	struct daemon *daemon = &daemons[node];
	struct pl_conf *conf = &daemon->conf;

	cr_assert_eq(pl_conf_default(conf, in_dir(net->charter.members[node].code)), PL_OK);
	conf->dial_charter = false;
	if (node == CHE) {
		conf->listen_count = 1;
		snprintf(conf->listen[0], sizeof(conf->listen[0]), "%s", address);
	} else {
		conf->peers_count = 1;
		conf->peers[0] = (struct pl_peer_conf){ .node_name = "CHE" };
		snprintf(conf->peers[0].address, sizeof(conf->peers[0].address), "%s", address);
	}
	daemon->stopped = daemon->failed = false;
	daemon->seen_count = 0;
	cr_assert_eq(pl_core_new(&loop, conf, "a passphrase", on_failed, daemon, &daemon->core, why, sizeof(why)), PL_OK, "%s", why);
}

static void on_stopped(void *ctx)
{
	((struct daemon *)ctx)->stopped = true;
}

/* What has been begun ends, and is reported, before this returns. */
static void stop(uint16_t node)
{
	struct daemon *daemon = &daemons[node];

	pl_core_stop(daemon->core, on_stopped, daemon);
	while (!daemon->stopped)
		uv_run(&loop, UV_RUN_ONCE);
	for (int i = 0; i < 20; i++) /* handles that close let go of it */
		uv_run(&loop, UV_RUN_NOWAIT);
	cr_assert_eq(pl_core_exit_code(daemon->core), 0);
	pl_core_free(daemon->core);
	daemon->core = NULL;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

/* Runs the loop until so; a condition that a test waits for, and never a time. */
#define UNTIL(condition) \
	do { \
		const uint64_t from_ms = uv_now(&loop); \
		while (!(condition)) { \
			uv_run(&loop, UV_RUN_ONCE); \
			cr_assert_lt(uv_now(&loop) - from_ms, PATIENCE_MS, "waits in vain: %s", #condition); \
		} \
	} while (0)

static uv_timer_t ticks;

/* An address of the loopback network for this process alone, as in tests/integration/network.sh. A port that the kernel has just had free
 * would not do: until CHE listens, and when it starts again, somebody else's connection may have it. */
static void take_address(void)
{
	const unsigned pid = (unsigned)getpid();

	snprintf(address, sizeof(address), "127.%u.%u.%u:17200", 1 + (pid >> 16), (pid >> 8) & 255, pid & 255);
}

static void set_up_members(unsigned members)
{
	cr_assert_geq(sodium_init(), 0);
	pl_log_open(STDERR_FILENO, PL_LOG_ERROR, false);
	folder_make();
	take_the_disk();
	take_address();
	net = pl_fixture_new(1, members, 1);
	cr_assert_eq(uv_loop_init(&loop), 0);
	uv_timer_init(&loop, &ticks);
	uv_timer_start(&ticks, on_tick, 0, 10); /* so that waiting comes to an end */
	for (uint16_t node = 0; node < NODES; node++)
		make_folder(node);
}

static void set_up(void) { set_up_members(NODES); }
static void set_up_large(void) { set_up_members(40); }

static void tear_down(void)
{
	for (uint16_t node = 0; node < NODES; node++)
		if (daemons[node].core)
			stop(node);
	uv_close((uv_handle_t *)&ticks, NULL);
	cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	cr_assert_eq(uv_loop_close(&loop), 0);
	free(net);
	folder_remove();
}

TestSuite(core, .init = set_up, .fini = tear_down, .timeout = 120);

/* --- looking in, and submitting --- */

static bool is_live(uint16_t node, uint16_t peer)
{
	struct pl_peer_info info;

	pl_engine_peer(pl_core_engine(daemons[node].core), peer, &info);
	return info.state == PL_SESSION_LIVE;
}

static enum pl_peer_role role(uint16_t node, uint16_t peer)
{
	struct pl_peer_info info;

	pl_engine_peer(pl_core_engine(daemons[node].core), peer, &info);
	return info.role;
}

static uint64_t durable(uint16_t at, uint16_t node, uint8_t lane)
{
	struct pl_lane_info info;

	pl_engine_lane(pl_core_engine(daemons[at].core), node, lane, &info);
	return info.durable_seq;
}

static bool is_equal(uint16_t a, uint16_t b)
{
	uint8_t root_a[PL_ID_BYTES], root_b[PL_ID_BYTES];

	pl_engine_frontier_root(pl_core_engine(daemons[a].core), root_a);
	pl_engine_frontier_root(pl_core_engine(daemons[b].core), root_b);
	return memcmp(root_a, root_b, PL_ID_BYTES) == 0;
}

struct outcome {
	unsigned told, good;
	enum pl_err err;  /* of the last */
	uint64_t seq;     /* of the last that is durable */
	uint8_t lane;
};

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct outcome *outcome = ctx;

	outcome->told++;
	outcome->err = err;
	if (err != PL_OK)
		return;
	outcome->good++;
	outcome->seq = entry->seq;
	outcome->lane = entry->lane;
}

/* A message that nobody can open: what becomes of entries is the core's affair, what they say is not. */
static enum pl_err submit(uint16_t node, uint8_t lane, uint8_t flags, const char *text, struct outcome *outcome)
{
	return pl_core_submit(daemons[node].core, lane, PL_KIND_MESSAGE, flags, (const uint8_t *)text, (uint32_t)strlen(text), submitted, outcome);
}

/* All run, are linked, and know one another's keys, which they publish by themselves. */
static void start_all(void)
{
	for (uint16_t node = 0; node < NODES; node++)
		start(node);
	UNTIL(is_live(FIN, CHE) && is_live(SGP, CHE));
	cr_assert(role(FIN, CHE) == PL_PEER_CONFIGURED && role(CHE, FIN) == PL_PEER_INBOUND && role(FIN, SGP) == PL_PEER_NONE);
	UNTIL(durable(SGP, FIN, 0) >= 1 && durable(FIN, SGP, 0) >= 1 && durable(FIN, CHE, 0) >= 1 && is_equal(FIN, CHE) && is_equal(SGP, CHE));
}

/* --- stories --- */

Test(core, what_is_submitted_is_durable_then_reported_and_reaches_every_application_once_and_in_order)
{
	struct outcome outcome[2] = { { .told = 0 } };

	start_all();
	const uint64_t before = durable(FIN, FIN, 0);
	for (unsigned i = 0; i < 100; i++) {
		cr_assert_eq(submit(FIN, i % 2 ? 1 : 0, i % 4 ? 0 : i < 20 ? PL_FLAG_FLASH : 0, "sealed to somebody", &outcome[i % 2]), PL_OK);
		cr_assert_eq(outcome[0].told + outcome[1].told, 0, "it is not reported from within the call");
	}
	UNTIL(outcome[0].told == 50 && outcome[1].told == 50);
	cr_assert_eq(outcome[0].good + outcome[1].good, 100);
	cr_assert_eq(outcome[0].seq, before + 50);
	cr_assert_eq(outcome[1].seq, 50);
	UNTIL(is_equal(FIN, SGP) && is_equal(FIN, CHE));
	for (uint16_t at = 0; at < NODES; at++)
		UNTIL(has_seen(at, FIN, 0, 1, before + 50) && has_seen(at, FIN, 1, 1, 50));
	UNTIL(pl_engine_acked(pl_core_engine(daemons[FIN].core), CHE, FIN, 1) == 50);
}

/* Urgent entries overtake others on their way to the disk, and a place is a lane and a number. */
Test(core, what_is_reported_durable_is_what_was_submitted_whatever_overtakes_it)
{
	struct outcome slow = { .told = 0 }, flash = { .told = 0 };

	start_all();
	while (slow.seq < durable(FIN, FIN, 0)) { /* the next of both lanes gets the same number */
		const unsigned before = slow.told;
		cr_assert_eq(submit(FIN, 1, 0, "up to there", &slow), PL_OK);
		UNTIL(slow.told > before);
	}
	for (unsigned round = 0; round < 20; round++) {
		const uint64_t next = slow.seq + 1;
		const unsigned before = slow.told;
		cr_assert_eq(submit(FIN, 1, 0, "slow", &slow), PL_OK);
		cr_assert_eq(submit(FIN, 0, round < 5 ? PL_FLAG_FLASH : 0, "first", &flash), PL_OK);
		UNTIL(slow.told > before && flash.told > round);
		cr_assert_eq(slow.lane, 1);
		cr_assert_eq(flash.lane, 0);
		cr_assert_eq(slow.seq, next);
		cr_assert_eq(flash.seq, next);
	}
}

/* Nobody is left without an answer, and no answer is wrong. */
Test(core, a_stop_answers_everything_that_was_submitted_and_keeps_what_it_says_it_has)
{
	struct outcome outcome = { .told = 0 };

	start_all();
	for (unsigned i = 0; i < 60; i++)
		cr_assert_eq(submit(FIN, 1, 0, "under way", &outcome), PL_OK);
	stop(FIN);
	cr_assert_eq(outcome.told, 60);
	cr_assert_eq(outcome.good, 60);
	start(FIN);
	cr_assert_eq(durable(FIN, FIN, 1), 60);
	UNTIL(durable(SGP, FIN, 1) == 60);
	UNTIL(has_seen(SGP, FIN, 1, 1, 60));
}

Test(core, a_full_disk_fails_what_waits_for_it_and_nothing_is_lost_or_signed_twice)
{
	struct outcome outcome = { .told = 0 }, later = { .told = 0 };

	start_all();
	cr_assert_eq(submit(CHE, 1, 0, "while there is room", &outcome), PL_OK);
	UNTIL(outcome.told == 1 && is_equal(CHE, SGP));
	atomic_store(&is_full, true);
	cr_assert_eq(submit(CHE, 1, 0, "no room for this", &outcome), PL_OK);
	UNTIL(outcome.told == 2);
	cr_assert_eq(outcome.err, PL_ERR_DISK_FULL);
	cr_assert_eq(durable(CHE, CHE, 1), 1);
	cr_assert_eq(submit(CHE, 1, 0, "nor for this", &outcome), PL_ERR_DISK_FULL);
	/* it keeps its links, and what FIN says meanwhile waits with FIN */
	cr_assert_eq(submit(FIN, 1, 0, "held", &later), PL_OK);
	UNTIL(later.told == 1);
	cr_assert_eq(later.err, PL_OK);
	cr_assert(is_live(FIN, CHE) && is_live(SGP, CHE));
	cr_assert_eq(durable(CHE, FIN, 1), 0);
	atomic_store(&is_full, false);
	UNTIL(durable(SGP, FIN, 1) == 1);
	UNTIL(submit(CHE, 1, 0, "room again", &outcome) == PL_OK);
	UNTIL(outcome.told == 3);
	cr_assert_eq(outcome.err, PL_OK);
	cr_assert_eq(outcome.seq, 2, "what was refused has left no gap");
	UNTIL(is_equal(CHE, SGP) && is_equal(CHE, FIN));
	UNTIL(has_seen(SGP, CHE, 1, 1, 2));
	cr_assert(!daemons[CHE].failed);
}

/* The application has not come as far as the store, as after a crash; and the disk has changed one of the entries meanwhile. */
Test(core, the_application_is_given_what_it_has_not_done_yet_and_waits_for_a_damaged_entry_until_it_is_back)
{
	struct outcome outcome = { .told = 0 };
	char path[256];
	sqlite3 *db;

	start_all();
	for (unsigned i = 0; i < 5; i++)
		cr_assert_eq(submit(FIN, 1, 0, i == 2 ? "the one in the middle" : "another", &outcome), PL_OK);
	UNTIL(durable(SGP, FIN, 1) == 5);
	stop(SGP);
	stop(CHE);
	snprintf(path, sizeof(path), "%s/store.db", in_dir("SGP"));
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	char *change = sqlite3_mprintf("DELETE FROM applied WHERE node = %d AND lane = 1;"
	                               "INSERT INTO applied VALUES (%d, 1, 1);"
	                               "UPDATE entry SET body = zeroblob(length(body)) WHERE node = %d AND lane = 1 AND seq = 3;", FIN, FIN, FIN);
	cr_assert_eq(sqlite3_exec(db, change, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(change);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
	start(SGP);
	UNTIL(has_seen(SGP, FIN, 1, 2, 2));
	for (int i = 0; i < 200; i++) /* nobody is there who could bring the next one */
		uv_run(&loop, UV_RUN_NOWAIT);
	cr_assert(has_seen(SGP, FIN, 1, 2, 2));
	start(CHE);
	UNTIL(has_seen(SGP, FIN, 1, 2, 5));
	uint8_t expected[PL_ID_BYTES];
	pl_body_hash((const uint8_t *)"the one in the middle", 21, expected);
	for (size_t i = 0; i < daemons[SGP].seen_count; i++)
		if (daemons[SGP].seen[i].node == FIN && daemons[SGP].seen[i].lane == 1 && daemons[SGP].seen[i].seq == 3)
			cr_assert_arr_eq(daemons[SGP].seen[i].body_hash, expected, PL_ID_BYTES);
}

/* Of a peer that asks, and of the application that is behind. */
Test(core, a_lack_of_memory_to_read_with_delays_and_loses_nothing)
{
	struct outcome outcome = { .told = 0 };

	start_all();
	stop(SGP);
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(submit(FIN, 1, 0, "for later", &outcome), PL_OK);
	UNTIL(durable(CHE, FIN, 1) == 20);
	lacks = 5;
	start(SGP);
	UNTIL(durable(SGP, FIN, 1) == 20 && lacked == lacks);
	UNTIL(has_seen(SGP, FIN, 1, 1, 20));
	for (uint16_t node = 0; node < NODES; node++)
		cr_assert(!daemons[node].failed);
}

/* On a loop of its own, which a start that fails runs out. */
static enum pl_err start_in_vain(const struct pl_conf *conf, const char *passphrase)
{
	struct pl_core *core = NULL;
	uv_loop_t other;

	cr_assert_eq(uv_loop_init(&other), 0);
	enum pl_err err = pl_core_new(&other, conf, passphrase, on_failed, NULL, &core, why, sizeof(why));
	cr_assert_neq(err, PL_OK);
	cr_assert_null(core);
	cr_assert_eq(uv_loop_close(&other), 0, "something runs");
	return err;
}

Test(core, a_start_that_fails_says_why_and_leaves_nothing_running)
{
	const struct pl_conf *conf = &daemons[CHE].conf;
	char path[128];

	start(CHE);
	start_in_vain(conf, "a passphrase");
	cr_assert(strstr(why, "store.db"), "%s", why);
	stop(CHE);
	cr_assert_eq(start_in_vain(conf, "another passphrase"), PL_ERR_DECRYPT);
	snprintf(path, sizeof(path), "%s/charter.plc", in_dir("CHE"));
	cr_assert_eq(unlink(path), 0);
	start_in_vain(conf, "a passphrase");
	cr_assert(strstr(why, "charter.plc"), "%s", why);
}

/* --- a network of 40 nodes, of which one runs here --- */

TestSuite(core_large, .init = set_up_large, .fini = tear_down, .timeout = 120);

static unsigned count_of(enum pl_peer_role wanted)
{
	unsigned count = 0;

	for (uint16_t peer = 1; peer < 40; peer++)
		count += role(0, peer) == wanted;
	return count;
}

static void start_in_large(void)
{
	struct daemon *daemon = &daemons[0];
	struct pl_conf *conf = &daemon->conf;

	cr_assert_eq(pl_conf_default(conf, in_dir(net->charter.members[0].code)), PL_OK);
	conf->peers_count = 1;
	conf->peers[0] = (struct pl_peer_conf){ .node_name = "NZL", .address = "127.0.0.1:1" };
	daemon->stopped = daemon->failed = false;
	cr_assert_eq(pl_core_new(&loop, conf, "a passphrase", on_failed, daemon, &daemon->core, why, sizeof(why)), PL_OK, "%s", why);
}

Test(core_large, who_is_named_and_who_was_an_anchor_is_dialled_first_and_eight_in_all_are_chosen)
{
	const uint16_t named = pl_charter_find_name(&net->charter, "NZL"), anchors[] = { 20, 33 };
	uint8_t node_ids[2][PL_NODE_ID_BYTES];
	struct pl_store *store;

	for (int i = 0; i < 2; i++)
		memcpy(node_ids[i], net->charter.nodes[anchors[i]].certificate.node_id, PL_NODE_ID_BYTES);
	start_in_large();
	cr_assert_eq(role(0, named), PL_PEER_CONFIGURED);
	cr_assert_eq(count_of(PL_PEER_ANCHOR), 0);
	UNTIL(count_of(PL_PEER_CHOSEN) == 8);
	stop(0);
	cr_assert_eq(pl_store_open(daemons[0].conf.store_file, net->charter.network_id, net->charter.nodes[0].certificate.node_id, &store, why,
	                           sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_store_start(store, &loop, &(struct pl_store_callbacks){ .ctx = NULL }), PL_OK);
	cr_assert_eq(pl_store_keep_anchors(store, (const uint8_t (*)[PL_NODE_ID_BYTES])node_ids, 2), PL_OK);
	pl_store_close(store);
	start_in_large();
	cr_assert(role(0, 20) == PL_PEER_ANCHOR && role(0, 33) == PL_PEER_ANCHOR);
	UNTIL(count_of(PL_PEER_CHOSEN) + count_of(PL_PEER_ANCHOR) == 8);
}
