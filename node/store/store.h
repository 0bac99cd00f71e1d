/* The store: one SQLite database, one connection, one worker thread. OPERATING.md, "The store".
 *
 * WAL with synchronous=FULL and locking_mode=EXCLUSIVE; commits are in groups, an urgent entry commits alone and goes first. All that
 * touches the database is a job on the worker thread, in order of class: urgent appends, then jobs and loads, then groups of appends,
 * so that a FLASH waits for at most the group that is being committed (bounded in rows, bytes and time, and cut short when an urgent
 * entry comes). All of this header is for the loop's thread, where the callbacks come too, but for what a job calls: pl_store_prepare() and the
 * functions of db.h. Assertions hold both to it.
 *
 *   store.c         open and its checks
 *   store_loop.c    what the loop's thread calls, and what it is told; close
 *   store_worker.c  the worker: order, groups, transactions, failures, checkpoints
 *   store_sql.c     the statements
 *   store_ack.c     acknowledgements that wait to be written
 *   store_anchor.c  the neighbours that are dialled first after a restart
 *   store_repair.c  an entry in the place of one that the disk has changed
 *   store_scrub.c   reads what nobody asks for, to find such entries in time
 *   store_sidecar.c    the sidecar that notices a restored copy (OPERATING.md, "Backups")
 *   store_schema.c  migrations: appended, never edited. A store of a newer schema is refused untouched.
 */
#ifndef PL_NODE_STORE_H
#define PL_NODE_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "crypto/err.h"
#include "proto/entry.h"
#include "proto/engine.h"

struct pl_store;

/* One entry as it is kept and handed about in node/. */
struct pl_store_entry {
	uint16_t node; /* index in the charter */
	uint8_t lane;
	bool urgent;
	uint64_t seq, gseq;
	uint64_t received_ms; /* unix */
	uint8_t id[PL_ID_BYTES];
	uint8_t header[PL_ENTRY_HEADER_BYTES];
	const uint8_t *body;
	uint32_t body_bytes;
};
/* What PL_FX_STORE or PL_FX_REPAIR says; the body stays the engine's. */
struct pl_store_entry pl_store_entry_of(const struct pl_effect *fx, uint64_t received_ms);

struct pl_store_callbacks {
	void *ctx;
	/* These entries are durable; within a lane they come in the order given to pl_store_append(). Borrowed until the callback returns. */
	void (*stored)(void *ctx, const struct pl_store_entry *entries, size_t count);
	/* A commit failed; nothing of what was appended and not yet reported as stored is kept. PL_ERR_DISK_FULL, PL_ERR_MEMORY: the store tries
	 * by itself every second and says ready() when it can write again. PL_ERR_IO, PL_ERR_CORRUPT: final; the daemon exits and checks at the
	 * next start. Comes once for each failure. */
	void (*failed)(void *ctx, enum pl_err err, const char *why);
	void (*ready)(void *ctx);
	/* count is 0 when the store holds nothing of what was asked for, or cannot read it. PL_ERR_MEMORY: not now; it can be asked for again later.
	 * Borrowed until the callback returns. */
	void (*loaded)(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count);
	/* This entry no longer matches its own hashes: the disk changed it. It is not handed out, nor what follows it in the same load. id: which one
	 * has to stand there, by the entry after it; where that is not there or not intact either, as the row still says. NULL: not reported. */
	void (*damaged)(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t id[PL_ID_BYTES]);
	/* What was given to pl_store_repair() is durable in its place. NULL: not reported. */
	void (*repaired)(void *ctx, uint16_t node, uint8_t lane, uint64_t seq);
};

/* Opens, migrates, checks that the store belongs to this network and node, and reads no more than the heads. A store that is refused is not
 * written to. why gets a sentence on error.
 * PL_ERR_VERSION (newer schema), PL_ERR_NETWORK, PL_ERR_REFUSED (another node's, or open elsewhere), PL_ERR_CORRUPT (also: not a store at
 * all), PL_ERR_IO, PL_ERR_DISK_FULL, PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_store_open(const char *path, const uint8_t network_id[PL_ID_BYTES], const uint8_t node_id[PL_NODE_ID_BYTES],
                                        struct pl_store **out, char *why, size_t why_max);

/* Makes a store where there is none, of which the feed is frozen from its first moment, with this sentence for the reason; does not leave it open. For
 * a node whose store is lost: it has signed entries that nobody here knows. PL_ERR_EXISTS if there is a store; else as above. */
PL_MUST_CHECK enum pl_err pl_store_make_frozen(const char *path, const uint8_t network_id[PL_ID_BYTES],
                                               const uint8_t node_id[PL_NODE_ID_BYTES], const char *reason, char *why, size_t why_max);

/* Node indices of the store mean the same nodes as in this charter. PL_ERR_REFUSED. */
PL_MUST_CHECK enum pl_err pl_store_check_charter(const struct pl_store *store, const struct pl_charter *charter, char *why, size_t why_max);

/* Whether this node may go on with its own feed, as found at open. PL_ERR_FORK, with a sentence: the store is not the newest state of this
 * node (it was restored from a copy, or its sidecar PATH.feed is gone), so that a new entry could stand at a place that the network has
 * already seen filled. The store itself works; the caller must not author. A store found to be older stays so at each start. With PL_OK why
 * is "", or a warning. */
PL_MUST_CHECK enum pl_err pl_store_feed_state(const struct pl_store *store, char *why, size_t why_max);
/* Somebody else has proof that this store is older (an entry of this node's own has come from a peer): feed_state says so at each later
 * start, also when all that was lacking has come. Not for a mere claim, by which any peer could silence this node for good. why: a sentence.
 * Written with the next transaction, or at once. */
void pl_store_freeze_feed(struct pl_store *store, const char *why);

/* Before the worker runs, on the caller's thread: heads of all lanes, custody, forks and anchors, for PL_EV_RESTORE,
 * PL_EV_RESTORE_ACK, PL_EV_RESTORE_FORK and PL_EV_RESTORE_ANCHOR. */
PL_MUST_CHECK enum pl_err pl_store_each_head(struct pl_store *store, void (*each)(void *ctx, uint16_t node, uint8_t lane, uint64_t seq,
                                             uint64_t gseq, const uint8_t id[PL_ID_BYTES]), void *ctx);
PL_MUST_CHECK enum pl_err pl_store_each_ack(struct pl_store *store, void (*each)(void *ctx, uint16_t peer, uint16_t node, uint8_t lane,
                                            uint64_t seq), void *ctx);
/* What entries of this lane count, pl_entry_kept_bytes(); 0 too where it cannot be read. */
uint64_t pl_store_lane_kept_bytes(struct pl_store *store, uint16_t node, uint8_t lane);
PL_MUST_CHECK enum pl_err pl_store_each_fork(struct pl_store *store, void (*each)(void *ctx, uint16_t node,
                                              const uint8_t header_a[PL_ENTRY_HEADER_BYTES], const uint8_t header_b[PL_ENTRY_HEADER_BYTES]),
                                              void *ctx);
PL_MUST_CHECK enum pl_err pl_store_each_anchor(struct pl_store *store, void (*each)(void *ctx, const uint8_t node_id[PL_NODE_ID_BYTES]), void *ctx);
/* The raw connection, for set-up and tests, only before pl_store_start(). */
sqlite3 *pl_store_db(struct pl_store *store);

/* Starts the worker. PL_ERR_MEMORY, PL_ERR_IO (no descriptor to be had). */
PL_MUST_CHECK enum pl_err pl_store_start(struct pl_store *store, uv_loop_t *loop, const struct pl_store_callbacks *callbacks);

/* Queues an entry; header and body are copied. Never blocks. Lanes have no gaps: PL_ERR_CHAIN for any seq but the one after the last
 * appended, PL_ERR_EXISTS for one up to it. PL_ERR_REFUSED: the index means another node than this header's author. PL_ERR_STATE: between
 * failed() and ready(), after a final failure, while closing. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_store_append(struct pl_store *store, const struct pl_store_entry *entry);
/* Puts an entry in the place of the row that stands there, which the disk has changed; when it came stays as it was. The caller knows by its id that
 * it is the one. Copied. callbacks.repaired when that is durable; where it cannot be written, nothing, and the damage is found again when it is next
 * read. PL_ERR_REFUSED: its hashes do not fit, or that place was never filled. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_store_repair(struct pl_store *store, const struct pl_store_entry *entry);
/* Bytes appended and not yet reported as stored; the caller holds back above PL_STORE_QUEUE_BYTES. */
size_t pl_store_queue_bytes(const struct pl_store *store);
#define PL_STORE_QUEUE_BYTES (8u << 20)

/* Reads entries from..to of a lane, in order, up to max_bytes of header and body (one at least); callbacks.loaded with token.
 * PL_ERR_MEMORY, PL_ERR_STATE (closing). */
PL_MUST_CHECK enum pl_err pl_store_load(struct pl_store *store, uint32_t token, uint16_t node, uint8_t lane, uint64_t from, uint64_t to,
                                        uint32_t max_bytes);
/* From now on, and until it is closed, the store reads all its entries about once a day, at this pace at most and only when it has nothing else
 * to do; callbacks.damaged as for any load. 0: not. Once, after pl_store_start(). PL_ERR_MEMORY. */
#define PL_STORE_SCRUB_BYTES_PER_S 262144
PL_MUST_CHECK enum pl_err pl_store_scrub(struct pl_store *store, uint64_t bytes_per_s);
/* Remembers custody and forks; written with the next group, or within a second. */
void pl_store_note_ack(struct pl_store *store, uint16_t peer, uint16_t node, uint8_t lane, uint64_t seq);
PL_MUST_CHECK enum pl_err pl_store_add_fork(struct pl_store *store, uint16_t node, const uint8_t header_a[PL_ENTRY_HEADER_BYTES],
                                             const uint8_t header_b[PL_ENTRY_HEADER_BYTES]);

/* Of PL_FX_ANCHORS, instead of those that were kept before; where that cannot be written, those stay. Copied. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_store_keep_anchors(struct pl_store *store, const uint8_t (*node_ids)[PL_NODE_ID_BYTES], size_t count);

/* Anything else: work runs on the worker thread, inside a transaction if writes (committed, durable, before done), and done on the loop's
 * thread. The caller owns the job and everything in it until done. work returns an error to roll back what it did (others in the same
 * transaction are not touched); a failed commit sets err too, and the callbacks' failed() comes as well. Jobs of a class run in the order
 * given. Given from a callback while the store closes, a job is done with PL_ERR_STATE. Keep work short: an urgent entry waits for it. */
struct pl_job {
	enum pl_err (*work)(struct pl_job *job, sqlite3 *db);
	void (*done)(struct pl_job *job);
	void *ctx;
	bool writes, urgent;
	enum pl_err err;  /* set before done */
	char why[160];    /* a sentence, where there is one */
	struct pl_job *next; /* the store's */
};
void pl_store_run(struct pl_store *store, struct pl_job *job);
/* Prepared once and kept for the store's life; in work, and before the worker runs. NULL on error: return pl_store_job_err(). Whatever work
 * leaves unreset is reset after it. */
sqlite3_stmt *pl_store_prepare(sqlite3 *db, const char *sql);
/* In work: one entry, borrowed until the next call or the end of the job; its body is NULL if it is no longer kept. PL_ERR_UNKNOWN: not held.
 * PL_ERR_IO: it no longer matches its hashes, which callbacks.damaged is told; it can be read once it has come back. */
PL_MUST_CHECK enum pl_err pl_store_read(sqlite3 *db, uint16_t node, uint8_t lane, uint64_t seq, struct pl_stored_entry *out);
/* A copy of its body to keep, for free(); NULL with count 0 if there is none. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_stored_body(const struct pl_stored_entry *entry, uint8_t **body, size_t *count);
/* The error for what SQLite said last: PL_ERR_EXISTS for a constraint, PL_ERR_DISK_FULL (a quota too), PL_ERR_MEMORY, PL_ERR_CORRUPT, PL_ERR_IO;
 * PL_OK if it was no error. And the same with SQLite's sentence in job->why. */
enum pl_err pl_store_sql_err(sqlite3 *db);
enum pl_err pl_store_job_err(struct pl_job *job, sqlite3 *db);

struct pl_store_stats {
	uint64_t entries;        /* held */
	uint64_t commits, rows_committed, loads, jobs; /* since the start */
	uint64_t checkpoints, commit_us_max;
	uint64_t damaged, repaired; /* found so when read, each time; replaced */
	uint64_t scrub_entries, scrub_passes; /* read by the scrub, whole passes, since the start */
	uint64_t scrub_pass_entries; /* read in the pass at hand */
	uint64_t scrub_age_ms;   /* since the last whole pass; no meaning without one */
	uint64_t file_bytes;     /* database and WAL */
	bool writable;
};
void pl_store_stats(struct pl_store *store, struct pl_store_stats *out);

/* Finishes what is queued, checkpoints, stops the worker, closes. What finishes here is reported before it returns. Not from a callback.
 * The loop must turn once more to let go of the store's handle. NULL is fine. */
void pl_store_close(struct pl_store *store);

#endif
