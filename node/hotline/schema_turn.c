#include "node/store/store_schema.h"

/* Attachments to be checked, by author and then by size: the order in which they are. */
const char pl_schema_turn[] =
	"DROP INDEX hotline_attachment_unchecked;"
	"CREATE INDEX hotline_attachment_turn ON hotline_attachment (node, chunks, message, envelope, item) WHERE state = 1;";
