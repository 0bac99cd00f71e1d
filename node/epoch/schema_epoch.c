#include "node/store/store_schema.h"

/* Which encryption keys are out of use. CRYPTO.md, "Deletion". */
const char pl_schema_epoch[] =
	/* What this node has acknowledged, or is about to: it seals to no older key of that node. */
	"CREATE TABLE epoch_floor (node INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT;"
	/* What others, and this node itself, have acknowledged of this node's keys, and the heads of their lanes 1 and 2 at the time. */
	"CREATE TABLE epoch_ack ("
	" node INTEGER, number INTEGER,"
	" lane1 INTEGER NOT NULL, lane2 INTEGER NOT NULL,"
	" PRIMARY KEY (node, number)"
	") STRICT, WITHOUT ROWID;";
