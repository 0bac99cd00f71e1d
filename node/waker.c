#include "node/waker.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/thread.h"

struct pl_waker {
	uv_poll_t poll;
	uv_thread_t loop_thread;
	int fd;
	atomic_bool is_due; /* the loop is awake already, or will be: one write is enough */
	void (*woken)(void *ctx);
	void *ctx;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct pl_waker *waker = poll->data;
	uint64_t count;

	(void)status; /* the descriptor is ours, and the eventfd cannot fail */
	(void)events;
	while (read(waker->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	/* In this order: who comes after this writes once more, and who came before is served now. */
	(void)atomic_exchange(&waker->is_due, false);
	waker->woken(waker->ctx);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

enum pl_err pl_waker_new(uv_loop_t *loop, void (*woken)(void *ctx), void *ctx, struct pl_waker **out)
{
	struct pl_waker *waker = calloc(1, sizeof(*waker));

	if (!waker)
		return PL_ERR_MEMORY;
	waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (waker->fd < 0 || uv_poll_init(loop, &waker->poll, waker->fd) != 0)
		goto no_poll;
	waker->poll.data = waker;
	waker->woken = woken;
	waker->ctx = ctx;
	waker->loop_thread = uv_thread_self();
	if (uv_poll_start(&waker->poll, UV_READABLE, on_readable) != 0)
		abort(); /* libuv fails it only for a handle that closes */
	*out = waker;
	return PL_OK;
no_poll:
	if (waker->fd >= 0)
		close(waker->fd);
	free(waker);
	return PL_ERR_IO;
}

void pl_waker_wake(struct pl_waker *waker)
{
	static const uint64_t one = 1;

	if (atomic_exchange(&waker->is_due, true))
		return;
	while (write(waker->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void pl_waker_close(struct pl_waker *waker)
{
	assert(pl_thread_is(waker->loop_thread));
	uv_close((uv_handle_t *)&waker->poll, on_closed);
	close(waker->fd);
}
