/* The end of certificates. No charter can be amended and no certificate in it renewed, so a node whose certificate has ended gets no link any
 * more, and a network lasts as long as its certificates do: at most a year. Whoever runs a node hears of it PL_EXPIRY_WARN_DAYS ahead.
 */
#ifndef PL_NODE_EXPIRY_H
#define PL_NODE_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/charter.h"

#define PL_EXPIRY_WARN_DAYS 60
#define PL_EXPIRY_WHY_BYTES 256

/* Whole days from now to then; 0 when it is over. */
uint32_t pl_expiry_days(uint64_t now_ms, uint64_t then_ms);
/* The node whose certificate ends first; of several the first one in the charter. */
uint16_t pl_expiry_first(const struct pl_charter *charter);
/* A sentence if the node's own certificate or the first one of all ends within PL_EXPIRY_WARN_DAYS or has ended; false: there is nothing to
 * warn of. */
bool pl_expiry_warning(const struct pl_charter *charter, uint16_t self, uint64_t now_ms, char *why, size_t why_max);

#endif
