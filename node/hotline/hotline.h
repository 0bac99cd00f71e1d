/* The hotline: messages to members, their receipts, their attachments. OPERATING.md, "Messages, receipts and acknowledgement levels".
 *
 * The entry is the truth and the tables follow it: a message that this node sends is sealed to itself too, so what stands in the tables is
 * always what entries say, and a crash between the two is mended by looking at the entry again.
 *
 *   hotline_draft.c     what an operator wants to send is checked: against the rules, the charter and the store
 *   hotline_send.c      it is sealed, submitted and kept, envelope by envelope; hotline_resume.c: goes on with it after a crash,
 *                       and sends it again to nodes that could not open it
 *   hotline_receive.c   a message's entry is opened and kept, whoever wrote it
 *   hotline_receipts.c  receipts that this node owes; hotline_receipts_in.c: those that come
 *   hotline_upload.c    attachments on their way out: staged; hotline_pump.c: then cut into sealed chunks
 *   hotline_chunks.c    attachments that are coming: which chunks are here
 *   hotline_content.c   what attachments hold, once all of it is here: checked, then given out
 *   hotline_rows.c      rows and their sealed columns; schema_hotline.c, schema_message.c, schema_again.c, schema_turn.c: the tables
 *   api_messages*.c     the routes
 */
#ifndef PL_NODE_HOTLINE_H
#define PL_NODE_HOTLINE_H

#include "node/apply.h"
#include "node/core.h"
#include "node/epoch/epoch.h"
#include "node/metrics.h"
#include "proto/content.h"

struct pl_hotline;

/* Reads counts and what is unfinished from the store, before its worker runs. why gets a sentence on error. */
PL_MUST_CHECK enum pl_err pl_hotline_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch *epoch, struct pl_hotline **out,
                                         char *why, size_t why_max);
void pl_hotline_start(struct pl_hotline *hotline);
void pl_hotline_stop(struct pl_hotline *hotline);
void pl_hotline_free(struct pl_hotline *hotline); /* after the loop has run out */

/* A PL_KIND_MESSAGE, PL_KIND_RECEIPTS or PL_KIND_ATTACHMENT entry. */
void pl_hotline_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry);

struct pl_hotline_counts {
	uint64_t unread, unanswered_flash;
	uint64_t received, sent, refused; /* since the start */
	struct pl_histogram flash_arrival, flash_round_trip; /* seconds */
};
void pl_hotline_counts(const struct pl_hotline *hotline, struct pl_hotline_counts *out);

/* How an operator names a message: its id in hex or at least its first 6 digits, "FIN/0/17", or the id of an entry in hex. */
struct pl_message_key {
	enum { PL_BY_MESSAGE, PL_BY_REF, PL_BY_ENTRY } by;
	uint8_t low[PL_ID_BYTES], high[PL_ID_BYTES]; /* of a range of ids; equal when it is given whole */
	struct pl_ref ref;
	uint64_t opened_seq; /* how far entries of ref's lane have been looked at, as far as is known */
};
/* PL_ERR_FORMAT, PL_ERR_UNKNOWN (no such node), PL_ERR_STATE (it is sent, and there is no room yet for what is shown of it). */
PL_MUST_CHECK enum pl_err pl_message_key_parse(const struct pl_hotline *hotline, const char *text, struct pl_message_key *out);

/* Worker thread: the entry by which a message came or went, and its content key, to disclose it with. Wipe cek.
 * PL_ERR_UNKNOWN, PL_ERR_REFUSED (held, but sealed to others), PL_ERR_DECRYPT (sealed to this node, and not shown: it broke a rule),
 * PL_ERR_EXISTS (the digits fit several), PL_ERR_STATE (not opened yet). */
struct pl_message_evidence {
	uint16_t node;
	uint8_t lane;
	uint64_t seq;
	uint8_t message_id[PL_MESSAGE_ID_BYTES];
	uint8_t cek[PL_CEK_BYTES];
};
PL_MUST_CHECK enum pl_err pl_hotline_evidence(struct pl_hotline *hotline, sqlite3 *db, const struct pl_message_key *key,
                                              struct pl_message_evidence *out);
/* The reply to a request whose message cannot be had, with one of these errors: 400, 403, 404, 409, 422 or 503. name: as the operator gave
 * it. */
void pl_hotline_reply_missing(struct pl_request *request, enum pl_err err, const char *name);

/* Adds /v1/messages… and /v1/attachments. */
PL_MUST_CHECK enum pl_err pl_hotline_add_routes(struct pl_hotline *hotline, struct pl_http *http);

#endif
