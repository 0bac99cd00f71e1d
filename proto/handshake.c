#include "proto/handshake.h"

#include <assert.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/labels.h"
#include "proto/entry.h"
#include "proto/frame.h"

static enum pl_err start(struct pl_noise *noise, const struct pl_handshake_keys *keys, const uint8_t ephemeral_secret[32], bool psk)
{
	uint8_t prologue[sizeof(PL_LABEL_NOISE) + PL_ID_BYTES + 2];

	memcpy(prologue, PL_LABEL_NOISE, sizeof(PL_LABEL_NOISE));
	memcpy(prologue + sizeof(PL_LABEL_NOISE), keys->network_id, PL_ID_BYTES);
	pl_put16(prologue + sizeof(PL_LABEL_NOISE) + PL_ID_BYTES, PL_PROTOCOL_VERSION);
	return pl_noise_init(noise, &(struct pl_noise_setup){
		.role = keys->remote_static ? PL_NOISE_INITIATOR : PL_NOISE_RESPONDER,
		.static_secret = keys->static_secret, .remote_static = keys->remote_static,
		.psk = keys->remote_static && psk ? keys->courier_key : NULL, .psk_later = !keys->remote_static && psk,
		.ephemeral_secret = ephemeral_secret, .prologue = prologue, .prologue_bytes = sizeof(prologue) });
}

static enum pl_err write_message(struct pl_handshake *hs, const uint8_t *payload, size_t payload_bytes, uint8_t *out, size_t out_max,
                                 size_t *out_bytes)
{
	size_t message_bytes;
	enum pl_err err = pl_noise_write(&hs->noise, payload, payload_bytes, out + 2, out_max - 2, &message_bytes);

	if (err != PL_OK)
		return err;
	pl_put16(out, (uint16_t)message_bytes);
	*out_bytes = 2 + message_bytes;
	return PL_OK;
}

enum pl_err pl_handshake_dial(struct pl_handshake *hs, const struct pl_handshake_keys *keys, const uint8_t ephemeral_secret[32],
                              uint64_t wall_ms, uint8_t out[PL_HANDSHAKE_BYTES_1])
{
	uint8_t time[8];
	size_t out_bytes;

	memset(hs, 0, sizeof(*hs));
	/* PROTOCOL: "Two members that share a courier key use it: a link between them without it is refused by both." */
	enum pl_err err = start(&hs->noise, keys, ephemeral_secret, keys->courier_key != NULL);
	if (err != PL_OK)
		return err;
	pl_put64(time, wall_ms);
	return write_message(hs, time, sizeof(time), out, PL_HANDSHAKE_BYTES_1, &out_bytes);
}

void pl_handshake_listen(struct pl_handshake *hs)
{
	memset(hs, 0, sizeof(*hs));
}

static enum pl_err check_clock(const uint8_t time[8], uint64_t wall_ms)
{
	const uint64_t theirs = pl_get64(time);
	const uint64_t apart = theirs > wall_ms ? theirs - wall_ms : wall_ms - theirs;

	/* PROTOCOL: "A message 1 or 2 whose time is more than 10 minutes from the receiver's clock ends the handshake." */
	return apart > PL_HANDSHAKE_SKEW_MS_MAX ? PL_ERR_EXPIRED : PL_OK;
}

/* Message 1 does not say whether it is XK or XKpsk3: the responder tries the one and then, where it holds any courier key, the other. */
static enum pl_err read_first(struct pl_handshake *hs, const struct pl_handshake_keys *keys, const uint8_t ephemeral_secret[32],
                              uint8_t time[8])
{
	const size_t message_bytes = PL_HANDSHAKE_BYTES_1 - 2;
	enum pl_err err = PL_ERR_DECRYPT;

	for (int psk = 0; psk <= (keys->any_courier_key ? 1 : 0) && err != PL_OK; psk++) {
		size_t payload_bytes;
		err = start(&hs->noise, keys, ephemeral_secret, psk != 0);
		if (err != PL_OK)
			return err;
		err = pl_noise_read(&hs->noise, hs->buffer + 2, message_bytes, time, 8, &payload_bytes, NULL, NULL);
		if (err == PL_OK && payload_bytes != 8)
			err = PL_ERR_FORMAT;
	}
	return err;
}

bool pl_handshake_has_answered(const struct pl_handshake *hs)
{
	return hs->noise.step == 2; /* its messages are counted */
}

static enum pl_err take_message(struct pl_handshake *hs, const struct pl_handshake_keys *keys, const uint8_t ephemeral_secret[32],
                                uint64_t wall_ms, size_t message_bytes, uint8_t *out, size_t *out_bytes)
{
	const bool dialler = keys->remote_static != NULL;
	uint8_t time[8], none[1];
	size_t payload_bytes;
	enum pl_err err;

	*out_bytes = 0;
	if (!dialler && pl_handshake_has_answered(hs))
		return pl_noise_read(&hs->noise, hs->buffer + 2, message_bytes, none, 0, &payload_bytes, keys->find_courier_key, keys->ctx);

	if (!dialler)
		err = read_first(hs, keys, ephemeral_secret, time);
	else
		err = pl_noise_read(&hs->noise, hs->buffer + 2, message_bytes, time, sizeof(time), &payload_bytes, NULL, NULL);
	if (err == PL_OK)
		err = check_clock(time, wall_ms);
	if (err != PL_OK)
		return err;
	pl_put64(time, wall_ms);
	if (!dialler)
		return write_message(hs, time, sizeof(time), out, PL_HANDSHAKE_BYTES_MAX, out_bytes);
	return write_message(hs, NULL, 0, out, PL_HANDSHAKE_BYTES_MAX, out_bytes);
}

enum pl_err pl_handshake_feed(struct pl_handshake *hs, const struct pl_handshake_keys *keys, const uint8_t ephemeral_secret[32],
                              uint64_t wall_ms, const uint8_t *bytes, size_t count, size_t *consumed, bool *complete,
                              uint8_t out[PL_HANDSHAKE_BYTES_MAX], size_t *out_bytes)
{
	const bool dialler = keys->remote_static != NULL;
	/* Each message has one size, so nothing that announces another is waited for. */
	const size_t whole = dialler ? PL_HANDSHAKE_BYTES_2 : pl_handshake_has_answered(hs) ? PL_HANDSHAKE_BYTES_3 : PL_HANDSHAKE_BYTES_1;
	size_t take = whole - hs->have;

	assert(!pl_handshake_is_done(hs));
	if (take > count)
		take = count;
	memcpy(hs->buffer + hs->have, bytes, take);
	hs->have = (uint8_t)(hs->have + take);
	*consumed = take;
	*complete = false;
	*out_bytes = 0;
	if (hs->have >= 2 && pl_get16(hs->buffer) != whole - 2)
		return PL_ERR_FORMAT;
	if (hs->have < whole)
		return PL_OK;
	hs->have = 0;
	enum pl_err err = take_message(hs, keys, ephemeral_secret, wall_ms, whole - 2, out, out_bytes);
	if (err != PL_OK)
		return err;
	*complete = true;
	return PL_OK;
}

bool pl_handshake_is_done(const struct pl_handshake *hs)
{
	return pl_noise_is_done(&hs->noise);
}
