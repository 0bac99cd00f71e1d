/* Wiping secrets in a way that no compiler takes out. */
#ifndef PL_CRYPTO_WIPE_H
#define PL_CRYPTO_WIPE_H

#include <stddef.h>

void pl_wipe(void *bytes, size_t count);

#endif
