/* What the parts of the store share. Only node/store*.c includes this. */
#ifndef PL_NODE_STORE_IMPL_H
#define PL_NODE_STORE_IMPL_H

#include <limits.h>

#include "node/store/store.h"
#include "node/store/store_sidecar.h"
#include "node/thread.h"
#include "node/waker.h"

/* Queues are intrusive lists, so that handing work over never allocates. */
#define PL_QUEUE_PUSH(queue, item) do { \
	(item)->next = NULL; \
	if ((queue)->last) \
		(queue)->last->next = (item); \
	else \
		(queue)->first = (item); \
	(queue)->last = (item); \
} while (0)
#define PL_QUEUE_POP(queue, out) do { \
	(out) = (queue)->first; \
	if (out) { \
		(queue)->first = (out)->next; \
		if (!(queue)->first) \
			(queue)->last = NULL; \
	} \
} while (0)
/* Moves all of `from` behind `to`. */
#define PL_QUEUE_APPEND(to, from) do { \
	if ((from)->first) { \
		if ((to)->last) \
			(to)->last->next = (from)->first; \
		else \
			(to)->first = (from)->first; \
		(to)->last = (from)->last; \
		(from)->first = (from)->last = NULL; \
	} \
} while (0)

struct pl_pending { /* an appended entry; its body stands behind it */
	struct pl_pending *next;
	bool is_own;
	struct pl_store_entry entry;
	uint8_t body[];
};
struct pl_pending_queue {
	struct pl_pending *first, *last;
};
struct pl_job_queue {
	struct pl_job *first, *last;
};

struct pl_load { /* bytes holds header and body of each entry, one behind the other */
	struct pl_load *next;
	bool is_report; /* of damage, and nothing else: nobody has asked for it */
	bool is_scrub; /* for store_scrub.c, not for the caller */
	uint32_t token, max_bytes;
	uint16_t node;
	uint8_t lane;
	uint64_t from, to;
	enum pl_err err; /* PL_ERR_MEMORY, or PL_OK: other errors are the store's */
	struct pl_stored_entry *entries;
	uint8_t *bytes;
	size_t count, bytes_used;
	uint64_t damaged_seq; /* 0: none */
	uint8_t damaged_id[PL_ID_BYTES]; /* which entry it has to be */
};
struct pl_load_queue {
	struct pl_load *first, *last;
};

struct pl_fork {
	struct pl_fork *next;
	uint16_t node;
	uint8_t header_a[PL_ENTRY_HEADER_BYTES], header_b[PL_ENTRY_HEADER_BYTES];
};
struct pl_fork_queue {
	struct pl_fork *first, *last;
};

struct pl_ack {
	uint16_t peer, node;
	uint8_t lane;
	uint64_t seq; /* 0: free slot */
};
struct pl_ack_table { /* open addressing; the highest seq of each (peer, node, lane) */
	struct pl_ack *slots;
	size_t size, count;
};

struct pl_scrub;

enum pl_store_state {
	PL_STORE_RUNNING,
	PL_STORE_BROKEN, /* a commit failed; failed() is on its way to the loop */
	PL_STORE_WAITING, /* the loop knows; the worker tries each second */
	PL_STORE_ENDED,  /* final */
};

enum pl_statement {
	PL_STMT_BEGIN, PL_STMT_COMMIT, PL_STMT_ROLLBACK, PL_STMT_SAVEPOINT, PL_STMT_RELEASE, PL_STMT_ROLLBACK_TO,
	PL_STMT_ENTRY, PL_STMT_NODE, PL_STMT_LOAD, PL_STMT_ACK, PL_STMT_FORK, PL_STMT_TAKEN, PL_STMT_PROBE, PL_STMT_PROBE_END, PL_STMT_HEAD, PL_STMT_FREEZE,
	PL_STMT_COUNT,
};

#define PL_STORED_AT_ONCE 256 /* entries in one stored() call */

struct pl_store_tuning { /* fixed, but for tests that want to see a thing happen sooner */
	uint64_t probe_ns;
	/* WAL frames of 4 KiB: worth a checkpoint when idle; made even when busy, unless an urgent entry comes; made in any case. */
	int idle_frames, busy_frames, forced_frames;
};
extern const struct pl_store_tuning pl_store_tuning;

struct pl_store {
	char path[PATH_MAX];
	uint8_t network_id[PL_ID_BYTES], node_id[PL_NODE_ID_BYTES];
	sqlite3 *db;
	sqlite3_stmt *statements[PL_STMT_COUNT];
	uint64_t taken_more[PL_NODES_MAX][PL_LANES]; /* bytes, by this transaction */
	bool has_taken_more;
	struct pl_sidecar sidecar;
	struct pl_store_tuning tuning;

	/* the loop's thread */
	uv_thread_t loop_thread; /* once it is started */
	struct pl_store *next_given;
	struct pl_store_callbacks callbacks;
	uv_loop_t *loop;
	struct pl_waker *waker;
	bool is_started, is_closing, refuses;
	uint64_t head[PL_NODES_MAX][PL_LANES]; /* the last appended */
	bool node_known[PL_NODES_MAX];
	uint8_t node_ids[PL_NODES_MAX][PL_NODE_ID_BYTES];
	size_t queue_bytes;
	struct pl_store_entry at_once[PL_STORED_AT_ONCE];
	struct pl_scrub *scrub; /* store_scrub.c; its own allocation: the loop lets go of it after close; NULL: none */

	/* under the mutex */
	uv_thread_t worker;
	uv_mutex_t mutex;
	uv_cond_t cond;
	bool is_sleeping, is_stopping, may_interrupt;
	enum pl_store_state state;
	struct pl_pending_queue urgent, normal;
	uint32_t normal_count[PL_NODES_MAX][PL_LANES], urgent_count[PL_NODES_MAX][PL_LANES]; /* in those, for the order within a lane */
	struct pl_job_queue jobs_urgent, jobs;
	struct pl_load_queue loads;
	struct pl_fork_queue forks;
	struct pl_ack_table acks;
	uint64_t acks_due_ns; /* if there are any: when they are written at the latest */
	char freeze_why[PL_SIDECAR_WHY_BYTES]; /* empty: nothing to write */
	/* done, for the loop to report in this order */
	struct pl_pending_queue done_entries;
	struct pl_job_queue done_jobs;
	struct pl_load_queue done_loads;
	bool has_failed, is_ready;
	enum pl_err failure;
	char failure_why[256];
	struct pl_pending_queue dropped;
	struct pl_store_stats stats;

	/* the worker's thread */
	bool node_saved[PL_NODES_MAX];
	uint64_t own_head[PL_LANES];
	int wal_frames;
	uint64_t probe_due_ns, checkpoint_due_ns, checkpoint_retry_ns;
};

/* store.c */
void pl_store_free(struct pl_store *store);

/* store_loop.c: queues a load if nothing waits and the worker sleeps; false, and it stays the caller's, if not. */
bool pl_loop_load_if_idle(struct pl_store *store, struct pl_load *load);

/* store_scrub.c: one of its loads has come back; adds its figures (NULL: none); ends. */
void pl_scrub_loaded(struct pl_scrub *scrub, const struct pl_load *load);
void pl_scrub_stats(const struct pl_scrub *scrub, struct pl_store_stats *out);
void pl_scrub_stop(struct pl_scrub *scrub);

/* store_worker.c: the thread's main */
void pl_store_worker(void *store);

/* store_sql.c: from here until taken back, the connection is the worker's, and pl_store_prepare() not for the thread that calls this. */
void pl_sql_give_away(struct pl_store *store);
void pl_sql_take_back(struct pl_store *store);

/* store_sql.c: each leaves SQLite's message in sqlite3_errmsg(store->db) */
enum pl_err pl_sql_prepare_all(struct pl_store *store);
enum pl_err pl_sql_run(struct pl_store *store, enum pl_statement statement);
enum pl_err pl_sql_insert_entry(struct pl_store *store, const struct pl_store_entry *entry);
enum pl_err pl_sql_insert_fork(struct pl_store *store, const struct pl_fork *fork);
enum pl_err pl_sql_insert_acks(struct pl_store *store, const struct pl_ack_table *acks);
enum pl_err pl_sql_load(struct pl_store *store, struct pl_load *load);
/* Whether the row at the place of this entry is that entry, to the byte. */
bool pl_sql_has_entry(sqlite3 *db, const struct pl_store_entry *entry);
/* Overwrites the row at the place of this entry. PL_ERR_UNKNOWN: there is none. */
enum pl_err pl_sql_replace_entry(sqlite3 *db, const struct pl_store_entry *entry);
enum pl_err pl_sql_probe(struct pl_store *store);
enum pl_err pl_sql_freeze(struct pl_store *store, const char *why); /* the first reason stays */
/* Ends the transaction, with what its entries take; or it is void. */
enum pl_err pl_sql_commit(struct pl_store *store);
void pl_sql_rolled_back(struct pl_store *store);
/* The newest entry of a lane; seq 0 if there is none. */
/* Whether there is one more row, and *err is PL_OK; else the statement, which may be NULL if *err is set, is reset, and *err says if a step failed. */
bool pl_sql_next_row(struct pl_store *store, sqlite3_stmt *statement, enum pl_err *err);
enum pl_err pl_sql_head(struct pl_store *store, uint16_t node, uint8_t lane, uint64_t *seq, uint64_t *gseq, uint8_t id[PL_ID_BYTES]);
/* From here on this thread is the worker of this store. */
void pl_sql_work_for(struct pl_store *store);
/* Resets what a job left open. */
void pl_sql_reset_all(sqlite3 *db);

/* store_ack.c */
void pl_acks_note(struct pl_ack_table *table, const struct pl_ack *ack); /* out of memory: forgets it, the peer says it again */
void pl_store_keep_ack(struct pl_store *store, const struct pl_ack *ack); /* until it is written; with the mutex held */
void pl_acks_dispose(struct pl_ack_table *table);

void pl_load_free(struct pl_load *load);

#endif
