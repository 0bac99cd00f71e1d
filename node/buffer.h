/* Bytes in the making: a buffer that grows, up to the ceiling that it is born with, so that nothing a peer or a client sends makes it grow without end.
 *
 * Errors stick: once there was no memory or the ceiling would have been passed, nothing more is added. So a text is put together without
 * looking at each piece, and whoever makes it looks once, at its end.
 */
#ifndef PL_NODE_BUFFER_H
#define PL_NODE_BUFFER_H

#include <stddef.h>

#include "crypto/err.h"

struct pl_buffer {
	size_t bytes_max; /* the ceiling, for count */
	char *bytes;      /* malloc'd, and with a NUL after the last; NULL before anything was added */
	size_t count, room;
	enum pl_err err;  /* PL_OK, PL_ERR_MEMORY, PL_ERR_LIMIT */
};
#define PL_BUFFER(max) { .bytes_max = (max) }

void pl_buffer_add(struct pl_buffer *buffer, const void *bytes, size_t count);
void pl_buffer_add_text(struct pl_buffer *buffer, const char *text);
/* Nothing is in it, and its memory is kept for what comes next. An error stays. */
void pl_buffer_clear(struct pl_buffer *buffer);
/* Hands its bytes over, with a NUL after the last, which *count does not count; the caller frees them. NULL on an error of before. The buffer is as at its birth. */
char *pl_buffer_take(struct pl_buffer *buffer, size_t *count);
/* As at its birth. */
void pl_buffer_dispose(struct pl_buffer *buffer);

#endif
