/* The handshake of a link: three Noise messages, each behind a u16 length. PROTOCOL.md, "Handshake".
 *
 * Bytes in, bytes out; a pl_handshake is all that an unauthenticated connection costs. Both sides end with two ciphers and the other's
 * static key; whose key it is, is for the caller to find in the charter.
 */
#ifndef PL_PROTO_HANDSHAKE_H
#define PL_PROTO_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "crypto/noise.h"
#include "proto/limits.h"

/* Messages 1 and 2 carry the sender's unix time (8 bytes), message 3 nothing. With the length: */
#define PL_HANDSHAKE_BYTES_1 (2 + PL_NOISE_OVERHEAD_1 + 8)
#define PL_HANDSHAKE_BYTES_2 (2 + PL_NOISE_OVERHEAD_2 + 8)
#define PL_HANDSHAKE_BYTES_3 (2 + PL_NOISE_OVERHEAD_3)
#define PL_HANDSHAKE_BYTES_MAX PL_HANDSHAKE_BYTES_3

struct pl_handshake {
	struct pl_noise noise;
	uint8_t buffer[PL_HANDSHAKE_BYTES_MAX];
	uint8_t have;
};

struct pl_handshake_keys {
	const uint8_t *network_id;    /* 32 */
	const uint8_t *static_secret; /* 32 */
	const uint8_t *remote_static; /* 32: we dial this peer; NULL: we were dialled */
	const uint8_t *courier_key;   /* 32, shared with that peer, or NULL */
	bool any_courier_key;         /* responder: some peer shares one with us */
	pl_noise_find_psk find_courier_key;
	void *ctx;
};

/* Dialler: starts, and writes message 1 to out[PL_HANDSHAKE_BYTES_1]. */
PL_MUST_CHECK enum pl_err pl_handshake_dial(struct pl_handshake *hs, const struct pl_handshake_keys *keys, const uint8_t ephemeral_secret[32],
                                            uint64_t wall_ms, uint8_t out[PL_HANDSHAKE_BYTES_1]);
/* Dialled: waits for message 1; keys and the ephemeral secret are needed when it is whole. */
void pl_handshake_listen(struct pl_handshake *hs);

/* Takes bytes until a message is whole; *consumed says how many. PL_OK with *complete false: more is needed. With *complete true: *out_bytes to send
 * (possibly 0), and pl_handshake_is_done() may hold. PL_ERR_DECRYPT, PL_ERR_FORMAT, PL_ERR_REFUSED and PL_ERR_NO_KEY (noise.h): hang up without a word.
 * PL_ERR_EXPIRED: the other clock is more than PL_HANDSHAKE_SKEW_MS_MAX away. The responder finds the initiator's ephemeral key in
 * noise.remote_ephemeral after message 1, to refuse what it has seen before. */
PL_MUST_CHECK enum pl_err pl_handshake_feed(struct pl_handshake *hs, const struct pl_handshake_keys *keys,
                                            const uint8_t ephemeral_secret[32], uint64_t wall_ms, const uint8_t *bytes, size_t count,
                                            size_t *consumed, bool *complete, uint8_t out[PL_HANDSHAKE_BYTES_MAX], size_t *out_bytes);
/* Of one that has been dialled: whether it has taken message 1 and answered. */
bool pl_handshake_has_answered(const struct pl_handshake *hs);
bool pl_handshake_is_done(const struct pl_handshake *hs);

#endif
