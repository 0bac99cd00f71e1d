/* A disk that changes what was written: the store notices, or is not touched; it never hands out what was not put in, and never crashes. */
#include "node/store/store_fixture.h"

static struct fixture f;

static void set_up(void)
{
	fixture_init(&f, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static void tear_down(void)
{
	fixture_dispose(&f);
}

TestSuite(store_rot, .init = set_up, .fini = tear_down, .timeout = 300);

static void exec_on_file(const char *sql)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(f.path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

Test(store_rot, damage_is_noticed_and_not_handed_out)
{
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 5; seq++)
		cr_assert_eq(fixture_append(&f, 1, 0, seq, 100, false), PL_OK);
	fixture_close(&f);
	exec_on_file("UPDATE entry SET body = zeroblob(100) WHERE seq = 3");
	fixture_start(&f);
	cr_assert_eq(pl_store_load(f.store, 1, 1, 0, 1, 5, 1 << 20), PL_OK);
	cr_assert_eq(pl_store_load(f.store, 1, 1, 0, 4, 5, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, 2);
	cr_assert_eq(f.damaged, 1);
	cr_assert_eq(f.loaded_entries, 4);
	cr_assert_eq(f.failed, 0);
}

/* --- what comes back from elsewhere --- */

#define CHAIN 5
#define CHAIN_BODY_BYTES 6000 /* more than a page */

static struct {
	struct pl_store_entry entries[CHAIN + 1]; /* by seq */
	uint8_t bodies[CHAIN + 1][CHAIN_BODY_BYTES];
	size_t loaded, wrong;
} chain;

/* Entries that name the ones before them, and are in the store. */
static void store_chain(void)
{
	for (uint64_t seq = 1; seq <= CHAIN; seq++) {
		struct pl_store_entry *entry = &chain.entries[seq];

		sample_entry(entry, chain.bodies[seq], CHAIN_BODY_BYTES, 1, 1, seq);
		if (seq > 1)
			memcpy(entry->header + 72, chain.entries[seq - 1].id, PL_ID_BYTES);
		pl_entry_id(sample_network, entry->header, entry->id);
		cr_assert_eq(pl_store_append(f.store, entry), PL_OK);
	}
	fixture_await(&f, &f.stored, CHAIN);
}

static void count_chain(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	(void)err;
	chain.loaded = count;
	for (size_t i = 0; i < count; i++) {
		const struct pl_store_entry *expected = &chain.entries[token + i];
		chain.wrong += memcmp(entries[i].header, expected->header, PL_ENTRY_HEADER_BYTES) != 0 || entries[i].body_bytes != CHAIN_BODY_BYTES ||
		               memcmp(entries[i].body, expected->body, CHAIN_BODY_BYTES) != 0;
	}
	((struct fixture *)ctx)->loaded++;
}

static void load_chain(uint64_t from)
{
	const size_t loads = f.loaded;

	cr_assert_eq(pl_store_load(f.store, (uint32_t)from, 1, 1, from, CHAIN, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, loads + 1);
}

Test(store_rot, an_entry_that_comes_back_takes_the_place_of_the_damaged_one)
{
	static const struct {
		const char *what;
		uint64_t seq;
	} damages[] = {
		{"body = zeroblob(6000) WHERE seq = 3", 3},
		{"body = CAST(substr(body, 1, 5999) AS BLOB) WHERE seq = 3", 3},
		{"body = x'' WHERE seq = 5", 5},
		{"header = CAST(zeroblob(180) || substr(header, 181) AS BLOB) WHERE seq = 2", 2},
		{"header = x'00' WHERE seq = 1", 1},
		{"id = zeroblob(32) WHERE seq = 4", 4},
		{"id = x'', header = x'', gseq = 77, kind = 9, flags = 1, body_bytes = 0 WHERE seq = 4", 4},
	};

	f.callbacks.loaded = count_chain;
	fixture_start(&f);
	store_chain();
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const uint64_t seq = damages[i].seq;
		char sql[200];
		struct pl_store_stats stats;

		fixture_close(&f);
		snprintf(sql, sizeof(sql), "UPDATE entry SET %s", damages[i].what);
		exec_on_file(sql);
		fixture_start(&f);
		load_chain(1);
		cr_assert_eq(chain.loaded, seq - 1, "%s", sql);
		cr_assert_eq(f.damaged, i + 1);
		cr_assert_eq(f.damaged_seq, seq);
		cr_assert_arr_eq(f.damaged_id, chain.entries[seq].id, PL_ID_BYTES, "%s", sql);
		/* twice, as when damage was found twice before it was put right: said twice, counted once */
		cr_assert_eq(pl_store_repair(f.store, &chain.entries[seq]), PL_OK);
		cr_assert_eq(pl_store_repair(f.store, &chain.entries[seq]), PL_OK);
		fixture_await(&f, &f.repaired, 2 * i + 2);
		load_chain(1);
		cr_assert_eq(chain.loaded, CHAIN);
		pl_store_stats(f.store, &stats);
		cr_assert_eq(stats.damaged, 1);
		cr_assert_eq(stats.repaired, 1);
		cr_assert_eq(stats.entries, CHAIN);
	}
	fixture_close(&f);
	exec_on_file("CREATE TABLE claim (fits INTEGER CHECK (fits = 5)) STRICT;"
	             "INSERT INTO claim SELECT count(*) FROM entry WHERE node = 1 AND lane = 1 AND gseq = seq * 3 + 1 AND kind = 3 AND flags = 0"
	             " AND body_bytes = 6000 AND received_ms = 1700000000005 + seq; DROP TABLE claim");
	fixture_start(&f);
	load_chain(1);
	cr_assert_eq(chain.loaded, CHAIN);
	cr_assert_eq(chain.wrong, 0);
	cr_assert_eq(f.failed, 0);
}

Test(store_rot, of_two_damaged_entries_in_a_row_each_is_known)
{
	f.callbacks.loaded = count_chain;
	fixture_start(&f);
	store_chain();
	fixture_close(&f);
	exec_on_file("UPDATE entry SET body = x'00' WHERE seq = 2; UPDATE entry SET header = x'00' WHERE seq = 3");
	fixture_start(&f);
	for (uint64_t seq = 2; seq <= 3; seq++) {
		load_chain(seq);
		cr_assert_eq(f.damaged_seq, seq);
		cr_assert_arr_eq(f.damaged_id, chain.entries[seq].id, PL_ID_BYTES);
	}
}

Test(store_rot, what_would_be_taken_for_damage_is_not_written)
{
	struct pl_store_entry other;
	uint8_t body[CHAIN_BODY_BYTES];

	f.callbacks.loaded = count_chain;
	fixture_start(&f);
	store_chain();
	other = chain.entries[3];
	memcpy(body, other.body, sizeof(body));
	body[5000] ^= 1;
	other.body = body;
	cr_assert_eq(pl_store_repair(f.store, &other), PL_ERR_REFUSED);
	other = chain.entries[3];
	other.header[100] ^= 1;
	cr_assert_eq(pl_store_repair(f.store, &other), PL_ERR_REFUSED);
	other = chain.entries[3];
	other.seq = CHAIN + 1;
	cr_assert_eq(pl_store_repair(f.store, &other), PL_ERR_REFUSED);
	other.seq = 0;
	cr_assert_eq(pl_store_repair(f.store, &other), PL_ERR_REFUSED);
	load_chain(1);
	cr_assert_eq(chain.loaded, CHAIN);
	cr_assert_eq(f.repaired, 0);
}

Test(store_rot, a_cut_file_ends_with_a_sentence)
{
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 2000; seq++)
		cr_assert_eq(fixture_append(&f, 1, 2, seq, 500, false), PL_OK);
	fixture_close(&f);
	cr_assert_eq(truncate(f.path, 400 * 1024), 0);
	if (fixture_open(&f) == PL_OK) {
		cr_assert_eq(pl_store_start(f.store, &f.loop, &f.callbacks), PL_OK);
		cr_assert_eq(pl_store_load(f.store, 1, 1, 2, 1, 2000, UINT32_MAX), PL_OK);
		fixture_await(&f, &f.failed, 1);
		cr_assert_eq(f.failure, PL_ERR_CORRUPT);
		cr_assert_not_null(strstr(f.failure_why, "damaged"), "%s", f.failure_why);
		cr_assert_eq(fixture_append(&f, 1, 2, 2001, 5, false), PL_ERR_STATE);
	} else {
		cr_assert_not_null(strstr(f.why, "damaged"), "%s", f.why);
	}
}

/* --- what nobody asks for --- */

static void on_turn(uv_timer_t *timer)
{
	(void)timer;
}

/* Turns the loop until the scrub has been through so many times, and takes its figures. */
static void await_passes(uint64_t passes, struct pl_store_stats *stats)
{
	uv_timer_t turn;

	/* A pass can end in a timer, after which the loop would wait a day for the next. */
	uv_timer_init(&f.loop, &turn);
	uv_timer_start(&turn, on_turn, 5, 5);
	do {
		uv_run(&f.loop, UV_RUN_ONCE);
		pl_store_stats(f.store, stats);
	} while (stats->scrub_passes < passes);
	uv_close((uv_handle_t *)&turn, NULL);
	uv_run(&f.loop, UV_RUN_NOWAIT);
}

Test(store_rot, the_scrub_finds_what_nobody_reads)
{
	struct pl_store_stats stats;

	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 40; seq++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			cr_assert_eq(fixture_append(&f, lane == 2 ? 700 : 1, lane, seq, 3000, false), PL_OK);
	fixture_close(&f);
	exec_on_file("UPDATE entry SET body = zeroblob(3000) WHERE (lane = 0 AND seq = 1) OR (lane = 1 AND seq IN (17, 18)) OR (lane = 2 AND seq = 40)");
	fixture_start(&f);
	cr_assert_eq(pl_store_scrub(f.store, UINT64_C(1) << 30), PL_OK);
	await_passes(1, &stats);
	cr_assert_eq(stats.scrub_entries, 120, "each entry once, wherever the pass began");
	cr_assert_eq(f.damaged, 4);
	cr_assert_eq(stats.damaged, 4);
	cr_assert_eq(f.loaded, 0, "these loads are nobody else's");
	cr_assert_eq(stats.scrub_pass_entries, 0);
}

Test(store_rot, what_the_scrub_finds_is_put_right)
{
	struct pl_store_stats stats;

	f.callbacks.loaded = count_chain;
	fixture_start(&f);
	store_chain();
	fixture_close(&f);
	exec_on_file("UPDATE entry SET body = zeroblob(6000) WHERE seq = 3");
	fixture_start(&f);
	cr_assert_eq(pl_store_scrub(f.store, UINT64_C(1) << 30), PL_OK);
	fixture_await(&f, &f.damaged, 1);
	cr_assert_arr_eq(f.damaged_id, chain.entries[3].id, PL_ID_BYTES);
	cr_assert_eq(pl_store_repair(f.store, &chain.entries[3]), PL_OK);
	await_passes(1, &stats);
	fixture_await(&f, &f.repaired, 1);
	load_chain(1);
	cr_assert_eq(chain.loaded, CHAIN);
	cr_assert_eq(f.damaged, 1);
}

static uv_sem_t gate, at_gate;

static enum pl_err work_at_gate(struct pl_job *job, sqlite3 *db)
{
	(void)job;
	(void)db;
	uv_sem_post(&at_gate);
	uv_sem_wait(&gate);
	return PL_OK;
}

static void ignore_done(struct pl_job *job)
{
	(void)job;
}

Test(store_rot, the_scrub_waits_while_the_store_has_something_to_do)
{
	struct pl_job job = {.work = work_at_gate, .done = ignore_done};
	struct pl_store_stats stats;

	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 10; seq++)
		cr_assert_eq(fixture_append(&f, 1, 0, seq, 100, false), PL_OK);
	fixture_await(&f, &f.stored, 10);
	uv_sem_init(&gate, 0);
	uv_sem_init(&at_gate, 0);
	pl_store_run(f.store, &job);
	uv_sem_wait(&at_gate);
	cr_assert_eq(pl_store_scrub(f.store, UINT64_C(1) << 30), PL_OK);
	for (int looks = 0; looks < 3; looks++) /* its timer is all there is on the loop */
		uv_run(&f.loop, UV_RUN_ONCE);
	uv_sem_post(&gate);
	pl_store_stats(f.store, &stats);
	cr_assert_eq(stats.loads, 0);
	await_passes(1, &stats);
	cr_assert_eq(stats.scrub_entries, 10);
	cr_assert_leq(stats.loads, 2);
}

Test(store_rot, the_scrub_keeps_its_pace)
{
	struct pl_store_stats stats;
	uint64_t begun_ms;

	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 64; seq++)
		cr_assert_eq(fixture_append(&f, 1, 0, seq, 10000, false), PL_OK);
	fixture_await(&f, &f.stored, 64);
	cr_assert_eq(pl_store_scrub(f.store, 1 << 20), PL_OK);
	begun_ms = uv_now(&f.loop);
	await_passes(1, &stats);
	cr_assert_eq(stats.scrub_entries, 64);
	cr_assert_geq(uv_now(&f.loop) - begun_ms, 600, "640 KB at 1 MiB a second");
	cr_assert_eq(f.damaged, 0);
}

/* --- flips --- */

#define LANE_ENTRIES 60
#define RUNS 400 /* for each file */

static struct {
	size_t handed_out, wrong;
} seen;

static void check_loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	uint8_t body[400];
	struct pl_store_entry expected;

	(void)err;
	for (size_t i = 0; i < count; i++) {
		sample_entry(&expected, body, 400, (uint16_t)(token / PL_LANES), (uint8_t)(token % PL_LANES), 1 + i);
		seen.handed_out++;
		seen.wrong += memcmp(entries[i].header, expected.header, PL_ENTRY_HEADER_BYTES) != 0 || entries[i].body_bytes != 400 ||
		              memcmp(entries[i].body, body, 400) != 0;
	}
	((struct fixture *)ctx)->loaded++;
}

static void ignore_head(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, uint64_t gseq, const uint8_t id[PL_ID_BYTES])
{
	cr_assert(node < PL_NODES_MAX && lane < PL_LANES && seq && gseq && id && !ctx);
}

static void ignore_ack(void *ctx, uint16_t peer, uint16_t node, uint8_t lane, uint64_t seq)
{
	cr_assert(peer < PL_NODES_MAX && node < PL_NODES_MAX && lane < PL_LANES && seq && !ctx);
}

struct copy {
	char path[128];
	uint8_t *bytes;
	size_t count;
};
static const char *const suffixes[] = {"", "-wal", ".feed"};

static void keep(struct copy *copy, const char *suffix)
{
	FILE *file;

	snprintf(copy->path, sizeof(copy->path), "%.90s%s", f.path, suffix);
	file = fopen(copy->path, "rb");
	cr_assert_not_null(file);
	copy->bytes = malloc(1 << 22);
	copy->count = fread(copy->bytes, 1, 1 << 22, file);
	fclose(file);
}

static void put_back(const struct copy *copy)
{
	FILE *file = fopen(copy->path, "wb");

	cr_assert(file && fwrite(copy->bytes, 1, copy->count, file) == copy->count);
	fclose(file);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Opens and reads everything. Returns whether anything was said about damage. */
static bool read_everything(void)
{
	bool noticed = false;

	f.failed = f.damaged = f.loaded = seen.handed_out = 0;
	if (fixture_open(&f) != PL_OK)
		return true;
	noticed |= pl_store_feed_state(f.store, f.why, sizeof(f.why)) != PL_OK;
	noticed |= pl_store_each_head(f.store, ignore_head, NULL) != PL_OK;
	noticed |= pl_store_each_ack(f.store, ignore_ack, NULL) != PL_OK;
	cr_assert_eq(pl_store_start(f.store, &f.loop, &f.callbacks), PL_OK);
	for (uint16_t node = 0; node < 2; node++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			cr_assert_eq(pl_store_load(f.store, (uint32_t)node * PL_LANES + lane, node, lane, 1, UINT64_MAX, UINT32_MAX), PL_OK);
	fixture_await(&f, &f.loaded, 2 * PL_LANES);
	fixture_close(&f);
	return noticed || f.damaged || f.failed;
}

Test(store_rot, no_flip_goes_through)
{
	struct copy copies[3];
	uint64_t random = 88172645463325252u;

	f.callbacks.loaded = check_loaded;
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= LANE_ENTRIES; seq++) {
		for (uint16_t node = 0; node < 2; node++)
			for (uint8_t lane = 0; lane < PL_LANES; lane++)
				cr_assert_eq(fixture_append(&f, node, lane, seq, 400, false), PL_OK);
		pl_store_note_ack(f.store, 1, 0, 0, seq);
		if (seq == LANE_ENTRIES / 2) { /* half of it in the database, half in the WAL */
			fixture_close(&f);
			fixture_start(&f);
		}
	}
	fixture_await(&f, &f.stored, 2 * PL_LANES * LANE_ENTRIES);
	for (size_t i = 0; i < 3; i++)
		keep(&copies[i], suffixes[i]);
	fixture_close(&f);

	for (size_t which = 0; which < 3; which++) {
		size_t noticed = 0, short_of = 0, untouched = 0;

		seen.wrong = 0;
		for (int run = 0; run < RUNS; run++) {
			struct copy *copy = &copies[which];
			size_t flips = 1 + next_random(&random) % 3, at[3];
			uint8_t mask[3];
			bool is_noticed;

			for (size_t i = 0; i < flips; i++) {
				at[i] = next_random(&random) % copy->count;
				mask[i] = (uint8_t)(1 + next_random(&random) % 255);
				copy->bytes[at[i]] ^= mask[i];
			}
			for (size_t i = 0; i < 3; i++)
				put_back(&copies[i]);
			is_noticed = read_everything();
			noticed += is_noticed;
			short_of += !is_noticed && seen.handed_out < 2 * PL_LANES * LANE_ENTRIES;
			untouched += !is_noticed && seen.handed_out == 2 * PL_LANES * LANE_ENTRIES;
			for (size_t i = 0; i < flips; i++)
				copy->bytes[at[i]] ^= mask[i];
		}
		printf("flips in store.db%s: %d runs, %zu noticed, %zu with entries missing from the end of the WAL, %zu without effect; "
		       "%zu wrong entries handed out\n", suffixes[which], RUNS, noticed, short_of, untouched, seen.wrong);
		cr_assert_eq(seen.wrong, 0);
		cr_assert(which == 1 || short_of == 0, "entries are missing, and nothing was said");
	}
	for (size_t i = 0; i < 3; i++)
		free(copies[i].bytes);
}
