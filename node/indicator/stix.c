#include <stdio.h>
#include <string.h>

#include "node/indicator/stix_impl.h"

static enum pl_err not_json(const struct pl_stix_walk *walk, size_t at, const char *what, char *why, size_t why_max)
{
	size_t line = 1, start = 0;
	if (at > walk->count)
		at = walk->count;
	for (const uint8_t *p = walk->bytes; (p = memchr(p, '\n', (size_t)(walk->bytes + at - p))) != NULL; p++) {
		line++;
		start = (size_t)(p - walk->bytes) + 1;
	}
	pl_stix_say(why, why_max, "not JSON: %s at line %zu, byte %zu of the line", what, line, at - start + 1);
	return PL_ERR_FORMAT;
}

static enum pl_err check_brackets(const struct pl_stix_walk *walk, size_t open, char *why, size_t why_max)
{
	size_t at = open;
	switch (pl_json_skip_value(walk->bytes, &at, walk->count, PL_STIX_DEPTH_MAX)) {
	case PL_BRACKETS_GOOD:
		at = pl_json_skip_space(walk->bytes, at, walk->count);
		return at == walk->count ? PL_OK : not_json(walk, at, "something follows after the end", why, why_max);
	case PL_BRACKETS_DEEP: {
		char place[160];
		(void)not_json(walk, at, "", place, sizeof(place));
		pl_stix_say(why, why_max, "nested more than %d deep,%s", PL_STIX_DEPTH_MAX, place + strlen("not JSON: "));
		return PL_ERR_LIMIT;
	}
	case PL_BRACKETS_UNBALANCED:
		return not_json(walk, at, "a bracket closes another kind of bracket", why, why_max);
	case PL_BRACKETS_OPEN:
		return not_json(walk, at, "the file ends with brackets open", why, why_max);
	case PL_BRACKETS_QUOTE_OPEN:
		return not_json(walk, at, "a string does not end that begins", why, why_max);
	}
	return PL_ERR_FORMAT;
}

/* A property of the bundle itself, other than objects. */
static enum pl_err read_property(struct pl_stix_walk *walk, size_t at, size_t count, json_t **out, char *why, size_t why_max)
{
	json_error_t error;
	if (count > PL_OBJECT_BYTES_MAX) {
		pl_stix_say(why, why_max, "not a bundle that can be read: one of its properties is %zu bytes long", count);
		return PL_ERR_LIMIT;
	}
	*out = pl_json_read(walk->bytes + at, count, &error);
	if (*out != NULL)
		return PL_OK;
	if (json_error_code(&error) == json_error_out_of_memory)
		return PL_ERR_MEMORY;
	char words[80];
	pl_json_error_words(&error, words);
	return not_json(walk, at + (size_t)error.position, words, why, why_max);
}

enum property { PROPERTY_TYPE, PROPERTY_ID, PROPERTY_VERSION, PROPERTY_OBJECTS, PROPERTIES };
static const char *const property_names[PROPERTIES] = { "type", "id", "spec_version", "objects" };

static enum pl_err read_bundle(struct pl_stix_walk *walk, size_t open, json_t *values[PROPERTIES], size_t *objects_at, char *why,
                               size_t why_max)
{
	struct pl_json_members m = pl_json_members_of(walk->bytes, open, walk->count);
	enum pl_json_member step;
	while ((step = pl_json_next_member(&m)) == PL_JSON_MEMBER) {
		json_t *key = NULL, *value = NULL;
		enum pl_err err = read_property(walk, m.key, m.key_count, &key, why, why_max);
		if (err != PL_OK)
			return err;
		int property = 0;
		while (property < PROPERTIES && strcmp(json_string_value(key), property_names[property]) != 0)
			property++;
		json_decref(key);
		if (property < PROPERTIES && values[property] != NULL) {
			pl_stix_say(why, why_max, "not a bundle that can be read: \"%s\" stands twice in it", property_names[property]);
			return PL_ERR_FORMAT;
		}
		if (property == PROPERTY_OBJECTS && walk->bytes[m.value] == '[') {
			*objects_at = m.value;
			walk->end = m.value + m.value_count;
			value = json_true();
		} else {
			err = read_property(walk, m.value, m.value_count, &value, why, why_max);
			if (err != PL_OK)
				return err;
		}
		if (property < PROPERTIES)
			values[property] = value;
		else
			json_decref(value);
	}
	return step == PL_JSON_MEMBERS_END ? PL_OK : not_json(walk, m.at, "a name, a colon, a comma or a value is missing", why, why_max);
}

static enum pl_err check_bundle(json_t *const values[PROPERTIES], bool has_objects, char *why, size_t why_max)
{
	const char *type = pl_json_plain_string(values[PROPERTY_TYPE]), *id = pl_json_plain_string(values[PROPERTY_ID]);
	if (type == NULL || strcmp(type, "bundle") != 0) {
		bool object = type != NULL && pl_stix_is_type_form(type);
		pl_stix_say(why, why_max, "not a STIX bundle: its \"type\" is %s%s%s, not \"bundle\"", object ? "\"" : "",
		            object ? type : "missing or no type", object ? "\"" : "");
		return PL_ERR_FORMAT;
	}
	if (values[PROPERTY_VERSION] != NULL) {
		/* STIX 2.0 has it on the bundle; 2.1 does not, but tools write it */
		const char *version = pl_json_plain_string(values[PROPERTY_VERSION]);
		if (version != NULL && strcmp(version, "2.0") == 0) {
			pl_stix_say(why, why_max,
			            "a STIX 2.0 bundle; convert it to STIX 2.1 (the OASIS stix2-elevator does it, or the tool that exported it)");
			return PL_ERR_VERSION;
		}
		if (version == NULL || strcmp(version, "2.1") != 0) {
			pl_stix_say(why, why_max, "a bundle of a STIX version other than 2.1");
			return PL_ERR_VERSION;
		}
	}
	if (id == NULL || strncmp(id, "bundle--", 8) != 0 || !pl_stix_is_uuid_form(id + 8)) {
		pl_stix_say(why, why_max, "not a STIX bundle: its \"id\" is not of the form bundle--UUID");
		return PL_ERR_FORMAT;
	}
	if (values[PROPERTY_OBJECTS] != NULL && !has_objects) {
		pl_stix_say(why, why_max, "not a STIX bundle: its \"objects\" is %s, not a list", pl_json_kind_of(values[PROPERTY_OBJECTS]));
		return PL_ERR_FORMAT;
	}
	return PL_OK;
}

enum pl_err pl_stix_walk_begin(struct pl_stix_walk *walk, const uint8_t *bytes, size_t count, char *why, size_t why_max)
{
	static const uint8_t byte_order_mark[3] = { 0xef, 0xbb, 0xbf };
	*walk = (struct pl_stix_walk){ .bytes = bytes, .count = count };
	if (count > PL_STIX_FILE_BYTES_MAX) {
		pl_stix_say(why, why_max, "%zu bytes long; a STIX file may have up to %d MiB: split it", count, PL_STIX_FILE_BYTES_MAX >> 20);
		return PL_ERR_LIMIT;
	}
	size_t open = count >= 3 && memcmp(bytes, byte_order_mark, 3) == 0 ? 3 : 0;
	open = pl_json_skip_space(bytes, open, count);
	if (open == count) {
		pl_stix_say(why, why_max, "empty; a STIX bundle was expected");
		return PL_ERR_FORMAT;
	}
	if (bytes[open] != '{') {
		bool list = bytes[open] == '[';
		enum pl_err err = list ? check_brackets(walk, open, why, why_max) : not_json(walk, open, "no object begins", why, why_max);
		if (err == PL_OK) {
			pl_stix_say(why, why_max, "not a STIX bundle but a list; a bundle is an object with \"type\": \"bundle\"");
			err = PL_ERR_FORMAT;
		}
		return err;
	}
	enum pl_err err = check_brackets(walk, open, why, why_max);
	if (err != PL_OK)
		return err;
	json_t *values[PROPERTIES] = { NULL };
	size_t objects_at = 0;
	err = read_bundle(walk, open, values, &objects_at, why, why_max);
	if (err == PL_OK)
		err = check_bundle(values, objects_at > 0, why, why_max);
	for (int i = 0; i < PROPERTIES; i++)
		json_decref(values[i]);
	walk->at = objects_at > 0 ? objects_at + 1 : count;
	if (objects_at == 0)
		walk->end = count;
	return err;
}

enum pl_err pl_stix_walk_next(struct pl_stix_walk *walk, struct pl_stix_item *item, char *why, size_t why_max)
{
	item->index = walk->index;
	item->found = PL_STIX_END;
	if (walk->at == walk->count)
		return PL_OK;
	size_t at = pl_json_skip_space(walk->bytes, walk->at, walk->end);
	if (walk->bytes[at] == ']') {
		walk->at = walk->count;
		return PL_OK;
	}
	if (walk->index > 0) {
		if (walk->bytes[at] != ',')
			return not_json(walk, at, "a comma is missing between objects", why, why_max);
		at = pl_json_skip_space(walk->bytes, at + 1, walk->end);
	}
	if (walk->index == PL_STIX_OBJECTS_MAX) {
		pl_stix_say(why, why_max, "more than %d objects in one file: split it", PL_STIX_OBJECTS_MAX);
		return PL_ERR_LIMIT;
	}
	size_t start = at, syntax_at;
	if (pl_json_skip_value(walk->bytes, &at, walk->end, PL_STIX_DEPTH_MAX) != PL_BRACKETS_GOOD || at == start)
		return not_json(walk, at, "an object is missing", why, why_max);
	enum pl_err err = pl_stix_read_object(walk->bytes + start, at - start, &item->object, item->reason, &syntax_at);
	if (err == PL_ERR_MEMORY)
		return err;
	if (syntax_at != PL_NOT_SYNTAX)
		return not_json(walk, start + syntax_at, item->reason + strlen("does not read as JSON: "), why, why_max);
	item->found = err == PL_OK ? PL_STIX_OBJECT : PL_STIX_REJECTED;
	walk->at = at;
	walk->index++;
	return PL_OK;
}

/* "bundle--" and a UUID of version 4, RFC 9562, of the bytes that are not its version's. */
static void bundle_id(const uint8_t bytes[16], char out[45])
{
	uint8_t u[16];
	memcpy(u, bytes, sizeof(u));
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	(void)snprintf(out, 45, "bundle--%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5],
	               u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

size_t pl_stix_bundle_head(const uint8_t random[16], char out[PL_STIX_BUNDLE_HEAD_BYTES])
{
	char id[45];
	bundle_id(random, id);
	return (size_t)snprintf(out, PL_STIX_BUNDLE_HEAD_BYTES, "{\"type\":\"bundle\",\"id\":\"%s\",\"objects\":[", id);
}

size_t pl_stix_bundle_end(const uint8_t bytes[16], char out[PL_STIX_BUNDLE_END_BYTES])
{
	char id[45];
	bundle_id(bytes, id);
	return (size_t)snprintf(out, PL_STIX_BUNDLE_END_BYTES, "],\"id\":\"%s\"}\n", id);
}
