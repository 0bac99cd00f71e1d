#include "node/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define NAME_BYTES_MAX 40 /* longer than any name */

static bool is_same(char a, char b)
{
	a = (char)tolower((unsigned char)a);
	b = (char)tolower((unsigned char)b);
	return a == b || (a == '-' && b == '_') || (a == '_' && b == '-');
}

/* Edits (insert, delete, replace, swap neighbours) that make a into b. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_BYTES_MAX + 1], a_count = strlen(a), b_count = strlen(b);
	if (a_count > NAME_BYTES_MAX || b_count > NAME_BYTES_MAX)
		return NAME_BYTES_MAX;
	for (size_t j = 0; j <= b_count; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_count; i++) {
		size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= b_count; j++) {
			size_t best = before[j - 1] + !is_same(a[i - 1], b[j - 1]);
			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]) && earlier[j - 2] + 1 < best)
				best = earlier[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[a_count % 3][b_count];
}

static size_t common_bytes(const char *a, const char *b)
{
	size_t count = 0;
	while (a[count] != '\0' && is_same(a[count], b[count]))
		count++;
	return count;
}

const char *pl_nearest(const char *mistyped, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	const size_t length = strlen(mistyped);
	size_t best = length / 4 + 2; /* exclusive */
	for (size_t i = 0; i < count; i++) {
		const bool is_begin = length >= 3 && strncmp(names[i], mistyped, length) == 0;
		const size_t away = is_begin ? 1 : distance(mistyped, names[i]);
		/* Of two that are as near, the one that begins alike: few mistype a first letter. */
		if (away < best || (nearest && away == best && common_bytes(mistyped, names[i]) > common_bytes(mistyped, nearest))) {
			best = away;
			nearest = names[i];
		}
	}
	return nearest;
}
