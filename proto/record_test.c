#include "proto/record.h"

#include <criterion/criterion.h>
#include <string.h>

#include "crypto/bytes.h"

static struct pl_record_stream writer;
static struct pl_record_reader reader;
static uint8_t record[PL_RECORD_WIRE_BYTES_MAX], plain[PL_RECORD_PLAIN_BYTES_MAX];

static void reset(void)
{
	memset(&writer, 0, sizeof(writer));
	memset(&reader, 0, sizeof(reader));
	memset(writer.cipher.key, 5, sizeof(writer.cipher.key));
	writer.cipher.has_key = true;
	reader.stream.cipher = writer.cipher;
}

/* A record of so many bytes that begin with fill; its size on the wire. */
static size_t seal(size_t plain_bytes, uint8_t fill)
{
	size_t record_bytes = 0;

	memset(record, 0xee, sizeof(record)); /* what lay there before must not travel */
	memset(record + 2, fill, plain_bytes);
	cr_assert_eq(pl_record_seal(&writer, record, plain_bytes, &record_bytes), PL_OK);
	return record_bytes;
}

static enum pl_err read_all(const uint8_t *bytes, size_t count, size_t *plain_bytes)
{
	size_t consumed = 0;
	enum pl_err err = pl_record_read(&reader, bytes, count, &consumed, plain, plain_bytes);

	if (err == PL_OK)
		cr_assert_eq(consumed, count);
	return err;
}

Test(record, each_size_comes_back_padded_with_zeros)
{
	static const struct {
		size_t plain, padded;
	} sizes[] = { { 0, 256 }, { 1, 256 }, { 255, 256 }, { 256, 256 }, { 257, 1024 }, { 1024, 1024 }, { 1025, 4096 }, { 4096, 4096 },
		      { 4097, 16384 }, { 16383, 16384 }, { 16384, 16384 } };

	reset();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t plain_bytes;
		const size_t record_bytes = seal(sizes[i].plain, 7);
		cr_assert_eq(record_bytes, 2 + sizes[i].padded + 16);
		cr_assert_eq(read_all(record, record_bytes, &plain_bytes), PL_OK);
		cr_assert_eq(plain_bytes, sizes[i].padded);
		for (size_t k = 0; k < plain_bytes; k++)
			cr_assert_eq(plain[k], k < sizes[i].plain ? 7 : 0, "size %zu, byte %zu", sizes[i].plain, k);
	}
	cr_assert_eq(writer.records, sizeof(sizes) / sizeof(*sizes));
	cr_assert_eq(reader.stream.records, writer.records);
	cr_assert_eq(reader.stream.bytes, writer.bytes);
}

Test(record, it_may_come_in_two_parts_cut_anywhere_or_byte_by_byte)
{
	reset();
	for (size_t cut = 0; cut <= 2 + 256 + 16; cut++) {
		size_t plain_bytes = 0;
		const size_t record_bytes = seal(10, (uint8_t)cut);
		cr_assert_eq(read_all(record, cut, &plain_bytes), PL_OK);
		if (cut < record_bytes) {
			cr_assert_eq(plain_bytes, 0, "cut at %zu", cut);
			cr_assert_eq(read_all(record + cut, record_bytes - cut, &plain_bytes), PL_OK);
		}
		cr_assert_eq(plain_bytes, 256);
		cr_assert_eq(plain[9], (uint8_t)cut);
	}
	const size_t record_bytes = seal(10, 9);
	for (size_t i = 0; i < record_bytes; i++) {
		size_t plain_bytes;
		cr_assert_eq(read_all(record + i, 1, &plain_bytes), PL_OK);
		cr_assert_eq(plain_bytes > 0, i == record_bytes - 1);
	}
}

Test(record, reading_stops_at_the_end_of_a_record)
{
	uint8_t both[2 * (2 + 256 + 16)];
	size_t consumed, plain_bytes;

	reset();
	for (uint8_t i = 0; i < 2; i++) {
		const size_t record_bytes = seal(1, (uint8_t)(i + 1));
		memcpy(both + i * record_bytes, record, record_bytes);
	}
	cr_assert_eq(pl_record_read(&reader, both, sizeof(both), &consumed, plain, &plain_bytes), PL_OK);
	cr_assert_eq(consumed, sizeof(both) / 2);
	cr_assert_eq(plain[0], 1);
	cr_assert_eq(pl_record_read(&reader, both + consumed, sizeof(both) - consumed, &consumed, plain, &plain_bytes), PL_OK);
	cr_assert_eq(plain[0], 2);
}

Test(record, of_all_lengths_four_exist)
{
	int taken = 0;

	for (uint32_t length = 0; length <= 0xffff; length++) {
		uint8_t head[2];
		size_t consumed, plain_bytes;
		reset();
		pl_put16(head, (uint16_t)length);
		enum pl_err err = pl_record_read(&reader, head, 2, &consumed, plain, &plain_bytes);
		const bool exists = length == 272 || length == 1040 || length == 4112 || length == 16400;
		cr_assert_eq(err, exists ? PL_OK : PL_ERR_FORMAT, "length %u", length);
		taken += exists;
	}
	cr_assert_eq(taken, 4);
}

Test(record, a_bit_that_was_turned_anywhere_ends_it)
{
	for (size_t at = 2; at < 2 + 256 + 16; at++) {
		size_t plain_bytes;
		reset();
		const size_t record_bytes = seal(3, 1);
		record[at] ^= (uint8_t)(1 << at % 8);
		cr_assert_eq(read_all(record, record_bytes, &plain_bytes), PL_ERR_DECRYPT, "byte %zu", at);
		cr_assert_eq(plain_bytes, 0);
	}
}

Test(record, one_played_again_or_out_of_turn_does_not_open)
{
	uint8_t first[PL_RECORD_WIRE_BYTES_MAX];
	size_t plain_bytes;

	reset();
	const size_t record_bytes = seal(3, 1);
	memcpy(first, record, record_bytes);
	cr_assert_eq(read_all(first, record_bytes, &plain_bytes), PL_OK);
	cr_assert_eq(read_all(first, record_bytes, &plain_bytes), PL_ERR_DECRYPT);

	reset();
	(void)seal(3, 1);
	(void)seal(3, 2); /* sent second, comes first */
	cr_assert_eq(read_all(record, record_bytes, &plain_bytes), PL_ERR_DECRYPT);
}

Test(record, a_direction_is_rekeyed_after_65536_records_and_not_before)
{
	size_t plain_bytes;

	reset();
	const struct pl_noise_cipher before = writer.cipher;
	for (uint32_t i = 1; i <= PL_RECORDS_PER_KEY + 2; i++) {
		const size_t record_bytes = seal(1, (uint8_t)i);
		cr_assert_eq(memcmp(writer.cipher.key, before.key, sizeof(before.key)) == 0, i < PL_RECORDS_PER_KEY, "record %u", i);
		cr_assert_eq(writer.cipher.nonce, i, "the nonce goes on");
		cr_assert_eq(read_all(record, record_bytes, &plain_bytes), PL_OK, "record %u", i);
		cr_assert_eq(plain[0], (uint8_t)i);
	}
	cr_assert_arr_eq(writer.cipher.key, reader.stream.cipher.key, sizeof(before.key));
}

Test(record, a_worn_out_cipher_seals_nothing)
{
	size_t record_bytes = 77;

	reset();
	writer.cipher.nonce = UINT64_MAX - 1;
	(void)seal(1, 1);
	cr_assert_eq(pl_record_seal(&writer, record, 1, &record_bytes), PL_ERR_STATE);
	cr_assert_eq(record_bytes, 77);
	cr_assert_eq(writer.records, 1);
}
