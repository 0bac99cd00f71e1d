/* The application: what Parley is for, on top of entries that are already checked and durable. It opens envelopes, keeps messages, receipts
 * and indicators, and answers the API. Nothing below it sees a plaintext.
 *
 *   app.c         hands each entry to the part that knows its kind
 *   apply.c       what a part writes of an entry, exactly once
 *   epoch.c       own encryption keys (new every 24 h) and those of others
 *   hotline*.c    messages, receipts, attachments
 *   channel.c     channel roots
 *   indicator.c   STIX objects in and out
 *   api_*.c       the routes
 */
#ifndef PL_NODE_APP_H
#define PL_NODE_APP_H

#include "node/core.h"

struct pl_app;

/* Creates the parts, reads their state from the store (before the worker runs), adds the API's routes. why gets a sentence on error. */
PL_MUST_CHECK enum pl_err pl_app_new(struct pl_core *core, struct pl_app **out, char *why, size_t why_max);
/* Links and worker are up: publish an epoch key if one is due, start timers. */
void pl_app_start(struct pl_app *app);
/* A durable entry, borrowed until this returns; pl_core_applied() when done with it (possibly before this returns). */
void pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry);
/* How the link with a node stands, for events to API clients; changes: of it since the last of these. */
void pl_app_link(struct pl_app *app, uint16_t node, bool is_live, uint32_t changes);
/* What the engine noted, likewise. */
void pl_app_note(struct pl_app *app, const struct pl_effect *note);
/* What the store takes has changed: it has become full, or takes entries again. */
void pl_app_store(struct pl_app *app);
/* Stops timers and takes in no more entries. Then run the loop out, close the store, and free: work on libuv's threads ends in between. */
void pl_app_stop(struct pl_app *app);
void pl_app_free(struct pl_app *app);

#endif
