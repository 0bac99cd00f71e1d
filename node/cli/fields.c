#include "node/cli/cli.h"

const char *pl_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

uint64_t pl_json_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));
	return number < 0 ? 0 : (uint64_t)number;
}

bool pl_json_time(const json_t *object, const char *key, int64_t *ms)
{
	return pl_time_read(pl_json_text(object, key), ms);
}

char *pl_json_join(const json_t *strings, const char *separator)
{
	char *joined = pl_format("%s", "");
	size_t i;
	json_t *string;
	json_array_foreach(strings, i, string)
		joined = pl_format("%s%s%s", joined, i > 0 ? separator : "", json_is_string(string) ? json_string_value(string) : "?");
	return joined;
}
