/* What readers and writers of contents share. content.c: all but messages; content_message.c: messages. */
#ifndef PL_PROTO_CONTENT_IMPL_H
#define PL_PROTO_CONTENT_IMPL_H

#include "proto/content.h"
#include "proto/mp.h"

/* These take the next element; a rule that it breaks is left in cursor->err, as pl_mp_take_…() do. */
struct pl_text pl_content_take_text(struct pl_mp_cursor *cursor, size_t bytes_max);
struct pl_text pl_content_take_line(struct pl_mp_cursor *cursor, size_t bytes_max);
uint64_t pl_content_take_between(struct pl_mp_cursor *cursor, uint64_t min, uint64_t max);
void pl_content_put_text(struct pl_mp_writer *writer, struct pl_text text);

/* The array of so many fields that a content is, up to behind its version. tokens: tokens_max of them, for as long as the cursor. */
PL_MUST_CHECK enum pl_err pl_content_start_read(struct pl_mp_cursor *cursor, const uint8_t *bytes, size_t count, size_t count_max,
                                                uint32_t fields, struct pl_mp_token *tokens, size_t tokens_max);
void pl_content_start_write(struct pl_mp_writer *writer, uint8_t *out, size_t out_max, uint32_t fields);

#endif
