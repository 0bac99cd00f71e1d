/* How much the disk still takes, and of what: bulk stops first, so that a flood of it, from whoever, leaves room for messages.
 *
 * Below the reserve lane 2 waits, below half of it lane 1 too; lane 0 goes on until nothing fits. Each comes back with a quarter more room than
 * it went with.
 */
#ifndef PL_NODE_ROOM_H
#define PL_NODE_ROOM_H

#include <stdint.h>

#include "crypto/err.h"

#define PL_ROOM_RESERVE_BYTES 268435456 /* (default) what lane 1 of an author may send in a quarter of an hour */
#define PL_ROOM_SHARE 10                /* the reserve is at most this part of the file system */
#define PL_ROOM_MEMBER_PERCENT 20       /* (default) of the file system, less the reserve, for one lane of one member */
#define PL_ROOM_LOOK_MS 2000

/* How many lanes there is room for, from lane 0 up: 1 to 3. lanes_before: what there was room for until now. */
uint8_t pl_room_lanes(uint64_t free_bytes, uint64_t total_bytes, uint64_t reserve_bytes, uint8_t lanes_before);

/* How much is taken of each lane of one member. percent 100: as much as there is room for. */
uint64_t pl_room_member_bytes(uint64_t total_bytes, uint64_t reserve_bytes, uint8_t percent);

/* The file system of this file or folder, as the daemon's user may use it. PL_ERR_IO. */
PL_MUST_CHECK enum pl_err pl_room_look(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);

#endif
