#include "tests/schema.h"

#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_type(const json_t *json, const char *type)
{
	return strcmp(type, "object") == 0    ? json_is_object(json)
	       : strcmp(type, "array") == 0   ? json_is_array(json)
	       : strcmp(type, "string") == 0  ? json_is_string(json)
	       : strcmp(type, "integer") == 0 ? json_is_integer(json)
	       : strcmp(type, "boolean") == 0 ? json_is_boolean(json)
	       : strcmp(type, "null") == 0    ? json_is_null(json)
	                                      : false;
}

static bool matches(const char *pattern, const char *text)
{
	regex_t regex;
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

static bool object_fits(const json_t *openapi, const json_t *schema, const json_t *json, const char *place, char *fault)
{
	const char *name;
	json_t *item;
	size_t i;
	json_array_foreach(json_object_get(schema, "required"), i, item)
	{
		if (!json_object_get(json, json_string_value(item))) {
			snprintf(fault, SCHEMA_FAULT_BYTES, "%s has no \"%s\"", place, json_string_value(item));
			return false;
		}
	}
	json_object_foreach((json_t *)(uintptr_t)json, name, item)
	{
		const json_t *property = json_object_get(json_object_get(schema, "properties"), name);
		const json_t *more = json_object_get(schema, "additionalProperties");
		char inner[200];
		snprintf(inner, sizeof(inner), "%.120s.%.60s", place, name);
		if (!property && json_is_object(more))
			property = more;
		if (!property && more) {
			snprintf(fault, SCHEMA_FAULT_BYTES, "%s is not described", inner);
			return false;
		}
		if (property && !schema_fits(openapi, property, item, inner, fault))
			return false;
	}
	return true;
}

/* What does not hang on what the value holds: type, enum, pattern. */
static bool value_fits(const json_t *schema, const json_t *json)
{
	const char *pattern = json_string_value(json_object_get(schema, "pattern"));
	const json_t *type = json_object_get(schema, "type"), *list = json_object_get(schema, "enum");
	json_t *item;
	size_t i;
	bool fits = !type || (json_is_string(type) && has_type(json, json_string_value(type)));
	json_array_foreach(type, i, item)
	{
		fits |= has_type(json, json_string_value(item));
	}
	if (fits && list) {
		fits = false;
		json_array_foreach(list, i, item)
		{
			fits |= json_equal(item, json);
		}
	}
	return fits && (!pattern || !json_is_string(json) || matches(pattern, json_string_value(json)));
}

bool schema_fits(const json_t *openapi, const json_t *schema, const json_t *json, const char *place, char fault[SCHEMA_FAULT_BYTES])
{
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	const json_t *list;
	json_t *item;
	size_t i;
	if (ref) {
		schema = json_object_get(json_object_get(json_object_get(openapi, "components"), "schemas"), strrchr(ref, '/') + 1);
		if (schema)
			return schema_fits(openapi, schema, json, place, fault);
		snprintf(fault, SCHEMA_FAULT_BYTES, "%s: there is no schema %s", place, ref);
		return false;
	}
	json_array_foreach(json_object_get(schema, "allOf"), i, item)
	{
		if (!schema_fits(openapi, item, json, place, fault))
			return false;
	}
	if ((list = json_object_get(schema, "anyOf"))) {
		bool any = false;
		json_array_foreach(list, i, item)
		{
			any |= schema_fits(openapi, item, json, place, fault);
		}
		return any;
	}
	if (!value_fits(schema, json)) {
		char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
		snprintf(fault, SCHEMA_FAULT_BYTES, "%s is %.200s", place, text ? text : "what cannot be shown");
		free(text);
		return false;
	}
	json_array_foreach(json, i, item)
	{
		char inner[200];
		snprintf(inner, sizeof(inner), "%.150s.%zu", place, i);
		if (json_object_get(schema, "items") && !schema_fits(openapi, json_object_get(schema, "items"), item, inner, fault))
			return false;
	}
	return !json_is_object(json) || object_fits(openapi, schema, json, place, fault);
}
