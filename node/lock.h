/* One daemon per directory: DIR/lock, locked for as long as the process lives, with its pid in it for people.
 *
 * The lock belongs to the open file (fcntl(2), "Open file description locks"): it goes with the process, however that ends, and is never taken
 * over from one that lives. The file stays; removing it would let two daemons lock two files of one name.
 */
#ifndef PL_NODE_LOCK_H
#define PL_NODE_LOCK_H

#include <stddef.h>

#include "crypto/err.h"

struct pl_lock {
	int fd;
};

/* PL_ERR_EXISTS: "DIR is in use by parleyd with pid N"; PL_ERR_LIMIT (the path); PL_ERR_IO. */
PL_MUST_CHECK enum pl_err pl_lock_take(const char *dir, struct pl_lock *out, char *why, size_t why_max);
void pl_lock_release(struct pl_lock *lock);

#endif
