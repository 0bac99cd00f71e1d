/* What the fuzz targets share: libFuzzer's entry point, a check that is never compiled out, and a reader that turns the input into numbers
 * and runs of bytes. A target draws everything from its input: the same input always does the same.
 */
#ifndef PL_TESTS_FUZZ_H
#define PL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PL_FUZZ_CHECK(what)                                                                      \
	do {                                                                                     \
		if (!(what)) {                                                                   \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                                 \
		}                                                                                \
	} while (0)

struct pl_fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* 0 after the end. */
static inline uint8_t pl_fuzz_u8(struct pl_fuzz_input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

static inline uint16_t pl_fuzz_u16(struct pl_fuzz_input *input)
{
	uint16_t high = pl_fuzz_u8(input);

	return (uint16_t)(high << 8 | pl_fuzz_u8(input));
}

/* A run of bytes behind its u16 count, cut short at the end of the input. */
static inline const uint8_t *pl_fuzz_run(struct pl_fuzz_input *input, size_t *count)
{
	size_t announced = pl_fuzz_u16(input);
	const uint8_t *run = input->at;

	*count = announced < input->left ? announced : input->left;
	input->at += *count;
	input->left -= *count;
	return run;
}

/* A buffer of exactly so many bytes, so that AddressSanitizer sees the first one beyond. Free with free(). */
static inline uint8_t *pl_fuzz_room(size_t bytes)
{
	uint8_t *room = malloc(bytes ? bytes : 1);

	PL_FUZZ_CHECK(room != NULL);
	return room;
}

static inline uint8_t *pl_fuzz_copy(const uint8_t *bytes, size_t count)
{
	uint8_t *copy = pl_fuzz_room(count);

	if (count > 0)
		memcpy(copy, bytes, count);
	return copy;
}

#endif
