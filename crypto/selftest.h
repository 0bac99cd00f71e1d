/* Whether the cryptography that this program runs on is the one that it was written for: known answers, and the signatures on which
 * verifiers of Ed25519 differ. CRYPTO.md, "Ed25519: one rule for every node": a node with another rule would take entries that the others
 * refuse, or refuse some that they take, and so split a feed. The daemon checks at each start, since the library can change under it.
 */
#ifndef PL_CRYPTO_SELFTEST_H
#define PL_CRYPTO_SELFTEST_H

#include "crypto/err.h"

/* About a millisecond. On an error *what is a sentence that says what is wrong, in static storage; otherwise it is NULL. PL_ERR_SIGNATURE: Ed25519 by
 * another rule; PL_ERR_CORRUPT: an answer is not the known one. After sodium_init(). */
PL_MUST_CHECK enum pl_err pl_selftest(const char **what);

#endif
