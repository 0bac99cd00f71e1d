/* The inside of core: what core.c (the running), core_store.c (the store's answers), core_open.c (the start), core_feed.c (entries to the
 * application) and core_notes.c (what the log says of the engine's notes) share. */
#ifndef PL_NODE_CORE_IMPL_H
#define PL_NODE_CORE_IMPL_H

#include "node/app.h"
#include "node/core.h"
#include "node/link_news.h"
#include "node/net.h"
#include "node/store/room.h"
#include "node/thread.h"
#include "node/told.h"
#include "node/verifier.h"

/* A submission that waits to be durable. */
struct submission {
	struct submission *next;
	uint8_t lane;
	uint64_t seq;
	pl_submit_done done;
	void *ctx;
};

/* An event that came while the engine was busy with another: what an effect brings about before the call for it returns. It borrows nothing,
 * since its caller is gone when its turn comes. */
struct late_event {
	struct late_event *next;
	struct pl_event event;
};

/* Where the application stands in a lane. */
struct feed {
	uint64_t applied, durable;
	uint64_t damaged; /* the disk has changed this entry; 0: none that is known */
	bool busy;     /* it has an entry and has not said that it is done */
	bool loading;
	uint8_t *batch; /* entries read back from the store, copied: struct pl_store_entry, body, … */
	size_t batch_bytes, batch_at;
};

struct dial_addresses {
	size_t count;
	const char *addresses[PL_LISTEN_MAX];
};

/* What was noted of a peer. */
struct peer_note {
	uint64_t wall_ms; /* of the last failure; 0: none */
	char why[200];
	uint64_t told_ms; /* when the log last said that it cannot be reached; 0: never, or there has been a link since */
	struct pl_link_news news;
	bool is_live;      /* its link, and as which */
	enum pl_peer_role link_role;
	const char *lost_why; /* static */
};

struct pl_core {
	uv_loop_t *loop;
	uv_thread_t loop_thread;
	const struct pl_conf *conf; /* borrowed */
	struct pl_charter *charter;
	uint8_t *charter_document;
	size_t charter_document_bytes;
	struct pl_node_keys *keys; /* sodium_malloc */
	uint16_t self;
	struct pl_store *store;
	struct pl_engine *engine;
	void *engine_memory;
	size_t engine_bytes;
	uint8_t (*courier_keys)[32];      /* sodium_malloc, or NULL */
	const uint8_t **courier_pointers;
	struct dial_addresses *addresses; /* per node */
	bool *configured;                 /* per node: a peer line names it */
	struct peer_note *peer_notes;     /* per node */
	struct pl_told handshakes;        /* that failed */
	struct pl_net *net;
	struct pl_verifier *verifier;
	struct pl_http *http;
	struct pl_app *app;

	uv_timer_t timer, room_timer, feed_timer, link_timer;
	struct pl_core_room room;
	uint64_t room_total_bytes; /* of the file system, if it is known */
	bool room_is_known;
	uint64_t lane_bytes_max; /* of a member, as the engine knows it */
	uint64_t full_told_ms; /* when the log last said that the disk is full; 0: never */
	bool full_told;        /* and whether it has to say that it is not any more */
	uv_idle_t idle;
	uint64_t now_ms, wall_ms;
	bool stepping, stopping, stopped;
	int exit_code;
	struct late_event *late, **late_last;
	struct submission *submissions, **submissions_last;
	struct feed *feeds; /* [node * PL_LANES + lane] */
	void (*on_stopped)(void *ctx), (*on_failed)(void *ctx);
	void *on_stopped_ctx, *on_failed_ctx;
};

/* --- core.c --- */
void pl_core_read_clocks(struct pl_core *core);
void pl_core_verified(void *ctx, uint32_t token, uint32_t good);
/* Loop thread. The engine takes the event, and all that follows from it is begun. */
void pl_core_event(struct pl_core *core, struct pl_event *event);
struct pl_net_callbacks pl_core_net_callbacks(struct pl_core *core);
void pl_core_fail(struct pl_core *core, const char *why); /* final: stops the daemon with exit code 1 */
void pl_core_release(struct pl_core *core); /* what pl_core_check() and pl_core_new() both read, and core itself */

/* --- core_notes.c --- */
/* False: the application is to hear of it later, or not at all. */
bool pl_core_note(struct pl_core *core, const struct pl_effect *fx);
void pl_core_notes_init(struct pl_core *core);
void pl_core_notes_close(struct pl_core *core);
void pl_core_peer_failed(struct pl_core *core, uint16_t node, const char *why);
void pl_core_peer_unreachable(struct pl_core *core, uint16_t node, const char *why);

/* --- core_store.c --- */
void pl_core_look_for_room(struct pl_core *core);
struct pl_store_callbacks pl_core_store_callbacks(struct pl_core *core);
void pl_core_submissions_fail(struct pl_core *core, enum pl_err err); /* all that wait */

/* --- core_feed.c --- */
void pl_feed_restore(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t durable);
PL_MUST_CHECK enum pl_err pl_feed_read_applied(struct pl_core *core);
void pl_feed_start(struct pl_core *core); /* offers what the application has not done yet */
void pl_feed_stored(struct pl_core *core, const struct pl_store_entry *entry);
/* An entry cannot be read until it is said that it can. */
void pl_feed_damaged(struct pl_core *core, uint16_t node, uint8_t lane, uint64_t seq);
void pl_feed_readable(struct pl_core *core, uint16_t node, uint8_t lane);
/* Whether this load was asked for here. */
bool pl_feed_loaded(struct pl_core *core, uint32_t token, const struct pl_stored_entry *entries, size_t count);
void pl_feed_free(struct pl_core *core);

#endif
