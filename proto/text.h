/* Text that others will read: is it UTF-8, and is it fit for a line of its own? PROTOCOL.md, "Conventions".
 *
 * A **line** is what stands in a list, a title or a log: names, subjects, reasons. Free text (a message) may hold anything that is UTF-8.
 */
#ifndef PL_PROTO_TEXT_H
#define PL_PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character. Returns its length, 1..4, or 0 where the bytes are not UTF-8 (RFC 3629: no overlong form, no surrogate, nothing
 * over U+10FFFF) or count is 0. */
size_t pl_utf8_decode(const char *bytes, size_t count, uint32_t *character);

/* UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing over U+10FFFF; and no NUL. Empty text is. */
bool pl_text_is_utf8(const char *chars, size_t bytes);

/* UTF-8 without control characters, line and paragraph separators, and the codes that reorder what follows. Empty text is. */
bool pl_text_is_line(const char *chars, size_t bytes);

/* A line that is not empty, of at most PL_NAME_BYTES_MAX, without space at either end. */
bool pl_text_is_name(const char *chars, size_t bytes);

#endif
