/* Signatures of bulk, checked on a thread of its own that yields to all others: a FLASH never waits for bulk's cryptography, however much of
 * it there is and however few cores. Two things make it yield:
 * - A nice value of 19 leaves it a seventieth of a core that others fill, and all of one that is free. (SCHED_IDLE leaves it nothing: under load
 *   it then stands still for seconds.)
 * - A long slice. By nice alone it still runs its turn to the end, 1.7 ms for a request, while a thread that has woken waits; since Linux 6.12 one
 *   whose slice is shorter takes its place at once, and that is every other. (Before, the slice is ignored: sched_setattr(2).)
 */
#ifndef PL_NODE_VERIFIER_H
#define PL_NODE_VERIFIER_H

#include <stdint.h>
#include <uv.h>

#include "crypto/err.h"
#include "proto/entry.h"

#define PL_VERIFIER_NICE 19
#define PL_VERIFIER_SLICE_MS 100 /* the longest that Linux takes; a thread has 3 if nothing else is said */
#define PL_VERIFIER_HEADERS_MAX 32 /* in one request: the bits of a verdict */

struct pl_verifier;

/* On the loop's thread; good: bit i for header i. */
typedef void (*pl_verified)(void *ctx, uint32_t token, uint32_t good);

/* Loop thread, all three. Starts the thread. PL_ERR_MEMORY, PL_ERR_IO (no thread to be had). */
PL_MUST_CHECK enum pl_err pl_verifier_new(uv_loop_t *loop, const uint8_t network_id[PL_ID_BYTES], pl_verified done, void *ctx,
                                          struct pl_verifier **out);
/* Copies count headers of PL_ENTRY_HEADER_BYTES and answers later, in the order of the requests. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_verifier_check(struct pl_verifier *verifier, uint32_t token, const uint8_t *headers, uint16_t count);
/* Waits for the request at hand, drops the others, and answers none any more. The loop must turn once more to let go of the waker. */
void pl_verifier_close(struct pl_verifier *verifier);

#endif
