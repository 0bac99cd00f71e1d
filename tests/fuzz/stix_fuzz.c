/* STIX import: the walk of a bundle against jansson reading the same text as one tree, and the check of single objects. */
#include <jansson.h>

#include "node/indicator/stix.h"
#include "tests/fuzz/fuzz.h"

enum verdict { NO_JSON, NO_BUNDLE, BUNDLE };

/* What jansson thinks of it, for texts that it does not refuse for reasons of its own: double keys and numbers that it cannot hold. */
static bool ask_jansson(const uint8_t *bytes, size_t count, enum verdict *verdict, size_t *objects_count)
{
	json_error_t error;
	json_t *root = json_loadb((const char *)bytes, count, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		int code = (int)json_error_code(&error);
		*verdict = NO_JSON;
		return code != json_error_duplicate_key && code != json_error_numeric_overflow && code != json_error_null_byte_in_key;
	}
	const char *type = json_string_value(json_object_get(root, "type"));
	const json_t *objects = json_object_get(root, "objects");
	bool bundle = type != NULL && strcmp(type, "bundle") == 0 && (objects == NULL || json_is_array(objects));
	*verdict = bundle ? BUNDLE : NO_BUNDLE;
	*objects_count = json_array_size(objects);
	json_decref(root);
	return true;
}

static size_t walk_through(struct pl_stix_walk *walk, enum pl_err *err)
{
	struct pl_stix_item item;
	char why[200] = "", reason[PL_STIX_REASON_BYTES];
	size_t count = 0;
	while ((*err = pl_stix_walk_next(walk, &item, why, sizeof(why))) == PL_OK && item.found != PL_STIX_END) {
		struct pl_stix_object again;
		PL_FUZZ_CHECK(item.index == count++);
		PL_FUZZ_CHECK(item.object.bytes >= walk->bytes && item.object.bytes + item.object.count <= walk->bytes + walk->count);
		/* what import shares, every other node takes */
		enum pl_err read = pl_stix_object_read(item.object.bytes, item.object.count, &again, reason);
		PL_FUZZ_CHECK((read == PL_OK) == (item.found == PL_STIX_OBJECT));
		PL_FUZZ_CHECK(strcmp(again.id, item.object.id) == 0 && again.tlp == item.object.tlp &&
		              again.modified_us == item.object.modified_us);
	}
	PL_FUZZ_CHECK(*err == PL_OK || why[0] != '\0');
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = pl_fuzz_copy(data, size);
	struct pl_stix_walk walk;
	struct pl_stix_object object;
	char why[200], reason[PL_STIX_REASON_BYTES];

	enum pl_err err = pl_stix_object_read(bytes, size, &object, reason);
	PL_FUZZ_CHECK(err != PL_OK || (object.id[0] != '\0' && object.type[0] != '\0'));

	size_t walked = 0;
	why[0] = '\0';
	err = pl_stix_walk_begin(&walk, bytes, size, why, sizeof(why));
	PL_FUZZ_CHECK(err == PL_OK || why[0] != '\0');
	if (err == PL_OK)
		walked = walk_through(&walk, &err);

	enum verdict verdict;
	size_t objects_count = 0;
	if (err != PL_ERR_LIMIT && size > 0 && data[0] != 0xef && ask_jansson(bytes, size, &verdict, &objects_count)) {
		PL_FUZZ_CHECK(err != PL_OK || verdict == BUNDLE);
		PL_FUZZ_CHECK(err != PL_OK || walked == objects_count);
	}
	free(bytes);
	return 0;
}
