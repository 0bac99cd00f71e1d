#include "node/store/store_schema.h"

/* An id is its author's to choose, so a message is known by both: otherwise a recipient that relays could keep a message from the other
 * recipients by sending them one of its own under the same id first. SQLite cannot drop a constraint; the table is made anew.
 *
 * Receipts name their message likewise: of those that came before it, to_node was not known. */
const char pl_schema_message[] =
	"CREATE TABLE hotline_message_new ("
	" n INTEGER PRIMARY KEY,"
	" id BLOB NOT NULL,"
	" node INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" entry_id BLOB NOT NULL UNIQUE,"
	" box INTEGER NOT NULL,"
	" precedence INTEGER NOT NULL,"
	" sent INTEGER NOT NULL,"
	" received INTEGER NOT NULL,"
	" exercise INTEGER NOT NULL,"
	" attachments INTEGER NOT NULL,"
	" unread INTEGER NOT NULL,"
	" accepted INTEGER NOT NULL,"
	" unfinished INTEGER NOT NULL,"
	" head BLOB NOT NULL,"
	" text BLOB NOT NULL,"
	" cek BLOB NOT NULL,"
	" UNIQUE (id, node),"
	" UNIQUE (node, lane, seq)"
	") STRICT;"
	"INSERT INTO hotline_message_new SELECT n, id, node, lane, seq, entry_id, box, precedence, sent, received, exercise, attachments,"
	" unread, accepted, unfinished, head, text, cek FROM hotline_message;"
	"DROP TABLE hotline_message;"
	"ALTER TABLE hotline_message_new RENAME TO hotline_message;"
	"CREATE INDEX hotline_message_box ON hotline_message (box);"
	"CREATE INDEX hotline_message_precedence ON hotline_message (precedence);"
	"CREATE INDEX hotline_message_both ON hotline_message (box, precedence);"
	"CREATE INDEX hotline_message_unread ON hotline_message (n) WHERE unread = 1;"
	"CREATE INDEX hotline_message_unanswered ON hotline_message (n) WHERE box = 1 AND precedence = 4 AND accepted = 0;"
	"CREATE INDEX hotline_message_unfinished ON hotline_message (n) WHERE unfinished > 0;"
	"UPDATE hotline_receipt SET to_node = (SELECT node FROM hotline_message WHERE id = message_id)"
	" WHERE message_id IN (SELECT id FROM hotline_message);";
