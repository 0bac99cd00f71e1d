/* Wakes the loop from another thread: after pl_waker_wake(), `woken` runs on the loop's thread, once for one call or for several.
 *
 * Why not uv_async_t: in libuv 1.44 its sender marks the handle, wakes the loop and marks the handle again, and the loop spins until it sees the
 * second mark. A sender that is put aside in between, and waking the loop is just what puts a thread of low priority aside, holds up the loop
 * until it has its turn again. Here the loop never waits for who wakes it. Linux: eventfd(2).
 */
#ifndef PL_NODE_WAKER_H
#define PL_NODE_WAKER_H

#include <uv.h>

#include "crypto/err.h"

struct pl_waker;

/* Loop thread. PL_ERR_MEMORY, PL_ERR_IO (no descriptor to be had). */
PL_MUST_CHECK enum pl_err pl_waker_new(uv_loop_t *loop, void (*woken)(void *ctx), void *ctx, struct pl_waker **out);
/* Any thread. What the caller wrote before is seen by woken. */
void pl_waker_wake(struct pl_waker *waker);
/* Loop thread, when no other thread wakes any more; woken does not run again. The loop must turn once more to let go of the memory. */
void pl_waker_close(struct pl_waker *waker);

#endif
