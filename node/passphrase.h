/* Where the passphrase of a key comes from. */
#ifndef PL_NODE_PASSPHRASE_H
#define PL_NODE_PASSPHRASE_H

#include <stddef.h>

#include "crypto/err.h"

#define PL_PASSPHRASE_CHARS_MIN 8 /* of a new key; Argon2id makes each guess dear, not their number small */
#define PL_PASSPHRASE_BYTES_MAX 1024 /* with its NUL */

/* From a file's first line, the systemd credential "passphrase", $PARLEY_PASSPHRASE, or the terminal without echo (twice if confirm).
 * prompt: "passphrase of FILE"; a colon is put behind it. buffer of passphrase_max, wiped by the caller. PL_ERR_NO_KEY: nothing is set and
 * there is no terminal; PL_ERR_REFUSED: the file is open to others (a credential may be: systemd guards its folder); PL_ERR_FORMAT: empty,
 * or not a line of text, or two that differ; PL_ERR_LIMIT; the errors of file.h. */
PL_MUST_CHECK enum pl_err pl_passphrase_get(const char *file, const char *prompt, int confirm, char *buffer, size_t passphrase_max,
                                            char *why, size_t why_max);

#endif
