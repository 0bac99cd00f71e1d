/* Records: what a link carries after the handshake. u16 length | ChaCha20-Poly1305 of a plaintext of 256, 1,024, 4,096 or 16,384 bytes.
 * PROTOCOL.md, "Records". Each direction has its own cipher and rekeys by count.
 */
#ifndef PL_PROTO_RECORD_H
#define PL_PROTO_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "crypto/noise.h"
#include "proto/limits.h"

#define PL_RECORD_WIRE_BYTES_MAX (2 + PL_RECORD_BYTES_MAX)

struct pl_record_stream {
	struct pl_noise_cipher cipher;
	uint64_t records, bytes; /* of the wire */
};

struct pl_record_reader {
	struct pl_record_stream stream;
	size_t have;
	uint8_t buffer[PL_RECORD_WIRE_BYTES_MAX]; /* of a record that comes in parts */
};

/* Takes bytes up to the end of a record, and opens it into plain. PL_OK with *plain_bytes 0: more is needed. PL_ERR_FORMAT: a length that no
 * record has; PL_ERR_DECRYPT. Both end the link. */
PL_MUST_CHECK enum pl_err pl_record_read(struct pl_record_reader *reader, const uint8_t *bytes, size_t count, size_t *consumed,
                                         uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX], size_t *plain_bytes);

/* Seals the plaintext that stands at record + 2 (PL_RECORD_PLAIN_BYTES_MAX of room), padding it with zeros. Returns the bytes to send. PL_ERR_STATE:
 * the cipher is worn out. */
PL_MUST_CHECK enum pl_err pl_record_seal(struct pl_record_stream *stream, uint8_t record[PL_RECORD_WIRE_BYTES_MAX], size_t plain_bytes,
                                         size_t *record_bytes);

#endif
