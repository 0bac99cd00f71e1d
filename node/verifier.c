#include "node/verifier.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/thread.h"
#include "node/waker.h"

struct request {
	struct request *next;
	uint32_t token, good;
	uint16_t count;
	uint8_t headers[];
};

/* Handed from thread to thread without a lock: the loop would wait for one whenever the thread, which yields to all others, is put aside while
 * it holds it. Newest first. */
typedef _Atomic(struct request *) basket;

struct pl_verifier {
	struct pl_waker *waker;
	uv_thread_t thread, loop_thread;
	uv_sem_t wake; /* once for each request, and to stop */
	basket waiting, done;
	atomic_bool is_stopping;
	uint8_t network_id[PL_ID_BYTES];
	pl_verified report;
	void *ctx;
};

static void put(basket *to, struct request *request)
{
	request->next = atomic_load_explicit(to, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(to, &request->next, request, memory_order_release, memory_order_relaxed))
		;
}

/* All that is there, oldest first. */
static struct request *take_all(basket *from)
{
	struct request *newest = atomic_exchange_explicit(from, NULL, memory_order_acquire), *first = NULL;

	while (newest) {
		struct request *next = newest->next;
		newest->next = first;
		first = newest;
		newest = next;
	}
	return first;
}

static void free_all(struct request *request)
{
	while (request) {
		struct request *next = request->next;
		free(request);
		request = next;
	}
}

/* What sched_setattr(2) takes, in its first version; not every libc has it. */
struct policy {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* Of this thread alone. If it is refused, bulk is in the way at times, and nothing else is wrong. */
static void yield_to_others(void)
{
	const struct policy policy = { .size = sizeof(policy), .policy = SCHED_OTHER, .nice = PL_VERIFIER_NICE,
	                               .runtime_ns = PL_VERIFIER_SLICE_MS * 1000000ULL };

	(void)syscall(SYS_sched_setattr, 0, &policy, 0);
}

static void run(void *ctx)
{
	struct pl_verifier *verifier = ctx;
	struct request *request = NULL;

	yield_to_others();
	for (;;) {
		uv_sem_wait(&verifier->wake);
		if (atomic_load(&verifier->is_stopping))
			break;
		if (!request)
			request = take_all(&verifier->waiting);
		assert(request);
		struct request *next = request->next;
		request->good = pl_entries_verify(verifier->network_id, request->headers, request->count);
		put(&verifier->done, request);
		pl_waker_wake(verifier->waker);
		request = next;
	}
	free_all(request);
}

static void on_woken(void *ctx)
{
	struct pl_verifier *verifier = ctx;
	struct request *request = take_all(&verifier->done);

	while (request) {
		struct request *next = request->next;
		verifier->report(verifier->ctx, request->token, request->good);
		free(request);
		request = next;
	}
}

enum pl_err pl_verifier_new(uv_loop_t *loop, const uint8_t network_id[PL_ID_BYTES], pl_verified done, void *ctx, struct pl_verifier **out)
{
	struct pl_verifier *verifier = calloc(1, sizeof(*verifier));

	if (!verifier)
		return PL_ERR_MEMORY;
	memcpy(verifier->network_id, network_id, PL_ID_BYTES);
	enum pl_err err = PL_ERR_IO;
	if (uv_sem_init(&verifier->wake, 0) != 0)
		goto no_sem;
	err = pl_waker_new(loop, on_woken, verifier, &verifier->waker);
	if (err != PL_OK)
		goto no_waker;
	verifier->report = done;
	verifier->ctx = ctx;
	verifier->loop_thread = uv_thread_self();
	if (uv_thread_create(&verifier->thread, run, verifier) == 0) {
		*out = verifier;
		return PL_OK;
	}
	err = PL_ERR_IO;
	pl_waker_close(verifier->waker);
no_waker:
	uv_sem_destroy(&verifier->wake);
no_sem:
	free(verifier);
	return err;
}

enum pl_err pl_verifier_check(struct pl_verifier *verifier, uint32_t token, const uint8_t *headers, uint16_t count)
{
	const size_t bytes = (size_t)count * PL_ENTRY_HEADER_BYTES;

	assert(pl_thread_is(verifier->loop_thread) && count <= PL_VERIFIER_HEADERS_MAX);
	struct request *request = malloc(sizeof(*request) + bytes);
	if (!request)
		return PL_ERR_MEMORY;
	*request = (struct request){ .token = token, .count = count };
	memcpy(request->headers, headers, bytes);
	put(&verifier->waiting, request);
	uv_sem_post(&verifier->wake);
	return PL_OK;
}

void pl_verifier_close(struct pl_verifier *verifier)
{
	assert(pl_thread_is(verifier->loop_thread));
	atomic_store(&verifier->is_stopping, true);
	uv_sem_post(&verifier->wake);
	uv_thread_join(&verifier->thread);
	free_all(take_all(&verifier->waiting));
	free_all(take_all(&verifier->done));
	uv_sem_destroy(&verifier->wake);
	pl_waker_close(verifier->waker);
	free(verifier);
}
