#include "proto/record.h"

#include <string.h>

#include "crypto/bytes.h"
#include "proto/frame.h"

static void count_record(struct pl_record_stream *stream, size_t wire_bytes)
{
	stream->records++;
	stream->bytes += wire_bytes;
	/* PROTOCOL: "After every 65,536 records a direction is rekeyed." */
	if (stream->records % PL_RECORDS_PER_KEY == 0)
		pl_noise_rekey(&stream->cipher);
}

enum pl_err pl_record_read(struct pl_record_reader *reader, const uint8_t *bytes, size_t count, size_t *consumed,
                           uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX], size_t *plain_bytes)
{
	const bool has_begun = reader->have > 0 || count < 2;
	const uint8_t *record = has_begun ? reader->buffer : bytes;
	size_t used = 0;

	*plain_bytes = 0;
	while (has_begun && reader->have < 2 && used < count)
		reader->buffer[reader->have++] = bytes[used++];
	if (has_begun && reader->have < 2) {
		*consumed = used;
		return PL_OK;
	}
	const size_t sealed_bytes = pl_get16(record);
	if (sealed_bytes <= PL_NOISE_TAG_BYTES || sealed_bytes > PL_RECORD_BYTES_MAX ||
	    pl_record_padded(sealed_bytes - PL_NOISE_TAG_BYTES) != sealed_bytes - PL_NOISE_TAG_BYTES)
		return PL_ERR_FORMAT;
	size_t take = 2 + sealed_bytes - reader->have;
	if (take > count - used)
		take = count - used;
	*consumed = used + take;
	if (take > 0 && (has_begun || take < 2 + sealed_bytes)) {
		memcpy(reader->buffer + reader->have, bytes + used, take);
		reader->have += take;
	}
	if (reader->have > 0 && reader->have < 2 + sealed_bytes)
		return PL_OK;
	reader->have = 0;
	enum pl_err err = pl_noise_decrypt(&reader->stream.cipher, record + 2, sealed_bytes, plain);
	if (err != PL_OK)
		return err;
	count_record(&reader->stream, 2 + sealed_bytes);
	*plain_bytes = sealed_bytes - PL_NOISE_TAG_BYTES;
	return PL_OK;
}

enum pl_err pl_record_seal(struct pl_record_stream *stream, uint8_t record[PL_RECORD_WIRE_BYTES_MAX], size_t plain_bytes,
                           size_t *record_bytes)
{
	const size_t padded = pl_record_padded(plain_bytes);

	memset(record + 2 + plain_bytes, 0, padded - plain_bytes);
	enum pl_err err = pl_noise_encrypt(&stream->cipher, record + 2, padded, record + 2);
	if (err != PL_OK)
		return err;
	pl_put16(record, (uint16_t)(padded + PL_NOISE_TAG_BYTES));
	*record_bytes = 2 + padded + PL_NOISE_TAG_BYTES;
	count_record(stream, *record_bytes);
	return PL_OK;
}
