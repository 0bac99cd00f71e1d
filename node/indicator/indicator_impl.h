/* Inside the indicator part; see indicator.h for which file does what. */
#ifndef PL_NODE_INDICATOR_IMPL_H
#define PL_NODE_INDICATOR_IMPL_H

#include "node/indicator/indicator.h"
#include "node/indicator/stix.h"
#include "proto/content.h"

#define PL_INDICATOR_LANE 2

/* Work for a thread other than the loop's. One at a time for the whole part, in the order given, so that libuv's other threads stay free
 * for what is urgent. */
struct pl_aside {
	void (*run)(struct pl_aside *aside);  /* on another thread */
	void (*done)(struct pl_aside *aside); /* on the loop's */
	void *ctx;
	uv_work_t request;
	struct pl_indicator_part *part;
	struct pl_aside *next;
};
void pl_aside_queue(struct pl_indicator_part *part, struct pl_aside *aside);

struct pl_import;
struct pl_intake_row;
struct pl_waiting_channel;

struct pl_indicator_part {
	struct pl_core *core;
	struct pl_applier *applier;
	struct pl_channels *channels;
	bool started, stopped;
	struct pl_indicator_counts counts;

	struct pl_aside *aside_first, *aside_last; /* the first one runs */

	/* indicator_waiting.c: channels whose root is here and for which entries may wait */
	struct pl_waiting_channel *waiting_first;
	bool draining;   /* for the first of them */
	bool roots_lost; /* there was no memory for one more: the store has to be asked */
	bool is_looking; /* it is being asked */
	uv_timer_t retry;

	/* indicator_import.c */
	uint64_t own_applied_seq; /* entries of this node up to here are in the tables */
	struct pl_import *imports;
};


/* --- indicator_intake.c --- */
/* One entry on its way into the tables: fresh from its feed, or after it has waited for its root. */
struct pl_intake {
	struct pl_apply apply; /* first: cast back from it */
	struct pl_aside aside;
	struct pl_job job;
	struct pl_indicator_part *part;
	uint16_t node;
	uint64_t seq, received_ms;
	uint8_t header[PL_ENTRY_HEADER_BYTES];
	uint8_t *body;
	size_t body_bytes;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint8_t root[PL_CHANNEL_ROOT_BYTES];

	enum pl_err err; /* of opening */
	uint8_t tlp;
	uint16_t objects_count, rows_count;
	struct pl_intake_row *rows;
	uint16_t added; /* objects that were not here before */
};

void pl_intake_free(struct pl_intake *intake);
/* Another thread: opens the body with root and makes rows of the objects; the result is in err. */
void pl_intake_run(struct pl_aside *aside);
/* Worker thread: rows into the tables. */
PL_MUST_CHECK enum pl_err pl_intake_insert(struct pl_intake *intake, sqlite3 *db);
/* The rows are durable: counts, log and event. */
void pl_intake_tell(const struct pl_intake *intake);
void pl_intake_log_unreadable(const struct pl_intake *intake);

/* --- indicator_waiting.c --- */

/* A root is here for which entries may wait. */
void pl_indicator_root_came(void *part, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]);
/* Opens one entry at a time, until none waits whose root is here; while the disk has no room for bulk it tries again every second. */
void pl_indicator_drain(struct pl_indicator_part *part);
void pl_indicator_waiting_free(struct pl_indicator_part *part);

/* --- indicator_import.c --- */

/* Takes a bundle from the request's body; replies. */
void pl_indicator_import(struct pl_indicator_part *part, struct pl_request *request, uint8_t tlp, bool strict);
/* own_applied_seq has gone up. */
void pl_indicator_import_applied(struct pl_indicator_part *part);
/* Replies to those that still wait; after the loop has run out, frees them. */
void pl_indicator_import_stop(struct pl_indicator_part *part);
void pl_indicator_import_free(struct pl_indicator_part *part);

/* --- indicator_query.c, indicator_export.c --- */

/* What to look for. An empty string, PL_NODE_NONE and 0 mean all. */
#define PL_INDICATOR_QUERY_BYTES_MAX 256
struct pl_indicator_filter {
	char type[PL_STIX_TYPE_BYTES_MAX + 1];
	uint16_t author;
	uint8_t tlp;
	char query[PL_INDICATOR_QUERY_BYTES_MAX +
	           1]; /* stands somewhere in the name or in the object's text, in any case of ASCII letters */
};
/* These reply. after: 0 for the newest. */
void pl_indicator_list(struct pl_indicator_part *part, struct pl_request *request, const struct pl_indicator_filter *filter, uint64_t after,
                       uint64_t limit);
void pl_indicator_export(struct pl_indicator_part *part, struct pl_request *request, const struct pl_indicator_filter *filter);
void pl_indicator_show(struct pl_indicator_part *part, struct pl_request *request, const char *id, uint16_t author, bool meta);

/* Sealed columns of table indicator. */
#define PL_INDICATOR_TABLE "indicator"
#define PL_INDICATOR_NAME "name"
#define PL_INDICATOR_OBJECT "object"

#endif
