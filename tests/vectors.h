/* Reads the compact copies of public test vectors under tests/vectors/. Test code only: whatever is wrong ends the process with a sentence
 * on stderr, so that a missing or empty file can never pass for a test that ran.
 *
 *   # source: where the vectors come from, and their licence
 *   key = 00ff                 a value is hex, a decimal number or a word; it may be empty
 *   ct = 01                    a key may stand several times in a case: values are numbered from 0
 *   ct = 02
 *                              a blank line ends a case
 */
#ifndef PL_TESTS_VECTORS_H
#define PL_TESTS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pl_vectors;

/* name: a file of tests/vectors/, or an absolute path. Free with pl_vectors_free(). */
struct pl_vectors *pl_vectors_open(const char *name);

/* Goes to the next case, or to the first; false after the last. */
bool pl_vectors_next(struct pl_vectors *vectors);

/* About the case at hand. What these return lives until the next pl_vectors_next(). */
size_t pl_vectors_line(const struct pl_vectors *vectors);                 /* where the case starts, for messages */
size_t pl_vectors_count(const struct pl_vectors *vectors, const char *key); /* how often key stands in it */
const uint8_t *pl_vectors_hex(struct pl_vectors *vectors, const char *key, size_t index, size_t *bytes);
const uint8_t *pl_vectors_hex_of(struct pl_vectors *vectors, const char *key, size_t index, size_t bytes); /* exactly so many */
uint64_t pl_vectors_number(const struct pl_vectors *vectors, const char *key, size_t index);
const char *pl_vectors_word(const struct pl_vectors *vectors, const char *key, size_t index);

/* Reading fewer cases than the file has is a mistake too: this checks that pl_vectors_next() has returned false. */
void pl_vectors_free(struct pl_vectors *vectors);

#endif
