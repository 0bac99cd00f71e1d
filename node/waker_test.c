#include <criterion/criterion.h>
#include <stdatomic.h>

#include "node/waker.h"

#define THREADS 4
#define WAKES 20000

static uv_loop_t loop;
static struct pl_waker *waker;
static atomic_uint written;
static unsigned seen, runs;

static void setup(void)
{
	cr_assert_eq(uv_loop_init(&loop), 0);
}

static void teardown(void)
{
	cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(waker, .init = setup, .fini = teardown, .timeout = 60);

static void count(void *ctx)
{
	cr_assert_eq(ctx, &loop);
	runs++;
	seen = atomic_load(&written);
	if (seen == THREADS * WAKES)
		uv_stop(&loop);
}

static void write_and_wake(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < WAKES; i++) {
		atomic_fetch_add(&written, 1);
		pl_waker_wake(waker);
	}
}

Test(waker, loses_no_wake_of_several_threads)
{
	uv_thread_t threads[THREADS];

	cr_assert_eq(pl_waker_new(&loop, count, &loop, &waker), PL_OK);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(uv_thread_create(&threads[i], write_and_wake, NULL), 0);
	/* Ends when the last has been seen; a lost one would keep the loop asleep, and the test would run out of time. */
	while (seen != THREADS * WAKES)
		uv_run(&loop, UV_RUN_DEFAULT);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(uv_thread_join(&threads[i]), 0);
	pl_waker_close(waker);
	cr_assert_eq(seen, (unsigned)(THREADS * WAKES));
}

static void count_run(void *ctx)
{
	(void)ctx;
	runs++;
}

Test(waker, runs_once_for_wakes_that_the_loop_has_not_seen_yet)
{
	cr_assert_eq(pl_waker_new(&loop, count_run, NULL, &waker), PL_OK);
	uv_run(&loop, UV_RUN_NOWAIT);
	cr_assert_eq(runs, 0u);
	for (int i = 0; i < 3; i++)
		pl_waker_wake(waker);
	uv_run(&loop, UV_RUN_ONCE);
	cr_assert_eq(runs, 1u);
	uv_run(&loop, UV_RUN_NOWAIT);
	cr_assert_eq(runs, 1u);
	pl_waker_wake(waker);
	uv_run(&loop, UV_RUN_ONCE);
	cr_assert_eq(runs, 2u);
	pl_waker_close(waker);
}

Test(waker, does_not_run_after_it_is_closed)
{
	cr_assert_eq(pl_waker_new(&loop, count_run, NULL, &waker), PL_OK);
	pl_waker_wake(waker);
	pl_waker_close(waker);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(runs, 0u);
}

static void wake_once_more(void *ctx)
{
	(void)ctx;
	if (runs++ == 0)
		pl_waker_wake(waker);
}

Test(waker, a_wake_from_within_woken_is_not_lost)
{
	cr_assert_eq(pl_waker_new(&loop, wake_once_more, NULL, &waker), PL_OK);
	pl_waker_wake(waker);
	uv_run(&loop, UV_RUN_ONCE);
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_run(&loop, UV_RUN_NOWAIT);
	cr_assert_eq(runs, 2u);
	pl_waker_close(waker);
}
