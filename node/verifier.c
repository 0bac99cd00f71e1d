#include "node/verifier.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "node/thread.h"

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
	uv_async_t async;
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

static void run(void *ctx)
{
	struct pl_verifier *verifier = ctx;
	struct request *request = NULL;

	/* Of this thread alone, as Linux has it. If it is refused, bulk is in the way at times, and nothing else is wrong. */
	(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + PL_VERIFIER_NICE);
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
		uv_async_send(&verifier->async);
		request = next;
	}
	free_all(request);
}

static void on_async(uv_async_t *async)
{
	struct pl_verifier *verifier = async->data;
	struct request *request = take_all(&verifier->done);

	while (request) {
		struct request *next = request->next;
		verifier->report(verifier->ctx, request->token, request->good);
		free(request);
		request = next;
	}
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

enum pl_err pl_verifier_new(uv_loop_t *loop, const uint8_t network_id[PL_ID_BYTES], pl_verified done, void *ctx, struct pl_verifier **out)
{
	struct pl_verifier *verifier = calloc(1, sizeof(*verifier));

	if (!verifier)
		return PL_ERR_MEMORY;
	memcpy(verifier->network_id, network_id, PL_ID_BYTES);
	verifier->async.data = verifier;
	if (uv_sem_init(&verifier->wake, 0) != 0)
		goto no_sem;
	if (uv_async_init(loop, &verifier->async, on_async) != 0)
		goto no_async;
	verifier->report = done;
	verifier->ctx = ctx;
	verifier->loop_thread = uv_thread_self();
	if (uv_thread_create(&verifier->thread, run, verifier) == 0) {
		*out = verifier;
		return PL_OK;
	}
	uv_sem_destroy(&verifier->wake);
	uv_close((uv_handle_t *)&verifier->async, on_closed);
	return PL_ERR_IO;
no_async:
	uv_sem_destroy(&verifier->wake);
no_sem:
	free(verifier);
	return PL_ERR_IO;
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
	uv_close((uv_handle_t *)&verifier->async, on_closed);
}
