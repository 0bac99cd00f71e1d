#include "node/store/store_schema.h"

/* Encryption keys and the hotline. What a "sealed" column holds is under the store key (crypto/keyfile.h), and nobody reads it without the
 * node's passphrase; the rest is times, places and states.
 *
 * Messages are numbered by arrival (n), which is also the order in which the inbox is paged. The indexes are for exactly what is asked: the
 * inbox by box, by precedence, what is unread, what is unanswered, and what is unfinished after a crash; the last three hold only such rows. */
const char pl_schema_hotline[] =
	"CREATE TABLE epoch_own ("
	" number INTEGER PRIMARY KEY,"
	" valid_from INTEGER NOT NULL,"
	" valid_until INTEGER NOT NULL,"
	" public BLOB,"            /* NULL once the secret, which is in a file of its own (epoch_file.h), is wiped */
	" seq INTEGER NOT NULL"    /* of its entry in lane 0; 0 before that is known */
	") STRICT;"
	"CREATE TABLE epoch_other ("
	" node INTEGER, number INTEGER,"
	" valid_from INTEGER NOT NULL,"
	" valid_until INTEGER NOT NULL,"
	" public BLOB NOT NULL,"
	" seq INTEGER NOT NULL,"
	" PRIMARY KEY (node, number)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE hotline_message ("
	" n INTEGER PRIMARY KEY,"
	" id BLOB NOT NULL UNIQUE,"
	" node INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL," /* its first entry */
	" entry_id BLOB NOT NULL UNIQUE,"
	" box INTEGER NOT NULL,"        /* 1 in, 2 out */
	" precedence INTEGER NOT NULL,"
	" sent INTEGER NOT NULL,"
	" received INTEGER NOT NULL,"
	" exercise INTEGER NOT NULL,"
	" attachments INTEGER NOT NULL,"
	" unread INTEGER NOT NULL,"
	" accepted INTEGER NOT NULL,"
	" unfinished INTEGER NOT NULL," /* of own ones: 1 envelopes are still to be sent; see schema_again.c */
	" head BLOB NOT NULL,"          /* sealed: the message without its text */
	" text BLOB NOT NULL,"          /* sealed */
	" cek BLOB NOT NULL,"           /* sealed: opens the first entry */
	" UNIQUE (node, lane, seq)"
	") STRICT;"
	"CREATE INDEX hotline_message_box ON hotline_message (box);"
	"CREATE INDEX hotline_message_precedence ON hotline_message (precedence);"
	"CREATE INDEX hotline_message_both ON hotline_message (box, precedence);"
	"CREATE INDEX hotline_message_unread ON hotline_message (n) WHERE unread = 1;"
	"CREATE INDEX hotline_message_unanswered ON hotline_message (n) WHERE box = 1 AND precedence = 4 AND accepted = 0;"
	"CREATE INDEX hotline_message_unfinished ON hotline_message (n) WHERE unfinished > 0;"

	/* Further entries with the same message: to more recipients, or sent again. */
	"CREATE TABLE hotline_copy ("
	" node INTEGER, lane INTEGER, seq INTEGER,"
	" message INTEGER NOT NULL,"
	" entry_id BLOB NOT NULL UNIQUE,"
	" envelope INTEGER NOT NULL,"   /* of the message's entries, from 1 on */
	" cek BLOB NOT NULL,"           /* sealed */
	" PRIMARY KEY (node, lane, seq)"
	") STRICT, WITHOUT ROWID;"
	"CREATE UNIQUE INDEX hotline_copy_message ON hotline_copy (message, envelope);"

	/* Where own messages have got to, by node. */
	"CREATE TABLE hotline_recipient ("
	" message INTEGER, node INTEGER,"
	" state INTEGER NOT NULL,"      /* 0 sent, or the furthest enum pl_receipt_type, or PL_RECIPIENT_NO_KEY */
	" decrypted_ms INTEGER NOT NULL," /* when its first such receipt arrived; 0 none */
	" PRIMARY KEY (message, node)"
	") STRICT, WITHOUT ROWID;"

	/* Receipts, of others for own messages and own ones for those of others. */
	"CREATE TABLE hotline_receipt ("
	" n INTEGER PRIMARY KEY,"
	" message_id BLOB NOT NULL,"    /* empty: of a message that could not be read, by who says so */
	" entry_id BLOB NOT NULL,"
	" node INTEGER NOT NULL,"       /* who says so */
	" to_node INTEGER NOT NULL,"    /* whose message it is about */
	" type INTEGER NOT NULL,"
	" time INTEGER NOT NULL,"
	" received INTEGER NOT NULL,"
	" seq INTEGER NOT NULL,"        /* its entry in lane 1; 0: own one, to be sent */
	" operator BLOB NOT NULL,"      /* sealed */
	" reason BLOB NOT NULL"         /* sealed */
	") STRICT;"
	"CREATE INDEX hotline_receipt_message ON hotline_receipt (message_id, node);"
	"CREATE INDEX hotline_receipt_nameless ON hotline_receipt (entry_id) WHERE message_id = x'';"
	"CREATE INDEX hotline_receipt_pending ON hotline_receipt (to_node) WHERE seq = 0;"

	/* Entries that were sealed to this node and are not shown, with the reason. */
	"CREATE TABLE hotline_refused ("
	" node INTEGER, lane INTEGER, seq INTEGER,"
	" reason TEXT NOT NULL,"
	" PRIMARY KEY (node, lane, seq)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE hotline_attachment ("
	" message INTEGER, envelope INTEGER, item INTEGER,"
	" node INTEGER NOT NULL,"       /* author */
	" id BLOB NOT NULL,"
	" bytes INTEGER NOT NULL,"
	" chunks INTEGER NOT NULL,"
	" have INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"      /* 0 chunks are missing, 1 all here, to be checked, 2 good, 3 damaged */
	" upload BLOB,"                 /* of own ones: chunks are still to be sent from this upload */
	" PRIMARY KEY (message, envelope, item)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX hotline_attachment_id ON hotline_attachment (node, id);"
	"CREATE INDEX hotline_attachment_unchecked ON hotline_attachment (message) WHERE state = 1;"
	"CREATE INDEX hotline_attachment_unsent ON hotline_attachment (upload) WHERE upload IS NOT NULL;"
	/* Which entry of lane 2 carries which chunk; of every attachment, since a chunk may come before its message. */
	"CREATE TABLE hotline_chunk ("
	" node INTEGER, attachment BLOB, item INTEGER,"
	" seq INTEGER NOT NULL,"
	" chunks INTEGER NOT NULL,"
	" PRIMARY KEY (node, attachment, item)"
	") STRICT, WITHOUT ROWID;"

	/* Attachments that were handed in and wait for their message, or for their chunks to be sent. */
	"CREATE TABLE hotline_upload ("
	" token BLOB PRIMARY KEY,"
	" created INTEGER NOT NULL,"
	" complete INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL,"
	" meta BLOB NOT NULL,"          /* sealed */
	" message_id BLOB, item INTEGER"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX hotline_upload_created ON hotline_upload (created);"
	"CREATE INDEX hotline_upload_message ON hotline_upload (message_id, item);"
	"CREATE TABLE hotline_upload_chunk ("
	" token BLOB NOT NULL, item INTEGER NOT NULL,"
	" bytes BLOB NOT NULL,"         /* sealed */
	" UNIQUE (token, item)"
	") STRICT;";

/* Attachments that a chunk counts for: without those that are complete, or refused. */
const char pl_schema_attachment[] =
	"CREATE INDEX hotline_attachment_missing ON hotline_attachment (node, id, chunks) WHERE state = 0;";
