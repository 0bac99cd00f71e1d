/* STIX 2.1 bundles: the objects of one, each with the exact bytes in which it came, and the rules that an object has to keep to be shared.
 * OPERATING.md, "Indicators".
 *
 * A file is walked, never loaded as a tree: one pass over its brackets comes first, so that nothing recurses deeper than
 * PL_STIX_DEPTH_MAX, then jansson reads one object at a time. A file that is not JSON, not a bundle or of STIX 2.0 is refused as a
 * whole; an object that breaks a rule is rejected alone, with the reason, and the walk goes on.
 *
 *   pl_stix_walk_begin(&walk, bytes, count, why, sizeof(why))
 *   while (pl_stix_walk_next(&walk, item, why, sizeof(why)) == PL_OK && item->found != PL_STIX_END) …
 *
 * A walk can fail half way (the 900th object is not JSON), so walk once to the end before acting on what was found.
 *
 *   stix.c          the walk through a bundle
 *   stix_object.c   the rules for one object
 *   stix_marking.c  its TLP: markings, labels
 *   stix_json.c     JSON without a tree: brackets, members
 *
 * To add a rule for objects, start at pl_stix_object_read(): import and receipt from other nodes both go through it.
 */
#ifndef PL_NODE_STIX_H
#define PL_NODE_STIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "proto/limits.h"

#define PL_STIX_MEDIA_TYPE "application/stix+json;version=2.1"
#define PL_STIX_TYPE_BYTES_MAX 250                             /* STIX 2.1, section 3.1 */
#define PL_STIX_ID_BYTES_MAX (PL_STIX_TYPE_BYTES_MAX + 2 + 36) /* type--UUID */
#define PL_STIX_TIME_BYTES_MAX 40
#define PL_STIX_NAME_BYTES_MAX 256
#define PL_STIX_REASON_BYTES 256

struct pl_stix_object {
	const uint8_t *bytes; /* borrowed from the input: what is shared, stored and hashed */
	size_t count;
	char type[PL_STIX_TYPE_BYTES_MAX + 1];
	char id[PL_STIX_ID_BYTES_MAX + 1];
	char modified[PL_STIX_TIME_BYTES_MAX +
	              1]; /* as it stands there; of marking definitions "created"; empty for observables without one */
	int64_t modified_us;                       /* the same in unix microseconds, to order versions by; 0 if empty */
	char name[PL_STIX_NAME_BYTES_MAX +
	          1]; /* for people: name, value, pattern, relationship…; UTF-8 as it stands there, also what turns lines and directions; may be empty */
	uint8_t tlp;                               /* enum pl_tlp: the narrowest TLP that the object is marked with, 0 if none */
};

/* Reads one object that fills bytes and checks the rules for it. On an error reason is a clause without a subject, "has no id", and
 * out->id and out->type are as far as they could be read, or empty. PL_ERR_FORMAT, PL_ERR_LIMIT, PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_stix_object_read(const uint8_t *bytes, size_t count, struct pl_stix_object *out,
                                              char reason[PL_STIX_REASON_BYTES]);

/* Over a day after now_ms, so that it would pass for the newest version for as long as it likes. */
bool pl_stix_is_ahead(const struct pl_stix_object *object, uint64_t now_ms);

enum pl_stix_found { PL_STIX_OBJECT, PL_STIX_REJECTED, PL_STIX_END };

struct pl_stix_item {
	enum pl_stix_found found;
	size_t index; /* its place in "objects", from 0 */
	struct pl_stix_object object;      /* PL_STIX_REJECTED: id, type, bytes and count only, id and type perhaps empty */
	char reason[PL_STIX_REASON_BYTES]; /* PL_STIX_REJECTED */
};

struct pl_stix_walk {
	const uint8_t *bytes;
	size_t count;
	size_t at;    /* bytes done, for a progress display */
	size_t index; /* objects done */
	size_t end;   /* of "objects" */
};

/* Checks the size, the brackets and the bundle itself. bytes live as long as the walk. why gets a sentence that says what is wrong and,
 * where there is a place, line and column. PL_ERR_LIMIT (over PL_STIX_FILE_BYTES_MAX, too deep), PL_ERR_FORMAT (not JSON, not a bundle),
 * PL_ERR_VERSION (STIX 2.0), PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_stix_walk_begin(struct pl_stix_walk *walk, const uint8_t *bytes, size_t count, char *why, size_t why_max);
/* The next object, good or rejected, or the end. PL_ERR_FORMAT (not JSON here), PL_ERR_LIMIT (over PL_STIX_OBJECTS_MAX objects),
 * PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_stix_walk_next(struct pl_stix_walk *walk, struct pl_stix_item *item, char *why, size_t why_max);

/* A bundle is written as its head, objects with commas between them, and PL_STIX_BUNDLE_TAIL. random: 16 fresh bytes, for its id. */
#define PL_STIX_BUNDLE_HEAD_BYTES 96
#define PL_STIX_BUNDLE_TAIL "]}\n"
size_t pl_stix_bundle_head(const uint8_t random[16], char out[PL_STIX_BUNDLE_HEAD_BYTES]); /* bytes written, without the NUL */
/* Or as this head, objects, and a tail that has the id: for one whose id is known last. */
#define PL_STIX_BUNDLE_BEGIN "{\"type\":\"bundle\",\"objects\":["
#define PL_STIX_BUNDLE_END_BYTES 64
size_t pl_stix_bundle_end(const uint8_t bytes[16], char out[PL_STIX_BUNDLE_END_BYTES]); /* bytes: for the id; likewise */

#endif
