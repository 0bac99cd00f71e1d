/* Indicators: STIX objects that this node shares with all members, and those that others have shared with it. OPERATING.md, "Indicators".
 *
 * Objects travel byte for byte, several to an entry of lane 2, each entry at one TLP and sealed under its author's channel (channel.h).
 * What is kept of them follows from the entries alone, those of this node included: the import seals and submits, and the objects appear
 * here when their entries come by. Equal bytes are one object; every author that shared it is one of its **providers**.
 *
 *   indicator.c           the part, and entries as they come by
 *   indicator_intake.c    an entry's objects: opened, checked, into the tables
 *   indicator_waiting.c   entries that came before the root of their channel
 *   indicator_import.c    a bundle out: checked, freed of duplicates, packed, sealed, submitted
 *   indicator_query.c     lists, search, single objects; indicator_export.c: the bundle of all; indicator_rows.c: the rows they read
 *   indicator_aside.c     a thread for what takes long
 *   stix.c                bundles and their rules
 *   channel.c             the roots under which entries are sealed
 *   schema_indicator.c    the tables; api_indicators.c: the routes
 */
#ifndef PL_NODE_INDICATOR_H
#define PL_NODE_INDICATOR_H

#include "node/apply.h"
#include "node/indicator/channel.h"
#include "node/core.h"
#include "node/http/http.h"

struct pl_indicator_part;

/* Counts what the store holds, before its worker runs. why gets a sentence on error. */
PL_MUST_CHECK enum pl_err pl_indicator_new(struct pl_core *core, struct pl_applier *applier, struct pl_channels *channels,
                                           struct pl_indicator_part **out, char *why, size_t why_max);
void pl_indicator_start(struct pl_indicator_part *part);
void pl_indicator_stop(struct pl_indicator_part *part);
void pl_indicator_free(struct pl_indicator_part *part); /* after the loop has run out */

/* A PL_KIND_INDICATORS entry. */
void pl_indicator_entry(struct pl_indicator_part *part, const struct pl_store_entry *entry);

struct pl_indicator_counts {
	uint64_t objects;  /* held, versions apart */
	uint64_t rejected; /* objects of entries that broke a rule, since the start */
};
void pl_indicator_counts(const struct pl_indicator_part *part, struct pl_indicator_counts *out);

/* Adds /v1/indicators…. */
PL_MUST_CHECK enum pl_err pl_indicator_add_routes(struct pl_indicator_part *part, struct pl_http *http);

#endif
