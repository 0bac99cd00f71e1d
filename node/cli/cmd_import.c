#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/papers.h"
#include "node/indicator/stix.h"
#include "node/visible.h"
#include "proto/content.h"

#define BATCH_BYTES (512u << 10) /* a batch takes a moment, so that progress moves and a FLASH finds the daemon free */
#define BATCH_OBJECTS 256
#define REJECTED_SHOWN_MAX 20

struct import {
	struct pl_cli *cli;
	const struct pl_args *args;
	const char *path;
	unsigned tlp;
	int64_t now_ms;
	size_t good, accepted, duplicates;
	json_t *rejected, *refs;
	/* the batch that grows */
	uint8_t *batch;
	size_t batch_bytes, batch_objects;
	size_t index[BATCH_OBJECTS]; /* of its objects in the file */
};

/* What JSON can hold: a file may be anything, and an id in it may be cut. */
static const char *as_utf8(const char *text)
{
	return pl_utf8_is_valid(text, strlen(text)) ? text : pl_visible_text(text, strlen(text));
}

static void add_rejected(struct import *import, size_t index, const char *id, const char *reason)
{
	json_array_append_new(import->rejected, json_pack("{s:I, s:s?, s:s}", "index", (json_int_t)index + 1, "id",
	                                                  id[0] == '\0' ? NULL : as_utf8(id), "reason", as_utf8(reason)));
}

/* An object that is good in itself is not shared more widely than it is marked, nor as the newest version for years to come. */
static bool is_shareable(const struct import *import, const struct pl_stix_item *item)
{
	return item->found == PL_STIX_OBJECT && item->object.tlp <= import->tlp && !pl_stix_is_ahead(&item->object, (uint64_t)import->now_ms);
}

static const char *why_not(const struct import *import, const struct pl_stix_item *item)
{
	if (item->found == PL_STIX_REJECTED)
		return item->reason;
	if (pl_stix_is_ahead(&item->object, (uint64_t)import->now_ms))
		return "says that it was modified over a day from now";
	return pl_format("is marked TLP:%s, and was to be shared at TLP:%s", pl_upper(pl_tlp_name(item->object.tlp)),
	                 pl_upper(pl_tlp_name(import->tlp)));
}

/* The whole file before the first batch: a file that is broken in its middle imports nothing. */
static enum pl_exit check_file(struct import *import, const uint8_t *bytes, size_t count)
{
	struct pl_stix_walk walk;
	struct pl_stix_item *item = pl_alloc(sizeof(*item));
	struct pl_progress progress;
	char why[PL_WHY_BYTES];
	enum pl_err err = pl_stix_walk_begin(&walk, bytes, count, why, sizeof(why));
	pl_progress_begin(&progress, import->cli, "checking", true, count);
	while (err == PL_OK && (err = pl_stix_walk_next(&walk, item, why, sizeof(why))) == PL_OK && item->found != PL_STIX_END) {
		if (is_shareable(import, item))
			import->good++;
		else
			add_rejected(import, item->index, item->object.id, why_not(import, item));
		pl_progress_at(&progress, walk.at);
	}
	pl_progress_end(&progress);
	if (err != PL_OK)
		return pl_error(import->cli, pl_exit_of(err), "nothing was imported", "%s: %s", import->path, why);
	return PL_EXIT_OK;
}

static void begin_batch(struct import *import)
{
	uint8_t random[16];
	randombytes_buf(random, sizeof(random));
	import->batch_bytes = pl_stix_bundle_head(random, (char *)import->batch);
	import->batch_objects = 0;
}

/* What whoever interrupts this is told: batches that were answered are in, of the one under way nobody knows. */
static void tell_on_interrupt(const struct import *import)
{
	size_t in = import->accepted + import->duplicates;
	char *message = in == 0 ? pl_format("some of the %s may have been shared", pl_number_of(import->good, "object", "objects"))
	                        : pl_format("%s of %s are in, perhaps more", pl_count_text(in), pl_number_of(import->good, "object", "objects"));
	pl_interrupt_tell(import->cli, message, "import the file again for the rest: what is there already is recognised");
}

static enum pl_exit send_batch(struct import *import)
{
	static const char tail[] = PL_STIX_BUNDLE_TAIL;
	json_t *reply, *item;
	size_t i;
	if (import->batch_objects == 0)
		return PL_EXIT_OK;
	memcpy(import->batch + import->batch_bytes, tail, sizeof(tail) - 1);
	import->batch_bytes += sizeof(tail) - 1;
	tell_on_interrupt(import);
	enum pl_exit exit = pl_call_bytes(import->cli, pl_path("/v1/indicators?tlp=%s", pl_tlp_name(import->tlp)), PL_STIX_MEDIA_TYPE,
	                                  import->batch, import->batch_bytes, "part may have been shared, and is recognised: import it again", &reply);
	if (exit != PL_EXIT_OK) {
		if (import->accepted + import->duplicates > 0)
			pl_remark(import->cli, "%s of %s objects are in; import the file again for the rest, what is there already is recognised",
			        pl_count_text(import->accepted + import->duplicates), pl_count_text(import->good));
		return exit;
	}
	import->accepted += pl_json_number(reply, "accepted");
	import->duplicates += pl_json_number(reply, "duplicates");
	json_array_extend(import->refs, json_object_get(reply, "refs"));
	json_array_foreach(json_object_get(reply, "rejected"), i, item) {
		uint64_t index = pl_json_number(item, "index");
		add_rejected(import, index >= 1 && index <= import->batch_objects ? import->index[index - 1] : 0, pl_json_text(item, "id"),
		             pl_json_text(item, "reason"));
	}
	json_decref(reply);
	tell_on_interrupt(import);
	begin_batch(import);
	return PL_EXIT_OK;
}

static enum pl_exit send_file(struct import *import, const uint8_t *bytes, size_t count)
{
	struct pl_stix_walk walk;
	struct pl_stix_item *item = pl_alloc(sizeof(*item));
	struct pl_progress progress;
	char why[PL_WHY_BYTES];
	enum pl_exit exit = PL_EXIT_OK;
	enum pl_err err = pl_stix_walk_begin(&walk, bytes, count, why, sizeof(why));
	import->batch = pl_alloc(BATCH_BYTES + PL_OBJECT_BYTES_MAX + PL_STIX_BUNDLE_HEAD_BYTES + BATCH_OBJECTS + sizeof(PL_STIX_BUNDLE_TAIL));
	begin_batch(import);
	pl_progress_begin(&progress, import->cli, "importing", true, count);
	while (exit == PL_EXIT_OK && err == PL_OK && (err = pl_stix_walk_next(&walk, item, why, sizeof(why))) == PL_OK &&
	       item->found != PL_STIX_END) {
		if (!is_shareable(import, item))
			continue;
		if (import->batch_objects == BATCH_OBJECTS || import->batch_bytes + item->object.count > BATCH_BYTES) {
			struct pl_block *scope = pl_scope_begin();
			exit = send_batch(import);
			pl_scope_end(scope);
			if (exit != PL_EXIT_OK)
				break;
			pl_progress_at(&progress, walk.at);
		}
		if (import->batch_objects > 0)
			import->batch[import->batch_bytes++] = ',';
		memcpy(import->batch + import->batch_bytes, item->object.bytes, item->object.count);
		import->batch_bytes += item->object.count;
		import->index[import->batch_objects++] = item->index;
	}
	if (exit == PL_EXIT_OK && err == PL_OK)
		exit = send_batch(import);
	pl_progress_end(&progress);
	pl_interrupt_tell(import->cli, NULL, NULL); /* it is said otherwise now */
	if (err != PL_OK)
		exit = pl_error(import->cli, pl_exit_of(err), NULL, "%s: %s", import->path, why);
	return exit;
}

static void print_rejected(const struct import *import)
{
	size_t i;
	json_t *item;
	json_array_foreach(import->rejected, i, item) {
		if (i == REJECTED_SHOWN_MAX) {
			pl_remark(import->cli, "and %s more; --json lists all", pl_count_text(json_array_size(import->rejected) - i));
			break;
		}
		const char *id = pl_json_text(item, "id");
		pl_remark(import->cli, "object %s%s%s: %s", pl_count_text(pl_json_number(item, "index")), id[0] == '\0' ? "" : ", ", id,
		        pl_json_text(item, "reason"));
	}
}

static enum pl_exit report_import(const struct import *import)
{
	size_t rejected = json_array_size(import->rejected);
	if (import->cli->json) {
		pl_out_json(json_pack("{s:I, s:I, s:O, s:O}", "accepted", (json_int_t)import->accepted, "duplicates", (json_int_t)import->duplicates,
		                      "rejected", import->rejected, "refs", import->refs));
	} else {
		print_rejected(import);
		pl_say(import->cli, "%s shared at TLP:%s, %s shared before, %s refused", pl_number_of(import->accepted, "object", "objects"),
		       pl_upper(pl_tlp_name(import->tlp)), pl_count_text(import->duplicates), pl_count_text(rejected));
	}
	if (rejected > 0)
		return pl_error(import->cli, PL_EXIT_INPUT, NULL, "%s: %s refused, %s", import->path,
		                pl_number_of(rejected, "object was", "objects were"),
		                import->accepted + import->duplicates == 0 ? "and nothing was imported" : "the others are imported");
	return PL_EXIT_OK;
}

enum pl_exit pl_run_import(struct pl_cli *cli, const struct pl_args *args)
{
	struct import import = { .cli = cli, .args = args, .path = pl_input_name(pl_args_operand(args, 0)), .now_ms = pl_now_ms() };
	uint8_t *bytes;
	size_t count;
	char why[PL_WHY_BYTES];
	int tlp = pl_tlp_parse(pl_args_get(args, "tlp"));
	if (tlp < 0)
		return pl_error(cli, PL_EXIT_USAGE, "clear, green, amber, amber+strict or red", "\"%s\" is not a TLP 2.0 label",
		                pl_args_get(args, "tlp"));
	import.tlp = (unsigned)tlp;
	enum pl_err err = pl_input_read(pl_args_operand(args, 0), PL_STIX_FILE_BYTES_MAX, &bytes, &count, why, sizeof(why));
	if (err == PL_ERR_LIMIT)
		return pl_error(cli, pl_exit_of(err), "split it into several bundles", "%s", why);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	import.rejected = json_array();
	import.refs = json_array();
	pl_interrupt_tell(cli, "nothing was imported", "the file was still being checked");
	enum pl_exit exit = check_file(&import, bytes, count);
	if (exit == PL_EXIT_OK && pl_args_has(args, "strict") && json_array_size(import.rejected) > 0) {
		print_rejected(&import);
		exit = pl_error(cli, PL_EXIT_INPUT, "without --strict the others are imported", "%s: %s a rule; nothing was imported", import.path,
		                pl_number_of(json_array_size(import.rejected), "object breaks", "objects break"));
	} else if (exit == PL_EXIT_OK) {
		exit = send_file(&import, bytes, count);
		if (exit == PL_EXIT_OK)
			exit = report_import(&import);
	}
	free(bytes);
	json_decref(import.rejected);
	json_decref(import.refs);
	return exit;
}

const struct pl_option pl_import_options[] = {
	{ .name = "tlp", .value = PL_VALUE_TEXT, .value_name = "TLP", .choices = "clear|green", .required = true,
	  .help = "how far they may be passed on: clear or green" },
	{ .name = "strict", .help = "import nothing if any object breaks a rule" },
	{ 0 },
};
