#include "node/store/store_schema.h"

/* Nodes to which an own message is still to go, by itself: in the order in which it goes to each. Most stores have none. Before, a message
 * that some node could not open had 2 in unfinished, which did not say which node. */
const char pl_schema_again[] =
	"CREATE TABLE hotline_again ("
	" node INTEGER, precedence INTEGER, message INTEGER,"
	" due INTEGER NOT NULL,"        /* it said that it cannot open it: not before then. 0: nothing was sent to it, since it had no key */
	" PRIMARY KEY (node, precedence DESC, message)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX hotline_again_unsent ON hotline_again (message) WHERE due = 0;"
	"INSERT INTO hotline_again SELECT hotline_recipient.node, precedence, n, 1 FROM hotline_message"
	" JOIN hotline_recipient ON message = n WHERE unfinished = 2 AND state = 5;"
	"UPDATE hotline_message SET unfinished = 0 WHERE unfinished = 2;";
