/* The core of parleyd: engine, store, links and application on one loop. What the parts of the application (hotline, indicators, API)
 * see of the daemon stands here; who they are stands in app.h.
 *
 * The path of an entry inwards: net (bytes) -> engine (checks, chains) -> store (durable) -> engine (acknowledges) and app (opens).
 * Outwards: app -> pl_core_submit -> engine (signs) -> store (durable) -> done callback, engine -> net.
 */
#ifndef PL_NODE_CORE_H
#define PL_NODE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "crypto/err.h"
#include "node/conf.h"
#include "node/http/http.h"
#include "node/keys.h"
#include "node/ref.h"
#include "node/store/store.h"
#include "proto/charter.h"
#include "proto/engine.h"

struct pl_core;

/* --- the daemon's life, for main.c --- */

/* What pl_core_new() finds of folder, charter, keys and peers, without starting anything: for --check. passphrase: NULL leaves the keys alone. */
PL_MUST_CHECK enum pl_err pl_core_check(const struct pl_conf *conf, const char *passphrase, char *why, size_t why_max);

/*
 * Opens everything that DIR names: configuration, charter, keys, store, engine; listens; starts the application. conf is borrowed for its life. why gets a sentence on
 * error. on_failed comes, in a turn of its own making, when the daemon cannot go on: the log says why, and the caller stops it. */
PL_MUST_CHECK enum pl_err pl_core_new(uv_loop_t *loop, const struct pl_conf *conf, const char *passphrase, void (*on_failed)(void *ctx),
                                      void *ctx, struct pl_core **out, char *why, size_t why_max);
/* Drains: says goodbye on all links, commits what is queued, closes. on_stopped comes once, when the loop may run out. */
void pl_core_stop(struct pl_core *core, void (*on_stopped)(void *ctx), void *ctx);
int pl_core_exit_code(const struct pl_core *core); /* not 0: it stopped by itself, and the log says why */
void pl_core_free(struct pl_core *core); /* after on_stopped, when the loop has run out */

/* What the application may use. */
uv_loop_t *pl_core_loop(struct pl_core *core);
struct pl_store *pl_core_store(struct pl_core *core);
struct pl_http *pl_core_http(struct pl_core *core);
const struct pl_engine *pl_core_engine(const struct pl_core *core);
const struct pl_charter *pl_core_charter(const struct pl_core *core);
struct pl_bytes pl_core_charter_document(const struct pl_core *core); /* what it was read from, to hand on */
const struct pl_conf *pl_core_conf(const struct pl_core *core);
/* A node's name, for the log and for labels: in name, which is returned. */
static inline const char *pl_core_node_name(const struct pl_core *core, uint16_t node, char name[PL_NODE_NAME_BYTES])
{
	pl_charter_node_name(pl_core_charter(core), node, name);
	return name;
}
const struct pl_node_keys *pl_core_keys(const struct pl_core *core);
uint16_t pl_core_self(const struct pl_core *core);
/* What the disk still takes; room.h. */
struct pl_core_room {
	uint64_t free_bytes; /* 0: not known */
	uint8_t lanes;       /* from lane 0 up */
};
struct pl_core_room pl_core_room(const struct pl_core *core);
/* Looks at the disk now, and says whether bulk may take so many bytes more and leave the reserve alone; so that what has a size of its own is
 * asked for before it is taken. Of a change the engine and the log hear, and clients. */
bool pl_core_find_room(struct pl_core *core, uint64_t bytes);
uint64_t pl_core_wall_ms(const struct pl_core *core); /* unix ms, read once per loop turn */
/* Why a connection with a node came to nothing last, or ended because of what it did; false if none has. */
bool pl_core_peer_error(const struct pl_core *core, uint16_t node, const char **why, uint64_t *wall_ms);
uint64_t pl_core_now_ms(const struct pl_core *core);  /* monotonic */
void pl_core_peer_address(const struct pl_core *core, uint16_t node, char out[PL_ADDRESS_BYTES_MAX + 1]); /* of the link, or the first to dial; or "" */

const uint8_t *pl_core_courier_key(const struct pl_core *core, uint16_t node); /* 32 bytes shared with its member, or NULL */

/* Authors an entry. The body is copied. done comes when it is durable (L1) or has failed; never before this returns.
 * An error that is known at once is returned, and done does not come. Errors as of PL_EV_SUBMIT, and PL_ERR_DISK_FULL. */
typedef void (*pl_submit_done)(void *ctx, enum pl_err err, const struct pl_store_entry *entry /* NULL on error */);
PL_MUST_CHECK enum pl_err pl_core_submit(struct pl_core *core, uint8_t lane, uint8_t kind, uint8_t flags, const uint8_t *body,
                                         uint32_t body_bytes, pl_submit_done done, void *ctx);
/* Whether it is PL_ERR_FORK, now and from now on. */
bool pl_core_is_frozen(const struct pl_core *core);
/* How long it would still be PL_ERR_QUOTA. */
uint64_t pl_core_quota_wait_ms(const struct pl_core *core, uint8_t lane, uint8_t flags, uint32_t body_bytes);
/* Whether at least the half of the quota is left: for what may wait, so that it leaves the rest to what may not. */
bool pl_core_quota_is_half_left(const struct pl_core *core, uint8_t lane, uint8_t flags);

/* Entries come to the application by pl_app_entry() (app.h), one at a time per lane, in order, at least once each: those after the applied
 * place at start, then new ones. It says so when its work on one is durable, and gets the next; apply.c records its place in the same
 * transaction. */
void pl_core_applied(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t seq);
/* The entry that the application has of this lane comes once more, instead. */
void pl_core_offer_again(struct pl_core *core, uint16_t node, uint8_t lane);

#endif
