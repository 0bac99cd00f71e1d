/* Text in the making, for text.c and output.c: what a format gives, with every %s of it through a filter. */
#ifndef PL_NODE_CLI_BUFFER_H
#define PL_NODE_CLI_BUFFER_H

#include "node/buffer.h"
#include "node/cli/cli.h"

/* To begin with: empty. A text of more than that is one for which there is no memory. */
#define PL_TEXT_IN_MAKING PL_BUFFER(1u << 30)
_Noreturn void pl_no_memory(void);
void pl_put(struct pl_buffer *buffer, const char *chars, size_t count); /* or ends the command */
void pl_put_text(struct pl_buffer *buffer, const char *chars);
char *pl_buffer_keep(struct pl_buffer *buffer); /* its bytes in memory of pl_alloc(); the buffer is gone */

typedef void (*pl_put_filtered)(struct pl_buffer *buffer, const char *text, size_t count);
void pl_put_raw(struct pl_buffer *buffer, const char *text, size_t count);
void pl_put_visible(struct pl_buffer *buffer, const char *text, size_t count);
void pl_put_visible_color(struct pl_buffer *buffer, const char *text, size_t count);
/* What a backslash of the text itself becomes where it would read as the beginning of an escape. */
enum pl_typed {
	PL_TYPED_APART, /* two, and so does one before an escape: an odd run of them is an escape with its own, an even one was typed */
	PL_TYPED_AS_IS, /* one: in sentences of which a part may have been made visible before */
};
void pl_put_visible_as(struct pl_buffer *buffer, const char *text, size_t count, bool color, enum pl_typed typed);
/* printf of which every %s goes through a filter, and counts columns rather than bytes for its width. */
void pl_put_list(struct pl_buffer *buffer, pl_put_filtered filter, const char *format, va_list list);

/* Prints what is made visible already, as pl_out_styled() and pl_out_rest() do the rest. */
void pl_out_shown(enum pl_style style, const char *shown);
void pl_out_shown_rest(int columns, const char *shown);

#endif
