#include "node/buffer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 512

/* For so many more, and the NUL. */
static bool make_room(struct pl_buffer *buffer, size_t count)
{
	size_t room = buffer->room ? buffer->room : ROOM_MIN;

	if (buffer->err == PL_OK && count > buffer->bytes_max - buffer->count)
		buffer->err = PL_ERR_LIMIT;
	if (buffer->err != PL_OK)
		return false;
	if (count < buffer->room - buffer->count)
		return true;
	while (room - buffer->count <= count)
		room = room > buffer->bytes_max / 2 ? buffer->bytes_max + 1 : 2 * room;
	char *bytes = realloc(buffer->bytes, room);
	if (!bytes) {
		buffer->err = PL_ERR_MEMORY;
		return false;
	}
	buffer->bytes = bytes;
	buffer->room = room;
	return true;
}

void pl_buffer_add(struct pl_buffer *buffer, const void *bytes, size_t count)
{
	if (!make_room(buffer, count))
		return;
	if (count > 0)
		memcpy(buffer->bytes + buffer->count, bytes, count);
	buffer->count += count;
	buffer->bytes[buffer->count] = '\0';
}

void pl_buffer_add_text(struct pl_buffer *buffer, const char *text)
{
	pl_buffer_add(buffer, text, strlen(text));
}

void pl_buffer_clear(struct pl_buffer *buffer)
{
	buffer->count = 0;
	if (buffer->bytes)
		buffer->bytes[0] = '\0';
}

char *pl_buffer_take(struct pl_buffer *buffer, size_t *count)
{
	pl_buffer_add(buffer, "", 0);
	if (buffer->err != PL_OK) {
		pl_buffer_dispose(buffer);
		return NULL;
	}
	char *bytes = buffer->bytes;
	*count = buffer->count;
	*buffer = (struct pl_buffer)PL_BUFFER(buffer->bytes_max);
	return bytes;
}

void pl_buffer_dispose(struct pl_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct pl_buffer)PL_BUFFER(buffer->bytes_max);
}
