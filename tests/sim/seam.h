/* The seam between the simulator and crypto/: the linker puts these in the place of a few of its functions (-Wl,--wrap). In them the simulator
 * sees what a node is about to encrypt, and can have keyed hashes stand in for what is slow: signatures, key agreement, records; then it also
 * remembers hashes of bodies. The engine is the same object code with and without.
 */
#ifndef PL_TESTS_SIM_SEAM_H
#define PL_TESTS_SIM_SEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called with every record before it is encrypted, and with the key and number it is encrypted under. The plaintext may be changed. */
typedef void (*seam_record)(void *ctx, const uint8_t key[32], uint64_t nonce, uint8_t *plain, size_t plain_bytes);

void seam_set(bool real_crypto, seam_record record, void *ctx);

#endif
