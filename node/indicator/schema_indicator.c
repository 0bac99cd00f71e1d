#include "node/store/store_schema.h"

/* Channels: roots of this node (next_item is the first item number not given out; unsent: some node lacks it) and of others (next_item
 * NULL, generation 0), which node was sent which root of ours, and entries of lane 2 that came before their root.
 *
 * Indicators: an object per distinct bytes, so sha256 names it, in order of arrival (n); who shared it, with the newest entry of each.
 * Names and objects are sealed columns; ids, types and times are in the clear, for the indices. */
const char pl_schema_indicator[] =
	"CREATE TABLE channel_root (node INTEGER, channel_id BLOB, number INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	" generation INTEGER NOT NULL, root BLOB NOT NULL, next_item INTEGER, unsent INTEGER NOT NULL, PRIMARY KEY (node, channel_id)) "
	"STRICT, WITHOUT ROWID;"
	"CREATE INDEX channel_root_own ON channel_root (number) WHERE next_item IS NOT NULL;"
	"CREATE INDEX channel_root_unsent ON channel_root (number) WHERE unsent = 1;"
	"CREATE TABLE channel_sent (channel_id BLOB, node INTEGER, PRIMARY KEY (channel_id, node)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE channel_wait (node INTEGER, seq INTEGER, channel_id BLOB NOT NULL, PRIMARY KEY (node, seq)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX channel_wait_channel ON channel_wait (node, channel_id);"

	"CREATE TABLE indicator ("
	" n INTEGER PRIMARY KEY,"
	" stix_id TEXT NOT NULL,"
	" type TEXT NOT NULL,"
	" modified TEXT NOT NULL,"
	" modified_us INTEGER NOT NULL,"
	" tlp INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL,"
	" sha256 BLOB NOT NULL,"
	" name BLOB NOT NULL,"
	" object BLOB NOT NULL"
	") STRICT;"
	"CREATE UNIQUE INDEX indicator_sha256 ON indicator (sha256);"
	"CREATE INDEX indicator_stix_id ON indicator (stix_id, modified_us);"
	"CREATE INDEX indicator_type ON indicator (type);"
	"CREATE TABLE indicator_provider (n INTEGER, node INTEGER, seq INTEGER NOT NULL, idx INTEGER NOT NULL, tlp INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL, PRIMARY KEY (n, node)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX indicator_provider_node ON indicator_provider (node, n);";

/* Which node's entry brought an id here first: an id proves nothing about who made an object, so that what others share under it later does not take
 * its place. ahead: the object says that it was modified over a day after its entry was made. */
const char pl_schema_indicator_owner[] =
	"CREATE TABLE indicator_owner (stix_id TEXT PRIMARY KEY, node INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT OR IGNORE INTO indicator_owner SELECT i.stix_id, (SELECT p.node FROM indicator_provider AS p WHERE p.n = i.n"
	" ORDER BY p.received_ms, p.node LIMIT 1) FROM indicator AS i WHERE i.n = (SELECT min(j.n) FROM indicator AS j WHERE j.stix_id = i.stix_id);"
	"ALTER TABLE indicator ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;";
