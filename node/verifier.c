#include "node/verifier.h"

#include <assert.h>
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

struct queue {
	struct request *first, **last;
};

struct pl_verifier {
	uv_async_t async;
	uv_thread_t thread, loop_thread;
	uv_mutex_t mutex;
	uv_cond_t cond;
	struct queue waiting, done; /* with the mutex */
	bool is_stopping;
	uint8_t network_id[PL_ID_BYTES];
	pl_verified report;
	void *ctx;
};

static void push(struct queue *queue, struct request *request)
{
	request->next = NULL;
	*queue->last = request;
	queue->last = &request->next;
}

static struct request *take_all(struct queue *queue)
{
	struct request *first = queue->first;

	queue->first = NULL;
	queue->last = &queue->first;
	return first;
}

static struct request *pop(struct queue *queue)
{
	struct request *request = queue->first;

	if (request) {
		queue->first = request->next;
		if (!queue->first)
			queue->last = &queue->first;
	}
	return request;
}

static void run(void *ctx)
{
	struct pl_verifier *verifier = ctx;

	/* Of this thread alone, as Linux has it. If it is refused, bulk is in the way at times, and nothing else is wrong. */
	(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + PL_VERIFIER_NICE);
	uv_mutex_lock(&verifier->mutex);
	while (!verifier->is_stopping) {
		struct request *request = pop(&verifier->waiting);
		if (!request) {
			uv_cond_wait(&verifier->cond, &verifier->mutex);
			continue;
		}
		uv_mutex_unlock(&verifier->mutex);
		request->good = pl_entries_verify(verifier->network_id, request->headers, request->count);
		uv_mutex_lock(&verifier->mutex);
		push(&verifier->done, request);
		uv_async_send(&verifier->async);
	}
	uv_mutex_unlock(&verifier->mutex);
}

static void on_async(uv_async_t *async)
{
	struct pl_verifier *verifier = async->data;

	uv_mutex_lock(&verifier->mutex);
	struct request *request = take_all(&verifier->done);
	uv_mutex_unlock(&verifier->mutex);
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
	verifier->waiting.last = &verifier->waiting.first;
	verifier->done.last = &verifier->done.first;
	verifier->report = done;
	verifier->ctx = ctx;
	verifier->loop_thread = uv_thread_self();
	memcpy(verifier->network_id, network_id, PL_ID_BYTES);
	verifier->async.data = verifier;
	if (uv_mutex_init(&verifier->mutex) != 0)
		goto no_mutex;
	if (uv_cond_init(&verifier->cond) != 0)
		goto no_cond;
	if (uv_async_init(loop, &verifier->async, on_async) != 0)
		goto no_async;
	if (uv_thread_create(&verifier->thread, run, verifier) == 0) {
		*out = verifier;
		return PL_OK;
	}
	uv_cond_destroy(&verifier->cond);
	uv_mutex_destroy(&verifier->mutex);
	uv_close((uv_handle_t *)&verifier->async, on_closed);
	return PL_ERR_IO;
no_async:
	uv_cond_destroy(&verifier->cond);
no_cond:
	uv_mutex_destroy(&verifier->mutex);
no_mutex:
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
	uv_mutex_lock(&verifier->mutex);
	push(&verifier->waiting, request);
	uv_cond_signal(&verifier->cond);
	uv_mutex_unlock(&verifier->mutex);
	return PL_OK;
}

static void free_all(struct request *request)
{
	while (request) {
		struct request *next = request->next;
		free(request);
		request = next;
	}
}

void pl_verifier_close(struct pl_verifier *verifier)
{
	assert(pl_thread_is(verifier->loop_thread));
	uv_mutex_lock(&verifier->mutex);
	verifier->is_stopping = true;
	uv_cond_signal(&verifier->cond);
	uv_mutex_unlock(&verifier->mutex);
	uv_thread_join(&verifier->thread);
	free_all(take_all(&verifier->waiting));
	free_all(take_all(&verifier->done));
	uv_cond_destroy(&verifier->cond);
	uv_mutex_destroy(&verifier->mutex);
	uv_close((uv_handle_t *)&verifier->async, on_closed);
}
