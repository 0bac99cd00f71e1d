/* Inside the hotline: what its files share. hotline.h says which file does what. */
#ifndef PL_NODE_HOTLINE_IMPL_H
#define PL_NODE_HOTLINE_IMPL_H

#include "node/api/api.h"
#include "node/hotline/hotline.h"
#include "node/log.h"
#include "node/store/db.h"

#define PL_SLOTS_FOR_OTHERS (PL_SLOTS_MAX - 1) /* the own node takes one in each envelope */
#define PL_TOKEN_BYTES 16
#define PL_UPLOAD_BATCH 8 /* chunks in one job of the store: 384 KiB, a few milliseconds */
#define PL_PIECE_DISK_BYTES (PL_CHUNK_BYTES + 1024u) /* of the disk: a chunk and its row */
#define PL_UPLOAD_KEPT_MS 3600000ULL
#define PL_AGAIN_DELAY_MS 5000 /* a message that a node could not open waits so long for other nodes that cannot either */
#define PL_AGAIN_AGE_MS_MAX PL_EPOCH_KEY_KEEP_MS /* what is older is not sent again */

enum pl_box { PL_BOX_IN = 1, PL_BOX_OUT = 2 };
enum pl_attachment_state { PL_CHUNKS_MISSING = 0, PL_CHUNKS_UNCHECKED = 1, PL_CHUNKS_GOOD = 2, PL_CHUNKS_DAMAGED = 3 };

struct pl_sending;
struct pl_owed;

struct pl_hotline {
	struct pl_core *core;
	struct pl_applier *applier;
	struct pl_epoch *epoch;
	struct pl_store *store;
	const struct pl_charter *charter;
	const uint8_t *store_key; /* 32 */
	uint16_t self;
	bool stopped;
	struct pl_hotline_counts counts;
	uv_timer_t housekeeping;
	struct pl_sending *sendings; /* hotline_send.c */
	bool resuming, resume_wanted; /* hotline_resume.c */
	uv_timer_t resume_timer;
	uint64_t again_spent_ms[2][PL_MEMBERS_MAX]; /* [1]: of FLASH. Until then, for a member, what is sent again has spent its budget */
	struct pl_owed *owed;        /* hotline_receipts.c: authors to whom receipts are due */
	uv_timer_t owed_timer;
	uint64_t own_left[2]; /* of lanes 0 and 1: up to here own entries of before the start are still to be looked at; 0: none */
	uint64_t pump_told_ms; /* when the log last said that attachments wait; 0: never */
	struct pl_reads *reads; /* hotline_content.c; the worker's, but for its beginning and end */
	bool pumping, cleaning, checking; /* in this order: hotline_pump.c, hotline_upload.c, hotline_content.c */
	uv_timer_t pump_timer;
};

/* --- hotline_rows.c: rows and their sealed columns. Worker thread, but for what says otherwise --- */

struct pl_message_row {
	uint64_t n;
	uint8_t id[PL_MESSAGE_ID_BYTES];
	uint16_t node; /* author */
	uint8_t lane;
	uint64_t seq;
	uint8_t entry_id[PL_ID_BYTES];
	uint8_t box, precedence, attachments;
	uint64_t sent_ms, received_ms, entry_ms; /* entry_ms: of its first entry, as that claims */
	bool exercise, unread, accepted;
	/* Opened. The texts of message point into head, and its text into text; text is NULL in a list. */
	uint8_t *head, *text;
	size_t head_bytes, text_bytes;
	struct pl_message message;
};
void pl_message_row_wipe(struct pl_message_row *row); /* any thread */

/* Columns of hotline_message that pl_message_row_take() wants, in its order. */
#define PL_MESSAGE_COLUMNS \
	"n, id, node, lane, seq, entry_id, box, precedence, attachments, sent, received, exercise, unread, accepted, head," \
	" (SELECT header FROM entry WHERE entry.node = hotline_message.node AND entry.lane = hotline_message.lane" \
	" AND entry.seq = hotline_message.seq)"
PL_MUST_CHECK enum pl_err pl_message_row_take(const struct pl_hotline *hotline, sqlite3_stmt *statement, struct pl_message_row *out);

/* The message's n. Errors as of pl_hotline_evidence(). */
PL_MUST_CHECK enum pl_err pl_message_find(sqlite3 *db, const struct pl_message_key *key, uint64_t *n);
/* The message with this id by this node. Only the two together name one: an id is its author's to choose. */
PL_MUST_CHECK enum pl_err pl_message_find_of(sqlite3 *db, uint16_t author, const uint8_t id[PL_MESSAGE_ID_BYTES], uint64_t *n);
/* With its text. */
PL_MUST_CHECK enum pl_err pl_message_load(const struct pl_hotline *hotline, sqlite3 *db, uint64_t n, struct pl_message_row *out);

/* The content key of one of its envelopes; pl_wipe_free(). */
PL_MUST_CHECK enum pl_err pl_message_cek(const struct pl_hotline *hotline, sqlite3 *db, uint64_t n, unsigned envelope, uint8_t **cek,
                                         size_t *cek_bytes);

/* A sealed column: malloc'd, plain_bytes + PL_COLUMN_OVERHEAD. NULL without memory. Any thread. */
uint8_t *pl_hotline_seal(const struct pl_hotline *hotline, const char *table, const char *column, const void *row, size_t row_bytes,
                         const void *plain, size_t plain_bytes);
/* Opens a column of the current row; malloc'd, with a NUL after it. PL_ERR_DECRYPT, PL_ERR_CORRUPT, PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_hotline_open(const struct pl_hotline *hotline, const char *table, const char *column, const void *row,
                                          size_t row_bytes, sqlite3_stmt *statement, int index, uint8_t **out, size_t *count);
void pl_row_of_place(uint16_t node, uint8_t lane, uint64_t seq, uint8_t row[11]); /* row of hotline_copy.cek */
void pl_wipe_free(void *bytes, size_t count);

/* --- hotline_receive.c --- */

/* A message to be kept: an entry that was opened, or that this node wrote. */
struct pl_keep {
	struct pl_apply apply;
	struct pl_hotline *hotline;
	uint8_t entry_id[PL_ID_BYTES];
	uint64_t received_ms, decrypted_ms, entry_ms;
	uint8_t *plain; /* owned; message points into it. NULL: only a refusal */
	size_t plain_bytes;
	struct pl_message message;
	uint8_t cek[PL_CEK_BYTES];
	bool more;                  /* of own ones: further envelopes are to follow */
	struct pl_sending *sending; /* told when done; NULL */
	const char *refused;        /* why it is not shown; NULL */

	/* found by the work */
	bool is_new, owes_receipts;
	uint64_t n;
	uint8_t box;
	bool unchecked; /* an attachment was complete before its message */
};
void pl_hotline_receive(struct pl_hotline *hotline, const struct pl_store_entry *entry);
/* Fills in place and entry; the caller sets the rest and calls pl_hotline_keep(). NULL without memory. */
struct pl_keep *pl_keep_new(struct pl_hotline *hotline, const struct pl_store_entry *entry);
void pl_hotline_keep(struct pl_keep *keep);
/* Whether both say the same. Attachments have an id of their own in each entry; nothing else may differ. */
PL_MUST_CHECK enum pl_err pl_message_is_same(const struct pl_message *first, const struct pl_message *again, bool *is);

/* --- hotline_draft.c, hotline_send.c, hotline_resume.c --- */

/* An own message's entry: true if it is of a message that is being sent, which then keeps it. */
bool pl_hotline_sent_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry);
void pl_sending_kept(struct pl_sending *sending, bool dropped);
/* Whom a message is to be sealed to besides this node: the addressees' nodes, and the other nodes of the own member. Returns how many. */
size_t pl_hotline_audience(const struct pl_hotline *hotline, const struct pl_message *message, uint16_t nodes[PL_NODES_MAX]);
void pl_sendings_stop(struct pl_hotline *hotline);
/* A listener of the applier: clients whose message is durable are told so, although it stands in no list until there is room for that. */
void pl_sendings_wait(void *hotline, uint16_t node, uint8_t lane);
/* The message that is sent under this id and stands in no list yet; NULL. low and high: a range of ids. */
const struct pl_sending *pl_sending_unlisted(const struct pl_hotline *hotline, const uint8_t low[PL_MESSAGE_ID_BYTES],
                                             const uint8_t high[PL_MESSAGE_ID_BYTES]);
/* Goes on with messages that are still to go to some nodes, now or as soon as nothing else is being sent. */
void pl_hotline_resume(struct pl_hotline *hotline);
void pl_hotline_resume_later(struct pl_hotline *hotline); /* after PL_AGAIN_DELAY_MS */

/* What an operator wants to send; borrowed until pl_hotline_send() returns. */
struct pl_draft {
	size_t to_count, info_count, attachments_count;
	const char *const *to, *const *info, *const *attachments; /* member codes; tokens of uploads */
	const char *precedence, *subject, *text, *operator_name;
	const char *reply_to; /* NULL: none */
	const char *id;       /* NULL: a new one */
	uint64_t expires_ms;  /* 0: never */
	bool exercise;
};
struct pl_refusal {
	int status; /* of HTTP */
	const char *code, *hint; /* static */
	char message[320];
	uint64_t retry_after_ms; /* 0: not known */
};
struct pl_sent {
	uint8_t id[PL_MESSAGE_ID_BYTES], entry_id[PL_ID_BYTES];
	struct pl_ref ref;
	uint64_t time_ms;
	size_t bytes; /* of the entry's body */
	const uint16_t *no_key; /* nodes of the members addressed that it was not sealed to: no key of theirs was known; borrowed for the call */
	size_t no_key_count;
	bool is_unlisted; /* the disk has no room for what is shown of it; it is listed once there is some */
};
typedef void (*pl_send_done)(void *ctx, const struct pl_refusal *refusal, const struct pl_sent *sent); /* one of the two is NULL */
/* done comes once, perhaps before this returns. */
void pl_hotline_send(struct pl_hotline *hotline, const struct pl_draft *draft, pl_send_done done, void *ctx);

/* A message on its way out: checked, its uploads taken, then envelope by envelope sealed, submitted and kept. */
struct pl_sending {
	struct pl_sending *next;
	struct pl_hotline *hotline;
	pl_send_done done; /* NULL once told */
	void *ctx;
	struct pl_sent sent; /* of the first envelope */

	struct pl_message message; /* texts point into the copies below */
	char *operator_name, *subject, *text;
	struct pl_upload_meta *metas;
	uint8_t tokens[PL_ATTACHMENTS_MAX][PL_TOKEN_BYTES];
	struct pl_message_row row; /* of one that goes on after a crash: message points into it */
	char *reply_to;
	struct pl_message_key reply_to_key;
	uint8_t lane, flags;
	bool has_id;                 /* chosen by the client, who may be saying it again */
	bool is_resumed, is_again;   /* hotline_resume.c has begun it; to nodes in hotline_again */
	bool is_unlisted;            /* told as sent.is_unlisted says, and not kept yet */
	bool is_repeat;              /* it was said before: sent tells of that time */
	struct pl_sending *waits_for; /* another call that says the same at this moment */

	uint16_t nodes[PL_NODES_MAX];
	size_t nodes_count, nodes_done;
	uint16_t no_key[PL_NODES_MAX]; /* as pl_sent has it; stands before anything is submitted */
	size_t no_key_count;
	unsigned envelope; /* how many were kept */

	struct pl_job job;
	struct pl_seal seal;
	uint8_t *plain;
	size_t plain_bytes;
	bool submitted, durable, keeping, kept; /* of the envelope at hand */
	uint8_t body_hash[PL_ID_BYTES];
	uint8_t cek[PL_CEK_BYTES];
};

/* Looks up what the draft names in the store, then goes on to the first envelope. */
void pl_sending_prepare(struct pl_sending *sending);
/* Seals, submits and keeps what is left, envelope by envelope; then tells and frees. */
void pl_sending_next(struct pl_sending *sending);
/* Tells that the message was not sent, gives its uploads back and frees. */
__attribute__((format(printf, 5, 6))) void pl_sending_refuse(struct pl_sending *sending, int status, const char *code, const char *hint,
                                                             const char *format, ...);
void pl_sending_refuse_err(struct pl_sending *sending, enum pl_err err);
/* Tells that it was, once. */
void pl_sending_tell(struct pl_sending *sending);
/* Those that wait for it are taken up. */
void pl_sending_free(struct pl_sending *sending);

/* --- hotline_receipts.c, hotline_receipts_in.c --- */

void pl_receipts_start(struct pl_hotline *hotline);
void pl_receipts_stop(struct pl_hotline *hotline);
void pl_receipts_free(struct pl_hotline *hotline);
void pl_receipts_key_learned(struct pl_hotline *hotline, uint16_t node);
PL_MUST_CHECK enum pl_err pl_receipts_load(struct pl_hotline *hotline, sqlite3 *db); /* those that are pending, at start */
void pl_receipts_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry);
/* Worker thread: owes the author a receipt. message_id NULL for PL_RECEIPT_FAILED. */
struct pl_receipt_due {
	const uint8_t *message_id, *entry_id;
	uint16_t to_node;
	uint8_t type;
	uint64_t time_ms;
	const char *operator_name, *reason; /* NULL: none */
};
PL_MUST_CHECK enum pl_err pl_receipt_owe(const struct pl_hotline *hotline, sqlite3 *db, const struct pl_receipt_due *due);
/* Loop thread, after that is durable. */
void pl_receipts_due(struct pl_hotline *hotline, uint16_t author, bool urgent);
/* Worker thread: a row of hotline_receipt, and what its sealed columns are bound to. */
struct pl_receipt_row {
	const uint8_t *message_id; /* NULL: not known, which PL_RECEIPT_FAILED does not tell */
	const uint8_t *entry_id;
	uint16_t node, to_node;
	uint8_t type;
	uint64_t time_ms, received_ms, seq;
	struct pl_text operator_name, reason;
};
/* Whether one is there that says the same, of the same message (or entry, where the message is not known) by the same operator, and then its
 * time and seq, in receipt; and how many there are of this node for this message (or for all that are not known). */
PL_MUST_CHECK enum pl_err pl_receipt_look(const struct pl_hotline *hotline, sqlite3 *db, struct pl_receipt_row *receipt, bool *exists,
                                          size_t *count);
PL_MUST_CHECK enum pl_err pl_receipt_insert(const struct pl_hotline *hotline, sqlite3 *db, const struct pl_receipt_row *receipt);
#define PL_RECEIPT_ROW_BYTES (PL_ID_BYTES + 3)
void pl_receipt_row(const uint8_t entry_id[PL_ID_BYTES], uint16_t node, uint8_t type, uint8_t row[PL_RECEIPT_ROW_BYTES]);
/* Worker thread: after an entry with a message of this member has come in, takes up receipts for it that were here before it. */
PL_MUST_CHECK enum pl_err pl_receipts_adopt(sqlite3 *db, uint64_t n, uint16_t author, const uint8_t message_id[PL_MESSAGE_ID_BYTES],
                                            const uint8_t entry_id[PL_ID_BYTES]);

/* --- hotline_upload.c --- */
void pl_upload_row(const uint8_t token[PL_TOKEN_BYTES], uint32_t item, uint8_t row[PL_TOKEN_BYTES + 4]); /* of a staged chunk, for its seal */

struct pl_upload_meta {
	char name[256], media_type[128];
	uint64_t bytes;
	uint8_t sha256[32];
};
/* Worker thread. Takes an upload for a message; PL_ERR_UNKNOWN, PL_ERR_EXISTS (another message has it). */
PL_MUST_CHECK enum pl_err pl_upload_take(const struct pl_hotline *hotline, sqlite3 *db, const uint8_t token[PL_TOKEN_BYTES],
                                         const uint8_t message_id[PL_MESSAGE_ID_BYTES], unsigned item, uint64_t wall_ms,
                                         struct pl_upload_meta *out);
PL_MUST_CHECK enum pl_err pl_upload_release(sqlite3 *db, const uint8_t message_id[PL_MESSAGE_ID_BYTES]);
void pl_upload_clean(struct pl_hotline *hotline); /* those that nobody used */
void pl_api_upload(struct pl_request *request, void *hotline);

/* --- hotline_pump.c --- */

/* Sends chunks of uploads whose message is durable, until there are none. */
void pl_upload_pump(struct pl_hotline *hotline);

/* --- hotline_chunks.c --- */

void pl_chunks_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry);
/* Worker thread: inserts the rows of a message's attachments; *unchecked is set if one is complete already. */
PL_MUST_CHECK enum pl_err pl_chunks_expect(const struct pl_hotline *hotline, sqlite3 *db, uint64_t n, unsigned envelope, uint16_t author,
                                           const struct pl_message *message, bool *unchecked);

/* --- hotline_content.c --- */

/* Checks attachments of which all chunks are here. */
void pl_chunks_check(struct pl_hotline *hotline);
void pl_reads_free(struct pl_hotline *hotline);
void pl_api_download(struct pl_request *request, void *hotline);

/* --- api_messages.c, api_message.c --- */

#define PL_MESSAGE_BODY_BYTES_MAX 4096u /* of read and accept */
void pl_api_message_get(struct pl_request *request, void *hotline);
void pl_api_message_read(struct pl_request *request, void *hotline);
void pl_api_message_accept(struct pl_request *request, void *hotline);
void pl_api_message_receipts(struct pl_request *request, void *hotline);

/* Beside enum pl_receipt_type and 0, in hotline_recipient: it was not sealed to this node, of which no key was known. On the node that has sent
 * it, while it was being sent: an envelope does not say whom it is for. */
#define PL_RECIPIENT_NO_KEY 6
/* States of a message's recipients, for lists. */
struct pl_recipient_state {
	uint16_t node;
	uint8_t state;
	uint64_t decrypted_ms;
};
PL_MUST_CHECK enum pl_err pl_recipient_states(sqlite3 *db, const struct pl_hotline *hotline, const struct pl_message_row *row,
                                              struct pl_recipient_state **out, size_t *count); /* malloc'd */
/* The list item. */
json_t *pl_message_item(const struct pl_hotline *hotline, const struct pl_message_row *row, const struct pl_recipient_state *states,
                        size_t states_count);
const char *pl_receipt_state_name(unsigned state); /* "sent" for 0, "no_key", else as pl_receipt_name() */

#endif
