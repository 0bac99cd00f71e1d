/* An entry as a peer sends it: whole in a frame, or in pieces. For peers that tests speak for. PROTOCOL.md, "Frames". */
#ifndef PL_TESTS_PIECES_H
#define PL_TESTS_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/bytes.h"
#include "proto/frame.h"
#include "proto/limits.h"

/* Hands each frame to put(). flags: those of the entry; FIRST and LAST are added. */
static inline void in_pieces(const uint8_t *wire, size_t bytes, uint8_t flags, uint8_t lane,
                             void (*put)(void *ctx, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, size_t payload_bytes), void *ctx)
{
	static uint8_t piece[PL_FRAME_PAYLOAD_BYTES_MAX];

	if (bytes <= sizeof(piece)) {
		put(ctx, PL_FRAME_ENTRY, flags, lane, wire, bytes);
		return;
	}
	for (size_t at = 0; at < bytes;) {
		size_t head = 0, count = sizeof(piece);
		uint8_t piece_flags = flags;
		if (at == 0) {
			pl_put32(piece, (uint32_t)bytes);
			head = 4;
			piece_flags |= PL_FRAME_FIRST;
		}
		if (count - head >= bytes - at) {
			count = head + bytes - at;
			piece_flags |= PL_FRAME_LAST;
		}
		memcpy(piece + head, wire + at, count - head);
		put(ctx, PL_FRAME_FRAG, piece_flags, lane, piece, count);
		at += count - head;
	}
}

#endif
