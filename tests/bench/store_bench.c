/* How fast the store is, against SQLite alone doing the same with the same rows, in the same run.
 *
 *   store_bench [DIR [ROWS [BODY_BYTES]]]     default: . 200000 512
 *
 * Prints: rows/s through pl_store_append() in groups; rows/s of raw SQLite at 1,024 rows a transaction, by turns, three times each; how
 * long an urgent entry waits while bulk is written as fast as possible; entries/s of reading; time to open; memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/store/store_sample.h"
#include "node/store/store_schema.h"

#define NODES 8
#define ROUNDS 3
#define TICK_MS 7 /* between urgent entries */
#define RAW_ROWS 1024

static uint64_t rows = 200000;
static uint32_t body_bytes = 512;
static char path[512];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "store_bench: %s: %s\n", what, why);
	exit(1);
}

static double now_s(void)
{
	return (double)uv_hrtime() / 1e9;
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long rss_kib(void)
{
	long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file && fscanf(file, "%ld %ld", &pages, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return resident * sysconf(_SC_PAGESIZE) / 1024;
}

static void remove_store(void)
{
	static const char *const suffixes[] = {"", "-wal", "-journal", ".feed"};
	char name[600];

	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

/* The rows are made before the clock starts, but for their places, and a few at the end. Row i is of node 1 + i % NODES, lane 2. */
static struct pl_store_entry *samples;
static uint8_t *bodies;
static uint8_t last_body[PL_BODY_BYTES_MAX];
#define SAMPLES 1024

static void make_samples(void)
{
	samples = calloc(SAMPLES, sizeof(*samples));
	bodies = calloc(SAMPLES, body_bytes);
	if (!samples || !bodies)
		die("samples", "out of memory");
	for (uint64_t i = 0; i < SAMPLES; i++)
		sample_entry(&samples[i], bodies + i * body_bytes, body_bytes, (uint16_t)(1 + i % NODES), 2, 1 + i / NODES);
}

static struct pl_store_entry sample(uint64_t i)
{
	struct pl_store_entry entry = samples[i % SAMPLES];

	entry.seq = 1 + i / NODES;
	entry.gseq = entry.seq;
	/* the hashes of a head are checked at open */
	if (i < rows && i + NODES >= rows)
		sample_entry(&entry, last_body, body_bytes, (uint16_t)(1 + i % NODES), 2, entry.seq);
	return entry;
}

/* --- raw SQLite --- */

static double run_raw(void)
{
	sqlite3 *db;
	sqlite3_stmt *insert;
	double start;

	remove_store();
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-6144;"
	                     "PRAGMA wal_autocheckpoint=1000;", NULL, NULL, NULL) != SQLITE_OK ||
	    pl_schema_migrate(db, 0) != PL_OK ||
	    sqlite3_prepare_v3(db, "INSERT INTO entry (node, lane, seq, gseq, received_ms, kind, flags, body_bytes, id, header, body)"
	                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", -1, SQLITE_PREPARE_PERSISTENT, &insert,
	                       NULL) != SQLITE_OK)
		die("raw SQLite", sqlite3_errmsg(db));
	start = now_s();
	for (uint64_t i = 0; i < rows; i++) {
		struct pl_store_entry entry = sample(i);

		if (i % RAW_ROWS == 0 && sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
			die("raw SQLite", sqlite3_errmsg(db));
		sqlite3_bind_int(insert, 1, entry.node);
		sqlite3_bind_int(insert, 2, entry.lane);
		sqlite3_bind_int64(insert, 3, (sqlite3_int64)entry.seq);
		sqlite3_bind_int64(insert, 4, (sqlite3_int64)entry.gseq);
		sqlite3_bind_int64(insert, 5, (sqlite3_int64)entry.received_ms);
		sqlite3_bind_int(insert, 6, entry.header[2]);
		sqlite3_bind_int(insert, 7, entry.header[3]);
		sqlite3_bind_int64(insert, 8, entry.body_bytes);
		sqlite3_bind_blob(insert, 9, entry.id, PL_ID_BYTES, SQLITE_STATIC);
		sqlite3_bind_blob(insert, 10, entry.header, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
		sqlite3_bind_blob64(insert, 11, entry.body, entry.body_bytes, SQLITE_STATIC);
		if (sqlite3_step(insert) != SQLITE_DONE)
			die("raw SQLite", sqlite3_errmsg(db));
		sqlite3_reset(insert);
		if ((i % RAW_ROWS == RAW_ROWS - 1 || i == rows - 1) && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			die("raw SQLite", sqlite3_errmsg(db));
	}
	start = now_s() - start;
	sqlite3_finalize(insert);
	sqlite3_close(db);
	return (double)rows / start;
}

/* --- the store --- */

static struct {
	uv_loop_t loop;
	struct pl_store *store;
	uint64_t appended, stored, limit;
	uint64_t rows_per_tick; /* 0: as fast as possible */
	/* urgent entries */
	uint64_t urgent_appended, urgent_ns;
	double *waits_ms;
	size_t waits, waits_max;
	uint64_t loaded_entries, loads;
} run;

static void append_next(void)
{
	struct pl_store_entry entry = sample(run.appended++);

	if (pl_store_append(run.store, &entry) != PL_OK)
		die("append", "refused");
}

static void fill(void)
{
	while (run.appended < run.limit && pl_store_queue_bytes(run.store) < PL_STORE_QUEUE_BYTES)
		append_next();
}

static void on_stored(void *ctx, const struct pl_store_entry *entries, size_t count)
{
	(void)ctx;
	for (size_t i = 0; i < count; i++) {
		if (!entries[i].urgent)
			run.stored++;
		else if (run.waits < run.waits_max)
			run.waits_ms[run.waits++] = (double)(uv_hrtime() - run.urgent_ns) / 1e6;
	}
	fill();
}

static void on_failed(void *ctx, enum pl_err err, const char *why)
{
	(void)ctx;
	(void)err;
	die("commit", why);
}

static void on_ready(void *ctx)
{
	(void)ctx;
}

static void on_loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	(void)ctx;
	(void)err;
	(void)token;
	(void)entries;
	run.loaded_entries += count;
	run.loads++;
}

static double open_store(void)
{
	static const struct pl_store_callbacks callbacks = {NULL, on_stored, on_failed, on_ready, on_loaded, NULL, NULL};
	char why[256] = "";
	double start = now_s();

	if (pl_store_open(path, sample_network, sample_self, &run.store, why, sizeof(why)) != PL_OK)
		die("open", why);
	start = now_s() - start;
	if (pl_store_start(run.store, &run.loop, &callbacks) != PL_OK)
		die("start", "out of memory");
	return start;
}

static void close_store(void)
{
	pl_store_close(run.store);
	uv_run(&run.loop, UV_RUN_DEFAULT);
}

static double run_store(void)
{
	double start;

	remove_store();
	run.appended = run.stored = 0;
	run.limit = rows;
	open_store();
	start = now_s();
	fill();
	while (run.stored < rows)
		uv_run(&run.loop, UV_RUN_ONCE);
	start = now_s() - start;
	close_store();
	return (double)rows / start;
}

/* --- an urgent entry under bulk --- */

static void on_timer(uv_timer_t *timer)
{
	struct pl_store_entry entry;
	uint8_t body[400];

	for (uint64_t i = 0; i < run.rows_per_tick; i++)
		append_next();
	if (run.waits < run.urgent_appended) /* one at a time */
		return;
	if (run.waits == run.waits_max) {
		uv_timer_stop(timer);
		run.limit = 0;
		return;
	}
	sample_entry(&entry, body, sizeof(body), 0, 0, ++run.urgent_appended);
	entry.urgent = true;
	run.urgent_ns = uv_hrtime();
	if (pl_store_append(run.store, &entry) != PL_OK)
		die("append", "refused");
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run_urgent(const char *name, uint64_t limit, uint64_t rows_per_tick, size_t count)
{
	uv_timer_t timer;
	double start, seconds;
	struct pl_store_stats stats;

	remove_store();
	run.appended = run.stored = run.urgent_appended = run.waits = 0;
	run.limit = limit;
	run.rows_per_tick = rows_per_tick;
	run.waits_max = count;
	run.waits_ms = calloc(count, sizeof(double));
	open_store();
	uv_timer_init(&run.loop, &timer);
	uv_timer_start(&timer, on_timer, TICK_MS, TICK_MS);
	fill();
	start = now_s();
	while (run.waits < count || run.stored < run.appended)
		uv_run(&run.loop, UV_RUN_ONCE);
	seconds = now_s() - start;
	pl_store_stats(run.store, &stats);
	qsort(run.waits_ms, count, sizeof(double), compare);
	printf("urgent, %s: p50 %.2f ms, p99 %.2f, p99.9 %.2f, worst %.2f (%zu; %.0f bulk rows/s; %llu checkpoints)\n", name,
	       run.waits_ms[count / 2], run.waits_ms[count * 99 / 100], run.waits_ms[count * 999 / 1000], run.waits_ms[count - 1], count,
	       (double)run.stored / seconds, (unsigned long long)stats.checkpoints);
	uv_close((uv_handle_t *)&timer, NULL);
	close_store();
	free(run.waits_ms);
}

/* --- reading --- */

static void run_loads(uint64_t count)
{
	double start;
	uint64_t asked = 0;

	remove_store();
	run.appended = run.stored = run.limit = 0;
	open_store();
	for (uint64_t seq = 1; seq <= count; seq++) {
		struct pl_store_entry entry;
		uint8_t *body = bodies;

		sample_entry(&entry, body, body_bytes, 1, 2, seq);
		if (pl_store_append(run.store, &entry) != PL_OK)
			die("append", "refused");
		while (pl_store_queue_bytes(run.store) > PL_STORE_QUEUE_BYTES)
			uv_run(&run.loop, UV_RUN_ONCE);
	}
	while (run.stored < count)
		uv_run(&run.loop, UV_RUN_ONCE);
	start = now_s();
	run.loaded_entries = run.loads = 0;
	while (run.loaded_entries < count) {
		if (asked == run.loads) {
			if (pl_store_load(run.store, 1, 1, 2, run.loaded_entries + 1, count, 65536) != PL_OK)
				die("load", "refused");
			asked++;
		}
		uv_run(&run.loop, UV_RUN_ONCE);
	}
	start = now_s() - start;
	printf("reading, 64 KiB at a time: %.0f entries/s\n", (double)count / start);
	close_store();
}

int main(int argc, char **argv)
{
	double raw[ROUNDS], store[ROUNDS], start, cpu;

	snprintf(path, sizeof(path), "%s/store_bench.db", argc > 1 ? argv[1] : ".");
	if (argc > 2)
		rows = strtoull(argv[2], NULL, 10);
	if (argc > 3)
		body_bytes = (uint32_t)strtoul(argv[3], NULL, 10);
	if (rows < SAMPLES || body_bytes < 16 || body_bytes > PL_BODY_BYTES_MAX)
		die("arguments", "rows from 1024, body bytes from 16");
	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_loop_init(&run.loop);
	make_samples();
	printf("%llu rows, bodies of %u bytes, %d authors, in %s\n", (unsigned long long)rows, body_bytes, NODES, path);
	for (int i = 0; i < ROUNDS; i++) {
		start = cpu_s();
		raw[i] = run_raw();
		cpu = (cpu_s() - start) / (double)rows * 1e6;
		printf("raw SQLite, %d a commit: %.0f rows/s, %.2f us CPU a row\n", RAW_ROWS, raw[i], cpu);
		start = cpu_s();
		store[i] = run_store();
		cpu = (cpu_s() - start) / (double)rows * 1e6;
		printf("store, groups:           %.0f rows/s, %.2f us CPU a row, %ld KiB resident\n", store[i], cpu, rss_kib());
	}
	qsort(raw, ROUNDS, sizeof(double), compare);
	qsort(store, ROUNDS, sizeof(double), compare);
	printf("median: store %.0f rows/s, raw %.0f rows/s, ratio %.2f\n", store[ROUNDS / 2], raw[ROUNDS / 2], store[ROUNDS / 2] / raw[ROUNDS / 2]);
	start = open_store();
	printf("open with %llu entries: %.1f ms, %ld KiB resident\n", (unsigned long long)rows, start * 1e3, rss_kib());
	close_store();
	run_loads(rows < 50000 ? rows : 50000);
	run_urgent("nothing else", 0, 0, 1000);
	run_urgent("2,000 other rows/s", 0, 2000 * TICK_MS / 1000, 2000);
	run_urgent("bulk at full speed", UINT64_MAX, 0, 2000);
	remove_store();
	uv_loop_close(&run.loop);
	free(samples);
	free(bodies);
	return 0;
}
