/* Which thread may call what. A header says "loop thread" or "worker thread"; an assertion holds it to its word, in every build. */
#ifndef PL_NODE_THREAD_H
#define PL_NODE_THREAD_H

#include <stdbool.h>
#include <uv.h>

/* Whether the caller runs on this one, as uv_thread_self() gave it there. */
static inline bool pl_thread_is(uv_thread_t thread)
{
	uv_thread_t self = uv_thread_self();
	return uv_thread_equal(&thread, &self);
}

#endif
