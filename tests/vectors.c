#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vectors.h"

#define FIELDS_MAX 512 /* of one case */

struct field {
	const char *key, *value;
	uint8_t *bytes; /* value as hex, once asked for: memory of its own, so that AddressSanitizer sees where it ends */
};

struct pl_vectors {
	char *path, *text, *at; /* at: where the next case is looked for; NULL after the last */
	size_t line, case_line, cases;
	struct field fields[FIELDS_MAX];
	size_t fields_count;
};

__attribute__((noreturn, format(printf, 2, 3))) static void fail(const struct pl_vectors *vectors, const char *format, ...)
{
	fprintf(stderr, "%s:%zu: ", vectors->path, vectors->case_line ? vectors->case_line : vectors->line);
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct pl_vectors *pl_vectors_open(const char *name)
{
	struct pl_vectors *vectors = checked(calloc(1, sizeof(*vectors)));
	size_t path_bytes = sizeof(PL_VECTORS_DIR) + 1 + strlen(name);
	vectors->path = checked(malloc(path_bytes));
	snprintf(vectors->path, path_bytes, "%s%s%s", name[0] == '/' ? "" : PL_VECTORS_DIR, name[0] == '/' ? "" : "/", name);

	FILE *file = fopen(vectors->path, "rb");
	if (!file)
		fail(vectors, "%s", strerror(errno));
	size_t count = 0, max = 65536;
	vectors->text = checked(malloc(max));
	for (size_t got; (got = fread(vectors->text + count, 1, max - 1 - count, file)) > 0;) {
		count += got;
		if (count == max - 1)
			vectors->text = checked(realloc(vectors->text, max *= 2));
	}
	if (ferror(file))
		fail(vectors, "cannot be read");
	fclose(file);
	vectors->text[count] = '\0';
	vectors->at = vectors->text;
	return vectors;
}

static void forget_case(struct pl_vectors *vectors)
{
	for (size_t i = 0; i < vectors->fields_count; i++)
		free(vectors->fields[i].bytes);
	vectors->fields_count = 0;
	vectors->case_line = 0;
}

bool pl_vectors_next(struct pl_vectors *vectors)
{
	forget_case(vectors);
	while (vectors->at) {
		char *line = vectors->at, *end = strchr(line, '\n');
		vectors->at = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		vectors->line++;
		if (line[0] == '#')
			continue;
		if (line[0] == '\0') {
			if (vectors->fields_count > 0)
				break;
			continue;
		}
		char *equals = strstr(line, " =");
		if (!equals || (equals[2] != ' ' && equals[2] != '\0'))
			fail(vectors, "not a \"key = value\"");
		if (vectors->fields_count == FIELDS_MAX)
			fail(vectors, "over %d values in one case", FIELDS_MAX);
		*equals = '\0';
		if (vectors->fields_count == 0)
			vectors->case_line = vectors->line;
		vectors->fields[vectors->fields_count++] = (struct field){ line, equals + 2 + (equals[2] == ' '), NULL };
	}
	if (vectors->fields_count > 0) {
		vectors->cases++;
		return true;
	}
	if (vectors->cases == 0)
		fail(vectors, "no test cases");
	return false;
}

size_t pl_vectors_line(const struct pl_vectors *vectors)
{
	return vectors->case_line;
}

size_t pl_vectors_count(const struct pl_vectors *vectors, const char *key)
{
	size_t count = 0;
	for (size_t i = 0; i < vectors->fields_count; i++)
		count += strcmp(vectors->fields[i].key, key) == 0;
	return count;
}

static size_t find(const struct pl_vectors *vectors, const char *key, size_t index)
{
	size_t seen = 0;
	for (size_t i = 0; i < vectors->fields_count; i++)
		if (strcmp(vectors->fields[i].key, key) == 0 && seen++ == index)
			return i;
	fail(vectors, "no value %zu of \"%s\"", index, key);
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const uint8_t *pl_vectors_hex(struct pl_vectors *vectors, const char *key, size_t index, size_t *bytes)
{
	struct field *field = &vectors->fields[find(vectors, key, index)];
	size_t digits = strlen(field->value);
	if (digits % 2 != 0)
		fail(vectors, "\"%s\" has an odd number of digits", key);
	*bytes = digits / 2;
	if (!field->bytes) {
		field->bytes = checked(malloc(*bytes ? *bytes : 1));
		for (size_t i = 0; i < *bytes; i++) {
			int high = nibble(field->value[2 * i]), low = nibble(field->value[2 * i + 1]);
			if (high < 0 || low < 0)
				fail(vectors, "\"%s\" is not hex", key);
			field->bytes[i] = (uint8_t)(high << 4 | low);
		}
	}
	return field->bytes;
}

const uint8_t *pl_vectors_hex_of(struct pl_vectors *vectors, const char *key, size_t index, size_t bytes)
{
	size_t found;
	const uint8_t *value = pl_vectors_hex(vectors, key, index, &found);
	if (found != bytes)
		fail(vectors, "\"%s\" has %zu bytes, not %zu", key, found, bytes);
	return value;
}

uint64_t pl_vectors_number(const struct pl_vectors *vectors, const char *key, size_t index)
{
	const char *value = pl_vectors_word(vectors, key, index);
	char *end;
	errno = 0;
	unsigned long long number = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
		fail(vectors, "\"%s\" is not a decimal number", key);
	return number;
}

const char *pl_vectors_word(const struct pl_vectors *vectors, const char *key, size_t index)
{
	return vectors->fields[find(vectors, key, index)].value;
}

void pl_vectors_free(struct pl_vectors *vectors)
{
	if (vectors->at || vectors->fields_count > 0)
		fail(vectors, "the test has stopped before the last case");
	free(vectors->text);
	free(vectors->path);
	free(vectors);
}
