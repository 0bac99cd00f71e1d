/* Work on one entry, done exactly once: what a part of the application keeps of an entry is written in the same transaction as the place up
 * to which the application has come, so that a crash between the two cannot be.
 *
 * An entry comes by pl_app_entry(); its part looks at it, opens it if it can, and then ends its work in one of three ways:
 *   pl_apply()       there is something to write
 *   pl_apply_skip()  there is not; the place is written now and then, for many entries at once
 *   pl_apply_later() there is no memory to tell; the entry comes again in a second
 * While the disk is full, pl_apply() tries again every second: the entry itself is durable already, so nothing is lost by waiting. Bulk waits in
 * the same way while the disk has no room for it (room.h): what is made of a small entry of lane 2 can be several times its size, so that the
 * reserve would go to what was taken in before. The other lanes go on meanwhile.
 */
#ifndef PL_NODE_APPLY_H
#define PL_NODE_APPLY_H

#include "node/core.h"

struct pl_applier;
PL_MUST_CHECK enum pl_err pl_applier_new(struct pl_core *core, struct pl_applier **out);
void pl_applier_stop(struct pl_applier *applier); /* what waits for the disk stays undone, and comes again at the next start */
void pl_applier_free(struct pl_applier *applier); /* after the loop has run out */

struct pl_apply {
	uint16_t node; /* of the entry */
	uint8_t lane;
	uint64_t seq;
	bool urgent;
	/* Worker thread, inside a transaction; runs again from the start if that fails. */
	enum pl_err (*work)(struct pl_apply *apply, sqlite3 *db);
	/* Loop thread, once it is durable, before the next entry of the lane; frees. */
	void (*done)(struct pl_apply *apply);
	/* Instead of done, when it never will be: at shutdown, or when the store has failed for good; frees. */
	void (*dropped)(struct pl_apply *apply);

	struct pl_job job; /* the applier's, from here on */
	struct pl_applier *applier;
	struct pl_apply *next;
};
/* place, work, done and dropped are set; apply is the caller's memory until done or dropped. */
void pl_apply(struct pl_applier *applier, struct pl_apply *apply);
/* Loop thread: work on an entry of this lane waits for the disk, and what comes after it in the lane waits with it. Told of each attempt; one
 * listener. */
void pl_applier_listen(struct pl_applier *applier, void (*waits)(void *ctx, uint16_t node, uint8_t lane), void *ctx);
bool pl_applier_waits(const struct pl_applier *applier, uint16_t node, uint8_t lane); /* whether that is so now */
/* Looks at the disk now, and says whether it has room for what is made of bulk; if not, the log hears of it, once a minute. For work that has
 * no entry at hand. */
bool pl_applier_find_room(struct pl_applier *applier);
/* How far this lane has come since the start, as far as is known: 0 before its first entry. */
uint64_t pl_applier_place(const struct pl_applier *applier, uint16_t node, uint8_t lane);
void pl_apply_skip(struct pl_applier *applier, uint16_t node, uint8_t lane, uint64_t seq);
/* Takes no memory itself. Nothing of the lane is passed over meanwhile. */
void pl_apply_later(struct pl_applier *applier, uint16_t node, uint8_t lane, uint64_t seq);
/* When an entry came, for work to ask: *received_ms is 0 where pl_app_entry() got an entry that was read back from the store, and is filled in. */
PL_MUST_CHECK enum pl_err pl_entry_received(sqlite3 *db, uint16_t node, uint8_t lane, uint64_t seq, uint64_t *received_ms);

#endif
