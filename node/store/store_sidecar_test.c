/* A store that is not the newest state of its node must say so, and one that is must never: whatever was cut off, copied or lost. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "node/store/store_sidecar.h"
#include "node/store/store_fixture.h"

static struct fixture f;
static char sidecar_path[128], copy_path[128], sidecar_copy[128];

static void set_up(void)
{
	fixture_init(&f, "/tmp");
	snprintf(sidecar_path, sizeof(sidecar_path), "%.96s.feed", f.path);
	snprintf(copy_path, sizeof(copy_path), "%.96s.copy", f.path);
	snprintf(sidecar_copy, sizeof(sidecar_copy), "%.96s.feed.copy", f.path);
}

static void tear_down(void)
{
	fixture_dispose(&f);
}

TestSuite(store_sidecar, .init = set_up, .fini = tear_down, .timeout = 30);

static void copy_file(const char *from, const char *to)
{
	char buffer[65536];
	size_t count;
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");

	cr_assert(in && out);
	while ((count = fread(buffer, 1, sizeof(buffer), in)) > 0)
		cr_assert_eq(fwrite(buffer, 1, count, out), count);
	fclose(in);
	fclose(out);
}

/* Appends own entries up to this seq of a lane, and closes. */
static void author_up_to(uint8_t lane, uint64_t from, uint64_t to)
{
	size_t target = f.stored + (to - from + 1);

	fixture_start(&f);
	for (uint64_t seq = from; seq <= to; seq++)
		cr_assert_eq(fixture_append(&f, 0, lane, seq, 20, seq % 5 == 0), PL_OK);
	fixture_await(&f, &f.stored, target);
	fixture_close(&f);
}

static enum pl_err state_after_open(void)
{
	enum pl_err err = fixture_open(&f);

	cr_assert_eq(err, PL_OK, "%s", f.why);
	f.why[0] = 0;
	err = pl_store_feed_state(f.store, f.why, sizeof(f.why));
	fixture_close(&f);
	return err;
}

Test(store_sidecar, goes_on_after_every_restart)
{
	cr_assert_eq(state_after_open(), PL_OK, "a new store");
	for (uint64_t to = 1, from = 1; to < 600; from = to + 1, to = to * 3 / 2 + 1) {
		author_up_to(1, from, to);
		cr_assert_eq(state_after_open(), PL_OK, "at %llu: %s", (unsigned long long)to, f.why);
	}
}

Test(store_sidecar, restored_copy_is_frozen_for_good)
{
	author_up_to(0, 1, 10);
	copy_file(f.path, copy_path);
	author_up_to(0, 11, 11); /* one entry is enough */
	copy_file(copy_path, f.path);
	for (uint64_t seq = 11; seq < 14; seq++) {
		cr_assert_eq(state_after_open(), PL_ERR_FORK);
		cr_assert_not_null(strstr(f.why, "restored from a copy"), "%s", f.why);
		author_up_to(0, seq, seq); /* what peers send back of its own feed is stored, and does not make it the newest */
	}
}

Test(store_sidecar, newest_store_put_back_is_fine)
{
	char newest[128];

	snprintf(newest, sizeof(newest), "%.96s.newest", f.path);
	author_up_to(0, 1, 10);
	copy_file(f.path, copy_path);
	author_up_to(0, 11, 20);
	copy_file(f.path, newest);
	copy_file(copy_path, f.path);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	copy_file(newest, f.path);
	cr_assert_eq(state_after_open(), PL_OK, "%s", f.why);
	author_up_to(0, 21, 21);
	cr_assert_eq(state_after_open(), PL_OK, "%s", f.why);
}

Test(store_sidecar, what_a_peer_found_holds_at_the_next_start)
{
	author_up_to(0, 1, 10);
	fixture_start(&f);
	pl_store_freeze_feed(f.store, "CHE holds more of it.");
	fixture_close(&f);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	cr_assert_str_eq(f.why, "CHE holds more of it.");
}

Test(store_sidecar, frozen_store_does_not_move_its_sidecar)
{
	struct stat before, after;

	author_up_to(0, 1, 10);
	copy_file(f.path, copy_path);
	author_up_to(0, 11, 300);
	copy_file(copy_path, f.path);
	cr_assert_eq(stat(sidecar_path, &before), 0);
	author_up_to(0, 11, 40);
	cr_assert_eq(stat(sidecar_path, &after), 0);
	cr_assert_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
}

Test(store_sidecar, without_its_sidecar_is_frozen)
{
	cr_assert_eq(state_after_open(), PL_OK);
	unlink(sidecar_path); /* it holds nothing of its own: it may be a copy from before the first entry */
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	unlink(f.path);
	author_up_to(2, 1, 1);
	unlink(sidecar_path);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	cr_assert_not_null(strstr(f.why, "missing"), "%s", f.why);
	cr_assert_neq(access(sidecar_path, F_OK), 0, "a missing sidecar is not made anew");
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
}

Test(store_sidecar, store_made_anew_is_frozen)
{
	author_up_to(1, 1, 3);
	unlink(f.path);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	cr_assert_not_null(strstr(f.why, "another store"), "%s", f.why);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
}

Test(store_sidecar, unused_sidecar_yields_to_a_new_store)
{
	cr_assert_eq(state_after_open(), PL_OK);
	unlink(f.path);
	cr_assert_eq(state_after_open(), PL_OK);
	author_up_to(1, 1, 3);
	cr_assert_eq(state_after_open(), PL_OK);
}

Test(store_sidecar, older_sidecar_is_noticed)
{
	author_up_to(1, 1, 3);
	copy_file(sidecar_path, sidecar_copy);
	author_up_to(1, 4, 200);
	copy_file(sidecar_copy, sidecar_path);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	cr_assert_not_null(strstr(f.why, "older copy"), "%s", f.why);
}

static void spoil(long offset)
{
	FILE *file = fopen(sidecar_path, "r+b");
	int c;

	cr_assert_not_null(file);
	fseek(file, offset, SEEK_SET);
	c = fgetc(file);
	fseek(file, offset, SEEK_SET);
	fputc(c ^ 1, file);
	fclose(file);
}

Test(store_sidecar, one_torn_block_does_no_harm_two_are_damage)
{
	author_up_to(1, 1, 200);
	for (int block = 0; block < 3; block++) {
		spoil(block * 4096L + 30);
		cr_assert_eq(state_after_open(), PL_OK, "block %d: %s", block, f.why);
		cr_assert_eq(strstr(f.why, "could not be told from the newest") != NULL, block == 2, "block %d: %s", block, f.why);
		spoil(block * 4096L + 30);
	}
	spoil(30);
	spoil(4096 + 30);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	cr_assert_not_null(strstr(f.why, "damaged"), "%s", f.why);
	spoil(30);
	cr_assert_eq(truncate(sidecar_path, 100), 0);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
}

/* Without the block that says what was committed, as power loss may leave it, the lead of the reservation still tells. */
Test(store_sidecar, reservation_alone_notices_a_copy_that_is_far_behind)
{
	author_up_to(1, 1, 10);
	copy_file(f.path, copy_path);
	author_up_to(1, 11, 10 + 2 * PL_SIDECAR_LEAD_MAX);
	copy_file(copy_path, f.path);
	spoil(2 * 4096 + 30);
	cr_assert_eq(state_after_open(), PL_ERR_FORK);
	cr_assert_not_null(strstr(f.why, "reserved"), "%s", f.why);
}

static enum pl_err work_wait(struct pl_job *job, sqlite3 *db)
{
	(void)db;
	uv_sem_wait(job->ctx);
	return PL_OK;
}

static void ignore(struct pl_job *job)
{
	(void)job;
}

/* However many wait: a reservation's lead over what is committed has to stay below PL_SIDECAR_LEAD_MAX, or a crash would look like a copy. */
Test(store_sidecar, own_entries_are_committed_in_small_groups)
{
	uv_sem_t gate;
	struct pl_job job = {.work = work_wait, .done = ignore, .ctx = &gate};
	struct pl_store_stats stats;

	cr_assert_eq(uv_sem_init(&gate, 0), 0);
	fixture_start(&f);
	pl_store_run(f.store, &job);
	for (uint64_t seq = 1; seq <= 10 * PL_SIDECAR_GROUP_MAX; seq++)
		cr_assert_eq(fixture_append(&f, 0, 2, seq, 20, false), PL_OK);
	uv_sem_post(&gate);
	fixture_await(&f, &f.stored, 10 * PL_SIDECAR_GROUP_MAX);
	pl_store_stats(f.store, &stats);
	cr_assert_geq(stats.commits, 10);
	uv_sem_destroy(&gate);
}

Test(store_sidecar, killed_at_any_time_goes_on)
{
	for (int round = 0; round < 12; round++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			uint64_t head;

			if (fixture_open(&f) != PL_OK || pl_store_feed_state(f.store, f.why, sizeof(f.why)) != PL_OK)
				_exit(1);
			if (pl_store_start(f.store, &f.loop, &f.callbacks) != PL_OK)
				_exit(1);
			/* an append at a place that is taken is refused: that is how we find where the lane ends */
			for (head = 1; fixture_append(&f, 0, 1, head, 20, false) == PL_ERR_EXISTS; head++)
				;
			for (uint64_t seq = head + 1;; seq++) {
				if (fixture_append(&f, 0, 1, seq, 20, seq % 7 == 0) != PL_OK)
					_exit(2);
				while (pl_store_queue_bytes(f.store) > 20000)
					uv_run(&f.loop, UV_RUN_ONCE);
			}
		}
		usleep(5000 + 9000 * (unsigned)round);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		cr_assert(WIFSIGNALED(status), "round %d: the child ended by itself with %d", round, WEXITSTATUS(status));
		cr_assert_eq(state_after_open(), PL_OK, "round %d: %s", round, f.why);
	}
}

/* For a node whose store is lost: from its first moment, and for good. */
Test(store_sidecar, a_store_can_be_made_frozen)
{
	char why[256] = "";

	cr_assert_eq(pl_store_make_frozen(f.path, sample_network, sample_self, "It was lost.", why, sizeof(why)), PL_OK, "%s", why);
	for (int start = 0; start < 2; start++) {
		cr_assert_eq(state_after_open(), PL_ERR_FORK);
		cr_assert_str_eq(f.why, "It was lost.");
		author_up_to(0, 3 * start + 1, 3 * start + 3); /* what peers give back of its feed does not turn the reason into another */
	}
	cr_assert_eq(pl_store_make_frozen(f.path, sample_network, sample_self, "Again.", why, sizeof(why)), PL_ERR_EXISTS);
}
