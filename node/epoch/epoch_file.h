/* The file of the node's secret encryption keys, STORE.epoch: beside the store and not in it, so that a backup of the store does not hold
 * what was wiped since, nor what is still to be wiped. OPERATING.md, "Backups".
 *
 *   "PLEPOCH1" | per key, by number: number u64 | secret sealed under the store key (crypto/keyfile.h), 72
 *
 * It is written as a whole, beside the old one, which is overwritten before it goes.
 */
#ifndef PL_NODE_EPOCH_FILE_H
#define PL_NODE_EPOCH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/envelope.h"
#include "crypto/err.h"
#include "crypto/keyfile.h"

#define PL_EPOCH_SEALED_BYTES (PL_EPOCH_SECRET_BYTES + PL_COLUMN_OVERHEAD)

struct pl_epoch_record {
	uint64_t number;
	uint8_t sealed[PL_EPOCH_SEALED_BYTES];
};

/* No file is no records. why gets a sentence on error. PL_ERR_IO, PL_ERR_FORMAT, PL_ERR_LIMIT (more than records_max), PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_epoch_file_read(const char *path, struct pl_epoch_record *records, size_t records_max, size_t *count,
                                             char *why,
                                             size_t why_max);
/* Durable when it returns. PL_ERR_IO, PL_ERR_DISK_FULL, PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_epoch_file_write(const char *path, const struct pl_epoch_record *records, size_t count, char *why,
                                              size_t why_max);

void pl_epoch_record_seal(const uint8_t store_key[32], uint64_t number, const uint8_t secret[PL_EPOCH_SECRET_BYTES],
                          struct pl_epoch_record *out);
/* PL_ERR_DECRYPT. */
PL_MUST_CHECK enum pl_err pl_epoch_record_open(const uint8_t store_key[32], const struct pl_epoch_record *record,
                                               uint8_t secret[PL_EPOCH_SECRET_BYTES]);

#endif
