#include "node/indicator/indicator_fixture.h"

Test(channel, items_that_overtake_their_root_wait_for_it)
{
	struct world *world = world_new(3);
	hold(world, SGP, 1, true);
	for (unsigned i = 0; i < 5; i++)
		cr_assert_eq(share(world, FIN, i * 10, 10, ""), 10);
	AWAIT(world, held(world, CHE) == 50);
	AWAIT(world, world->cores[SGP].applied == 5); /* the lane goes on */
	settle(world, 100);
	cr_assert_eq(held(world, SGP), 0);
	cr_assert_eq(share(world, CHE, 100, 1, ""), 1, "another author is not held up");
	hold(world, SGP, 1, false);
	AWAIT(world, held(world, SGP) == 51);
	settle(world, 50);
	cr_assert_eq(listed(world, SGP, QUERY("author", "FIN")), 50);
	world_free(world);
}

Test(channel, what_waits_outlives_a_restart)
{
	struct world *world = world_new(2);
	hold(world, CHE, 1, true);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(share(world, FIN, i * 10, 10, ""), 10);
	AWAIT(world, world->cores[CHE].applied == 3 && world->cores[CHE].inbox[FIN][1] != NULL);
	/* The root is written, and the daemon ends before it looks at what waits. */
	world->cores[CHE].part->draining = true;
	hold(world, CHE, 1, false);
	AWAIT(world, world->cores[CHE].applied == 4);
	world->cores[CHE].part->draining = false;
	core_down(&world->cores[CHE]);
	core_up(world, CHE);
	AWAIT(world, held(world, CHE) == 30);
	world_free(world);
}

/* What CHE's store is made to run, on its own thread. */
struct planted {
	struct pl_job job;
	const char *sql;
	bool is_done;
};

static enum pl_err plant_work(struct pl_job *job, sqlite3 *db)
{
	struct planted *planted = job->ctx;
	return sqlite3_exec(db, planted->sql, NULL, NULL, NULL) == SQLITE_OK ? PL_OK : PL_ERR_IO;
}

static void plant_done(struct pl_job *job)
{
	struct planted *planted = job->ctx;
	cr_assert_eq(job->err, PL_OK, "%s", planted->sql);
	planted->is_done = true;
}

static void plant(struct world *world, const char *sql)
{
	struct planted planted = { .sql = sql };
	planted.job = (struct pl_job){ .work = plant_work, .done = plant_done, .ctx = &planted, .writes = true };
	pl_store_run(world->cores[CHE].store, &planted.job);
	AWAIT(world, planted.is_done);
}

Test(channel, what_waits_and_was_changed_by_the_disk_is_opened_once_it_is_back_and_holds_up_nobody)
{
	struct world *world = world_new(3);
	hold(world, CHE, 1, true);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(share(world, FIN, i * 10, 10, ""), 10);
	cr_assert_eq(share(world, SGP, 100, 5, ""), 5);
	AWAIT(world, world->cores[CHE].applied == 4);
	plant(world, "CREATE TABLE kept AS SELECT body FROM entry WHERE lane = 2 AND seq = 2;"
	             "UPDATE entry SET body = zeroblob(length(body)) WHERE lane = 2 AND seq = 2");
	hold(world, CHE, 1, false);
	AWAIT(world, held(world, CHE) == 15);
	settle(world, 100);
	cr_assert_eq(held(world, CHE), 15, "what comes before it, and what another author shares");
	plant(world, "UPDATE entry SET body = (SELECT body FROM kept) WHERE lane = 2 AND seq = 2");
	AWAIT(world, held(world, CHE) == 35);
	world_free(world);
}

Test(channel, a_root_for_which_there_was_no_memory_is_looked_for_again)
{
	struct world *world = world_new(2);
	hold(world, CHE, 1, true);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(share(world, FIN, i * 10, 10, ""), 10);
	AWAIT(world, world->cores[CHE].applied == 3 && world->cores[CHE].inbox[FIN][1] != NULL);
	struct pl_indicator_part *part = world->cores[CHE].part;
	settle(world, 50); /* nothing is looked for any more */
	cr_assert(!part->draining && part->waiting_first == NULL);
	part->draining = true;
	hold(world, CHE, 1, false);
	AWAIT(world, world->cores[CHE].applied == 4);
	settle(world, 50);
	cr_assert_eq(held(world, CHE), 0);
	pl_indicator_waiting_free(part); /* as if it had never been noted */
	part->draining = false;
	part->roots_lost = true;
	pl_indicator_drain(part);
	AWAIT(world, held(world, CHE) == 30);
	cr_assert_not(part->roots_lost);
	world_free(world);
}

Test(channel, a_node_that_gets_its_key_later_is_sent_what_it_lacks)
{
	struct world *world = world_new(3);
	world->has_key[SGP] = false;
	cr_assert_eq(share(world, FIN, 0, 10, ""), 10);
	AWAIT(world, held(world, CHE) == 10);
	world->wall_ms += PL_EPOCH_KEY_MS; /* the next day, another root */
	cr_assert_eq(share(world, FIN, 10, 10, ""), 10);
	AWAIT(world, held(world, CHE) == 20);
	settle(world, 300);
	cr_assert_eq(world->roots_sent, 2);
	cr_assert_eq(held(world, SGP), 0);
	publish_key(world, SGP);
	AWAIT(world, held(world, SGP) == 20);
	settle(world, 300);
	cr_assert_eq(world->roots_sent, 4, "one envelope of its own for each");
	publish_key(world, SGP);
	publish_key(world, CHE);
	settle(world, 300);
	cr_assert_eq(world->roots_sent, 4, "and no more");
	core_down(&world->cores[FIN]);
	core_up(world, FIN);
	settle(world, 300);
	cr_assert_eq(world->roots_sent, 4, "not after a restart either");
	world_free(world);
}

Test(channel, an_import_without_anybody_to_read_it_is_read_later)
{
	struct world *world = world_new(2);
	world->has_key[CHE] = false;
	cr_assert_eq(share(world, FIN, 0, 10, ""), 10);
	cr_assert_eq(world->roots_sent, 0);
	publish_key(world, CHE);
	AWAIT(world, held(world, CHE) == 10);
	world_free(world);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, PL_CHANNEL_ID_BYTES + 8);
}

Test(channel, an_item_number_never_comes_twice_under_a_root)
{
	struct world *world = world_new(1);
	struct pl_core *core = &world->cores[CHE];
	unsigned shared = 0;
	cr_assert_eq(share(world, CHE, 10000, 700, ""), 700); /* three entries at once */
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 3; i++)
			cr_assert_eq(share(world, CHE, 10 * shared++, 10, ""), 10);
		if (round == 3) {
			core->submit_err = PL_ERR_QUOTA; /* sealed and thrown away */
			cr_assert_eq(share(world, CHE, 10 * shared++, 10, ""), -1);
			core->submit_err = PL_OK;
		}
		if (round % 2 == 1) {
			core_down(core);
			core_up(world, CHE);
		}
	}
	world->wall_ms += PL_EPOCH_KEY_MS;
	cr_assert_eq(share(world, CHE, 10 * shared++, 10, ""), 10);
	settle(world, 50);
	core_down(core);

	char why[256];
	uint8_t places[64][PL_CHANNEL_ID_BYTES + 8];
	size_t count = 0, channels = 0;
	cr_assert_eq(pl_store_open(core->path, world->fixture->charter.network_id, world->fixture->charter.nodes[CHE].certificate.node_id,
	                           &core->store, why, sizeof(why)), PL_OK, "%s", why);
	sqlite3_stmt *statement;
	cr_assert_eq(sqlite3_prepare_v2(pl_store_db(core->store), "SELECT body FROM entry WHERE lane = 2", -1, &statement, NULL),
	             SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW)
		memcpy(places[count++], (const uint8_t *)sqlite3_column_blob(statement, 0) + 4,
		       sizeof(places[0])); /* channel id, item number */
	sqlite3_finalize(statement);
	pl_store_close(core->store);
	cr_assert_eq(count, 3 + 19);
	qsort(places, count, sizeof(places[0]), by_bytes);
	for (size_t i = 0; i < count; i++) {
		cr_assert(i == 0 || memcmp(places[i], places[i - 1], sizeof(places[0])) != 0, "an item number came twice");
		channels += i == 0 || memcmp(places[i], places[i - 1], PL_CHANNEL_ID_BYTES) != 0;
	}
	cr_assert_eq(channels, 2, "a root lasts a day, over restarts too");
	world_free(world);
}

Test(channel, a_shutdown_while_something_is_being_opened)
{
	struct world *world = world_new(2);
	struct pl_core *che = &world->cores[CHE];
	for (unsigned turns = 0; turns < 12; turns++) {
		size_t applied = che->applied;
		hold(world, CHE, 1, true);
		for (unsigned i = 0; i < 3; i++)
			cr_assert_eq(share(world, FIN, 1000 * turns + 200 * i, 200, ""), 200);
		AWAIT(world, che->applied == applied + 3 && che->inbox[FIN][1] != NULL);
		hold(world, CHE, 1, false);
		for (unsigned i = 0; i < turns; i++)
			uv_run(&world->loop, UV_RUN_NOWAIT);
		core_down(che);
		core_up(world, CHE);
		world->wall_ms += PL_EPOCH_KEY_MS; /* another root, so that the next ones wait too */
	}
	settle(world, 300);
	cr_assert_eq(held(world, CHE) % 200, 0, "an entry is taken in whole or not at all");
	world_free(world);
}

/* How often the log has said it. */
static unsigned said(FILE *log, const char *what)
{
	char line[1024];
	unsigned count = 0;
	rewind(log);
	while (fgets(line, sizeof(line), log) != NULL)
		count += strstr(line, what) != NULL;
	return count;
}

Test(channel, a_root_that_cannot_be_sent_is_told_of_once_a_minute)
{
	struct world *world = world_new(2);
	struct pl_core *fin = &world->cores[FIN];
	FILE *log = tmpfile();
	cr_assert_not_null(log);
	pl_log_open(fileno(log), PL_LOG_INFO, false);
	fin->submit_err = PL_ERR_DISK_FULL;
	cr_assert_eq(share(world, FIN, 0, 10, ""), -1); /* which makes a root */
	for (int i = 0; i < 5; i++) {
		pl_channels_distribute(fin->channels);
		settle(world, 50);
	}
	cr_assert_eq(said(log, "a channel root could not be sent"), 1);
	fin->submit_err = PL_OK;
	pl_channels_distribute(fin->channels);
	AWAIT(world, said(log, "channel root sent") == 1);
	pl_log_open(STDERR_FILENO, PL_LOG_INFO, false);
	fclose(log);
	world_free(world);
}
