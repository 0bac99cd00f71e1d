/* Untrusted text made safe to show: in a log, on a terminal, in an error sentence.
 *
 * A text from a peer or a client can carry terminal escapes, line breaks that forge a log line, direction marks that turn a name round, and
 * bytes that are no UTF-8 at all. Each of these becomes a visible escape; everything else stays as it is.
 */
#ifndef PL_NODE_VISIBLE_H
#define PL_NODE_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool pl_utf8_is_valid(const char *bytes, size_t count);

/* Controls, line and paragraph separators, direction marks and overrides, invisible joiners and tags: what must not reach a screen as it is. */
bool pl_char_is_hidden(uint32_t character);
/* The same of a character in its place. The joiners U+200C and U+200D show in how their neighbours are drawn when they stand between two letters of
 * a script that needs them, as in Persian, Hindi or Sinhala; such a one is not hidden. Nor is U+200D between two pictograms, nor U+FE0F after one; nor are the
 * marks U+200E and U+200F between a letter of a script that runs from right to left and a blank, digit or punctuation, whose place they decide.
 * before: 0 where there is none. */
bool pl_char_is_hidden_there(uint32_t before, uint32_t character, const char *after, size_t after_bytes);

/* Writes text so that it shows what it is: \n \t \r \\ as such, other hidden characters as \xNN or \u{NNNN}, bytes that are not UTF-8 as \xNN.
 * out is always terminated; what does not fit is cut at a character and ends in "…". Returns the length in out, without the NUL.
 * out_max is at least 4. */
size_t pl_visible(const char *text, size_t text_bytes, char *out, size_t out_max);

#endif
