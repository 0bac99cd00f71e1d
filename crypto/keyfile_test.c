#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>

#include "crypto/keyfile.h"
#include "tests/vectors.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#endif

static const char passphrase[] = "correct horse";
#define PASSPHRASE passphrase, sizeof(passphrase) - 1
static const uint8_t salt[16] = { 1 }, nonce[24] = { 2 }, payload[100] = { 3 };
static uint8_t file[sizeof(payload) + PL_KEYFILE_OVERHEAD], opened[sizeof(payload)];
static size_t opened_bytes;

static void make_file(void)
{
	cr_assert_eq(pl_keyfile_seal(PL_KEYFILE_COST_MIN, PASSPHRASE, salt, nonce, payload, sizeof(payload), file), PL_OK);
}

static enum pl_err open_file(size_t file_bytes)
{
	return pl_keyfile_open(PASSPHRASE, file, file_bytes, opened, &opened_bytes);
}

TestSuite(keyfile, .init = make_file);

Test(keyfile, layout)
{
	static const uint8_t prefix[12] = { 'P', 'L', 'K', '1', 1, 1, 0, 1, 0, 0, 0, 8 };
	cr_assert_arr_eq(file, prefix, sizeof(prefix));
	cr_assert_arr_eq(file + 12, salt, 16);
	cr_assert_arr_eq(file + 28, nonce, 24);
}

Test(keyfile, opens_with_its_passphrase_only)
{
	cr_assert_eq(open_file(sizeof(file)), PL_OK);
	cr_assert_eq(opened_bytes, sizeof(payload));
	cr_assert_arr_eq(opened, payload, sizeof(payload));
	cr_assert_eq(pl_keyfile_open("correct hors", 12, file, sizeof(file), opened, &opened_bytes), PL_ERR_DECRYPT);
	cr_assert_eq(pl_keyfile_open("correct horse ", 14, file, sizeof(file), opened, &opened_bytes), PL_ERR_DECRYPT);
	cr_assert_eq(pl_keyfile_open("", 0, file, sizeof(file), opened, &opened_bytes), PL_ERR_DECRYPT);
}

Test(keyfile, empty_payload_and_passphrase)
{
	cr_assert_eq(pl_keyfile_seal(PL_KEYFILE_COST_MIN, "", 0, salt, nonce, NULL, 0, file), PL_OK);
	cr_assert_eq(pl_keyfile_open("", 0, file, PL_KEYFILE_OVERHEAD, opened, &opened_bytes), PL_OK);
	cr_assert_eq(opened_bytes, 0);
}

Test(keyfile, other_costs)
{
	struct pl_keyfile_cost cost = { 2, 64 };
	cr_assert_eq(pl_keyfile_seal(cost, PASSPHRASE, salt, nonce, payload, sizeof(payload), file), PL_OK);
	cr_assert_eq(open_file(sizeof(file)), PL_OK);
	cr_assert_arr_eq(opened, payload, sizeof(payload));
}

Test(keyfile, truncated_anywhere)
{
	for (size_t bytes = 0; bytes < sizeof(file); bytes++)
		cr_assert_eq(open_file(bytes), bytes < PL_KEYFILE_OVERHEAD ? PL_ERR_SHORT : PL_ERR_DECRYPT, "%zu bytes", bytes);
}

/* Bits of the cost are left to the next test: some of them ask for gigabytes. */
Test(keyfile, every_bit_counts)
{
	for (size_t bit = 0; bit < 8 * sizeof(file); bit++) {
		if (bit >= 8 * 6 && bit < 8 * 12)
			continue;
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum pl_err err = open_file(sizeof(file));
		cr_assert_eq(err, bit < 8 * 4 ? PL_ERR_FORMAT : bit < 8 * 6 ? PL_ERR_VERSION : PL_ERR_DECRYPT, "bit %zu: %s", bit, pl_err_str(err));
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

Test(keyfile, costs_are_bounded_before_any_work)
{
	static const struct pl_keyfile_cost refused[] = { { 0, 8 }, { 17, 8 }, { 65535, 8 }, { 1, 0 }, { 1, 7 }, { 1, 4194305 }, { 1, UINT32_MAX } };
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		uint8_t out[sizeof(file)];
		cr_assert_eq(pl_keyfile_seal(refused[i], PASSPHRASE, salt, nonce, payload, sizeof(payload), out), PL_ERR_LIMIT);
		for (int k = 0; k < 2; k++)
			file[6 + k] = (uint8_t)(refused[i].passes >> (8 - 8 * k));
		for (int k = 0; k < 4; k++)
			file[8 + k] = (uint8_t)(refused[i].memory_kib >> (24 - 8 * k));
		cr_assert_eq(open_file(sizeof(file)), PL_ERR_LIMIT, "case %zu", i);
	}
	make_file();
	file[7] = 2; /* allowed, but not what the file was made with */
	cr_assert_eq(open_file(sizeof(file)), PL_ERR_DECRYPT);
}

Test(keyfile, size_is_bounded)
{
	static uint8_t large[PL_KEYFILE_BYTES_MAX + 1], sealed[PL_KEYFILE_BYTES_MAX + 1];
	size_t most = PL_KEYFILE_BYTES_MAX - PL_KEYFILE_OVERHEAD;
	cr_assert_eq(pl_keyfile_seal(PL_KEYFILE_COST_MIN, PASSPHRASE, salt, nonce, large, most + 1, sealed), PL_ERR_LIMIT);
	cr_assert_eq(pl_keyfile_seal(PL_KEYFILE_COST_MIN, PASSPHRASE, salt, nonce, large, most, sealed), PL_OK);
	cr_assert_eq(pl_keyfile_open(PASSPHRASE, sealed, PL_KEYFILE_BYTES_MAX, large, &opened_bytes), PL_OK);
	cr_assert_eq(opened_bytes, most);
	cr_assert_eq(pl_keyfile_open(PASSPHRASE, sealed, PL_KEYFILE_BYTES_MAX + 1, large, &opened_bytes), PL_ERR_LIMIT);
}

#ifndef WITH_ASAN /* which needs address space of its own */
Test(keyfile, too_little_memory_is_an_error_not_a_wrong_passphrase)
{
	struct pl_keyfile_cost cost = { 1, 1048576 };
	struct rlimit limit = { 512u << 20, 512u << 20 };
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	cr_assert_eq(pl_keyfile_seal(cost, PASSPHRASE, salt, nonce, payload, sizeof(payload), file), PL_ERR_MEMORY);
	file[8] = 0, file[9] = 0x10; /* 1 GiB */
	cr_assert_eq(open_file(sizeof(file)), PL_ERR_MEMORY);
}
#endif

/* --- columns --- */

static const uint8_t store_key[32] = { 7 }, row[8] = { 0, 0, 0, 0, 0, 0, 0, 9 };
static uint8_t sealed[sizeof(payload) + PL_COLUMN_OVERHEAD];

static void seal_column(void)
{
	pl_column_seal(store_key, "messages", "plain", row, sizeof(row), payload, sizeof(payload), sealed);
}

TestSuite(column, .init = seal_column);

Test(column, opens_in_its_own_place_only)
{
	static const uint8_t other_key[32] = { 8 }, other_row[8] = { 1 };
	cr_assert_eq(pl_column_open(store_key, "messages", "plain", row, 8, sealed, sizeof(sealed), opened), PL_OK);
	cr_assert_arr_eq(opened, payload, sizeof(payload));
	cr_assert_eq(pl_column_open(other_key, "messages", "plain", row, 8, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_column_open(store_key, "message", "splain", row, 8, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_column_open(store_key, "messages", "cek", row, 8, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_column_open(store_key, "messages", "plain", other_row, 8, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_column_open(store_key, "messages", "plain", row, 7, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
}

Test(column, empty_value_and_row)
{
	pl_column_seal(store_key, "t", "c", NULL, 0, NULL, 0, sealed);
	cr_assert_eq(pl_column_open(store_key, "t", "c", NULL, 0, sealed, PL_COLUMN_OVERHEAD, opened), PL_OK);
}

Test(column, the_same_value_never_looks_the_same)
{
	uint8_t before[sizeof(sealed)];
	memcpy(before, sealed, sizeof(sealed));
	seal_column();
	cr_assert_arr_neq(before, sealed, 24);
	cr_assert_arr_neq(before + 24, sealed + 24, sizeof(payload));
}

Test(column, truncated_or_damaged_anywhere)
{
	for (size_t bytes = 0; bytes < sizeof(sealed); bytes++)
		cr_assert_eq(pl_column_open(store_key, "messages", "plain", row, 8, sealed, bytes, opened),
		             bytes < PL_COLUMN_OVERHEAD ? PL_ERR_SHORT : PL_ERR_DECRYPT);
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(pl_column_open(store_key, "messages", "plain", row, 8, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

Test(column, a_place_of_any_allowed_length)
{
	static const uint8_t long_row[PL_COLUMN_PLACE_BYTES_MAX];
	pl_column_seal(store_key, "t", "c", long_row, PL_COLUMN_PLACE_BYTES_MAX - 4, payload, sizeof(payload), sealed);
	cr_assert_eq(pl_column_open(store_key, "t", "c", long_row, PL_COLUMN_PLACE_BYTES_MAX - 4, sealed, sizeof(sealed), opened), PL_OK);
}

Test(column, a_longer_place_is_a_bug_of_the_caller, .signal = SIGABRT)
{
	static const uint8_t long_row[PL_COLUMN_PLACE_BYTES_MAX];
	pl_column_seal(store_key, "t", "c", long_row, PL_COLUMN_PLACE_BYTES_MAX - 3, payload, sizeof(payload), sealed);
}

/* --- our own vectors, made by another implementation of CRYPTO.md --- */

static void check_keyfile(struct pl_vectors *vectors, const uint8_t *plain, size_t plain_bytes, const uint8_t *sealed_file, size_t bytes)
{
	static uint8_t out[2048], out_opened[2048];
	size_t passphrase_bytes;
	const char *words = (const char *)pl_vectors_hex(vectors, "passphrase", 0, &passphrase_bytes);
	struct pl_keyfile_cost cost = { (uint16_t)pl_vectors_number(vectors, "passes", 0), (uint32_t)pl_vectors_number(vectors, "memory_kib", 0) };
	cr_assert_eq(bytes, plain_bytes + PL_KEYFILE_OVERHEAD);
	cr_assert_eq(pl_keyfile_seal(cost, words, passphrase_bytes, pl_vectors_hex_of(vectors, "salt", 0, 16),
	                             pl_vectors_hex_of(vectors, "nonce", 0, 24), plain, plain_bytes, out),
	             PL_OK);
	cr_assert_arr_eq(out, sealed_file, bytes);
	cr_assert_eq(pl_keyfile_open(words, passphrase_bytes, sealed_file, bytes, out_opened, &opened_bytes), PL_OK);
	cr_assert_arr_eq(out_opened, plain, plain_bytes);
}

static void check_column(struct pl_vectors *vectors, const uint8_t *plain, size_t plain_bytes, const uint8_t *value, size_t bytes)
{
	size_t row_bytes;
	const uint8_t *in_row = pl_vectors_hex(vectors, "row", 0, &row_bytes);
	cr_assert_eq(bytes, plain_bytes + PL_COLUMN_OVERHEAD);
	cr_assert_eq(pl_column_open(pl_vectors_hex_of(vectors, "store_key", 0, 32), pl_vectors_word(vectors, "table", 0),
	                            pl_vectors_word(vectors, "column", 0), in_row, row_bytes, value, bytes, opened),
	             PL_OK);
	cr_assert_arr_eq(opened, plain, plain_bytes);
}

Test(at_rest, vectors_of_another_implementation)
{
	static uint8_t plain[1024];
	size_t keyfiles = 0, columns = 0;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7 + i / 256);
	struct pl_vectors *vectors = pl_vectors_open("at_rest.txt");
	while (pl_vectors_next(vectors)) {
		size_t bytes, plain_bytes = pl_vectors_number(vectors, "plain_bytes", 0);
		const uint8_t *value = pl_vectors_hex(vectors, "sealed", 0, &bytes);
		cr_assert_leq(plain_bytes, sizeof(plain));
		if (strcmp(pl_vectors_word(vectors, "what", 0), "keyfile") == 0) {
			check_keyfile(vectors, plain, plain_bytes, value, bytes);
			keyfiles++;
		} else {
			check_column(vectors, plain, plain_bytes, value, bytes);
			columns++;
		}
	}
	cr_assert_eq(keyfiles, 3);
	cr_assert_eq(columns, 3);
	pl_vectors_free(vectors);
}
