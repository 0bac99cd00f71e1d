#include "node/indicator/stix.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/content.h"
#include "proto/text.h"

#define TIME_NONE INT64_MIN
#define NOT_SYNTAX SIZE_MAX

/* An object in a bundle stands in two brackets already. */
#define OBJECT_DEPTH_MAX (PL_STIX_DEPTH_MAX - 2)

static void __attribute__((format(printf, 3, 4))) say(char *out, size_t out_max, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(out, out_max, format, args);
	va_end(args);
}

/* --- brackets --- */

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(const uint8_t *bytes, size_t at, size_t end)
{
	while (at < end && is_space(bytes[at]))
		at++;
	return at;
}

/* at: of the opening quote. The place behind the closing one, or end + 1 if there is none. */
static size_t skip_string(const uint8_t *bytes, size_t at, size_t end)
{
	for (at++; at < end; at++) {
		if (bytes[at] == '"')
			return at + 1;
		if (bytes[at] == '\\')
			at++;
	}
	return end + 1;
}

enum brackets { BRACKETS_GOOD, BRACKETS_UNBALANCED, BRACKETS_DEEP, BRACKETS_OPEN, BRACKETS_QUOTE_OPEN };

/* Follows the brackets of one value from *at, without recursion, to behind it. On a fault *at is where. A value without brackets ends at
 * the next comma, bracket or space. What stands between brackets is jansson's to check. */
static enum brackets skip_value(const uint8_t *bytes, size_t *at, size_t end, unsigned depth_max)
{
	uint64_t is_list[(PL_STIX_DEPTH_MAX + 63) / 64] = { 0 };
	unsigned depth = 0;
	size_t i = *at;
	while (i < end) {
		uint8_t c = bytes[i];
		switch (c) {
		case '"':
			*at = i;
			i = skip_string(bytes, i, end);
			if (i > end)
				return BRACKETS_QUOTE_OPEN;
			break;
		case '{':
		case '[':
			*at = i;
			if (depth == depth_max)
				return BRACKETS_DEEP;
			if (c == '[')
				is_list[depth / 64] |= UINT64_C(1) << depth % 64;
			else
				is_list[depth / 64] &= ~(UINT64_C(1) << depth % 64);
			depth++;
			i++;
			break;
		case '}':
		case ']':
			*at = i;
			if (depth == 0)
				return BRACKETS_GOOD; /* the end of what surrounds a bare value */
			depth--;
			if ((is_list[depth / 64] >> depth % 64 & 1) != (c == ']'))
				return BRACKETS_UNBALANCED;
			i++;
			break;
		default:
			if (depth == 0 && (c == ',' || is_space(c))) {
				*at = i;
				return BRACKETS_GOOD;
			}
			i++;
			continue;
		}
		if (depth == 0) {
			*at = i;
			return BRACKETS_GOOD;
		}
	}
	*at = end;
	return depth == 0 ? BRACKETS_GOOD : BRACKETS_OPEN;
}

/* The members of an object, read without a tree: only for text that skip_value() has passed. */
struct members {
	const uint8_t *bytes;
	size_t at, end; /* at: behind "{", then behind each value */
	bool first;
	size_t key, key_count, value, value_count;
};

enum member { MEMBER, MEMBERS_END, MEMBERS_BROKEN };

static struct members members_of(const uint8_t *bytes, size_t open, size_t end)
{
	return (struct members){ .bytes = bytes, .at = open + 1, .end = end, .first = true };
}

/* On MEMBERS_BROKEN at is where; on MEMBERS_END behind the closing bracket. */
static enum member next_member(struct members *m)
{
	m->at = skip_space(m->bytes, m->at, m->end);
	if (m->at < m->end && m->bytes[m->at] == '}') {
		m->at++;
		return MEMBERS_END;
	}
	if (!m->first) {
		if (m->at >= m->end || m->bytes[m->at] != ',')
			return MEMBERS_BROKEN;
		m->at = skip_space(m->bytes, m->at + 1, m->end);
	}
	m->first = false;
	if (m->at >= m->end || m->bytes[m->at] != '"')
		return MEMBERS_BROKEN;
	m->key = m->at;
	size_t after = skip_string(m->bytes, m->at, m->end);
	if (after > m->end)
		return MEMBERS_BROKEN;
	m->key_count = after - m->key;
	m->at = skip_space(m->bytes, after, m->end);
	if (m->at >= m->end || m->bytes[m->at] != ':')
		return MEMBERS_BROKEN;
	m->at = skip_space(m->bytes, m->at + 1, m->end);
	m->value = m->at;
	if (skip_value(m->bytes, &m->at, m->end, PL_STIX_DEPTH_MAX) != BRACKETS_GOOD || m->at == m->value)
		return MEMBERS_BROKEN;
	m->value_count = m->at - m->value;
	return MEMBER;
}

/* --- values --- */

/* Numbers too large for JSON's usual readers, double keys and the like are an object's own fault; other errors mean that the text is not
 * JSON. */
static bool is_syntax(const json_error_t *error)
{
	switch ((int)json_error_code(error)) {
	case json_error_duplicate_key:
	case json_error_numeric_overflow:
	case json_error_null_byte_in_key:
		return false;
	default:
		return true;
	}
}

/* What jansson has to say, without the piece of input that it quotes. */
static void error_words(const json_error_t *error, char out[80])
{
	say(out, 80, "%.79s", error->text);
	char *near = strstr(out, " near ");
	if (near != NULL)
		*near = '\0';
	for (char *p = out; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static json_t *read_json(const uint8_t *bytes, size_t count, json_error_t *error)
{
	return json_loadb((const char *)bytes, count, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, error);
}

/* A string without NUL, or NULL. */
static const char *plain_string(const json_t *value)
{
	const char *chars = json_string_value(value);
	return chars != NULL && strlen(chars) == json_string_length(value) ? chars : NULL;
}

static const char *kind_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "nothing";
}

static bool is_type_form(const char *type)
{
	size_t n = strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return type[n] == '\0' && n >= 3 && n <= PL_STIX_TYPE_BYTES_MAX && type[0] >= 'a' && type[0] <= 'z';
}

static bool is_uuid_form(const char *uuid)
{
	for (size_t i = 0; i < 36; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
		if (hyphen ? uuid[i] != '-' : uuid[i] == '\0' || strchr("0123456789abcdefABCDEF", uuid[i]) == NULL)
			return false;
	}
	return uuid[36] == '\0';
}

static bool is_id_form(const char *id)
{
	const char *mark = strstr(id, "--");
	if (mark == NULL || mark == id || mark - id > PL_STIX_TYPE_BYTES_MAX || !is_uuid_form(mark + 2))
		return false;
	char type[PL_STIX_TYPE_BYTES_MAX + 1];
	say(type, sizeof(type), "%.*s", (int)(mark - id), id);
	return is_type_form(type);
}

static bool take_digits(const char **p, unsigned digits, int *value)
{
	*value = 0;
	for (; digits > 0; digits--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool take_char(const char **p, char c)
{
	return *(*p)++ == c;
}

/* RFC 3339, UTC, as STIX 2.1 section 2.16 has it. TIME_NONE if it is anything else. */
static int64_t time_us(const char *text)
{
	static const int days_in[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day, hour, minute, second;
	const char *p = text;
	if (strlen(text) > PL_STIX_TIME_BYTES_MAX)
		return TIME_NONE;
	if (!take_digits(&p, 4, &year) || !take_char(&p, '-') || !take_digits(&p, 2, &month) || !take_char(&p, '-') ||
	    !take_digits(&p, 2, &day) || !take_char(&p, 'T') || !take_digits(&p, 2, &hour) || !take_char(&p, ':') ||
	    !take_digits(&p, 2, &minute) || !take_char(&p, ':') || !take_digits(&p, 2, &second))
		return TIME_NONE;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (month < 1 || month > 12 || day < 1 || day > days_in[month - 1] + (month == 2 && leap) || hour > 23 || minute > 59 ||
	    second > 60)
		return TIME_NONE;
	int64_t us = 0, unit = 100000;
	if (*p == '.') {
		if (p[1] < '0' || p[1] > '9')
			return TIME_NONE;
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			us += (*p - '0') * unit;
	}
	if (p[0] != 'Z' || p[1] != '\0')
		return TIME_NONE;
	/* days since 1970-01-01, counted in years that begin in March */
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400, of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
	return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000 + us;
}

/* --- one object --- */

enum form {
	FORM_VERSIONED,  /* domain and relationship objects, language content, extension definitions: created and modified */
	FORM_MARKING,    /* marking definitions: created, never modified */
	FORM_OBSERVABLE, /* cyber observables: neither */
};

/* Types that STIX 2.1 does not define are taken by their looks: one with "created" is a domain object, one without an observable. */
static enum form form_of(const char *type, bool has_created)
{
	static const char *const observables[] = {
		"artifact",
		"autonomous-system",
		"directory",
		"domain-name",
		"email-addr",
		"email-message",
		"file",
		"ipv4-addr",
		"ipv6-addr",
		"mac-addr",
		"mutex",
		"network-traffic",
		"process",
		"software",
		"url",
		"user-account",
		"windows-registry-key",
		"x509-certificate",
	};
	static const char *const versioned[] = {
		"attack-pattern", "campaign", "course-of-action", "extension-definition", "grouping", "identity", "incident", "indicator",
		"infrastructure", "intrusion-set", "language-content", "location", "malware", "malware-analysis", "note", "observed-data",
		"opinion", "relationship", "report", "sighting", "threat-actor", "tool", "vulnerability",
	};
	if (strcmp(type, "marking-definition") == 0)
		return FORM_MARKING;
	for (size_t i = 0; i < sizeof(observables) / sizeof(observables[0]); i++)
		if (strcmp(type, observables[i]) == 0)
			return FORM_OBSERVABLE;
	for (size_t i = 0; i < sizeof(versioned) / sizeof(versioned[0]); i++)
		if (strcmp(type, versioned[i]) == 0)
			return FORM_VERSIONED;
	return has_created ? FORM_VERSIONED : FORM_OBSERVABLE;
}

static uint8_t tlp_of_marking(const char *id)
{
	static const struct {
		const char *uuid;
		uint8_t tlp;
	} markings[] = {
		{ "94868c89-83c2-464b-929b-a1a8aa3c8487", PL_TLP_CLEAR }, /* TLP 2.0 */
		{ "bab4a63c-aed9-4cf5-a766-dfca5abac2bb", PL_TLP_GREEN },
		{ "55d920b0-5e8b-4f79-9ee9-91f868d9b421", PL_TLP_AMBER },
		{ "939a9414-2ddd-4d32-a0cd-375ea402b003", PL_TLP_AMBER_STRICT },
		{ "e828b379-4e03-4974-9ac4-e53a884c97c1", PL_TLP_RED },
		{ "613f2e26-407d-48c7-9eca-b8e91df99dc9", PL_TLP_CLEAR }, /* TLP 1.x: WHITE */
		{ "34098fce-860f-48ae-8e50-ebd3cc5e41da", PL_TLP_GREEN },
		{ "f88d31f6-486f-44da-b317-01333bde0b82", PL_TLP_AMBER },
		{ "5e57c739-391a-4eb3-b6be-7d15ca92d5ed", PL_TLP_RED },
	};
	static const char prefix[] = "marking-definition--";
	if (id == NULL || strncmp(id, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(markings) / sizeof(markings[0]); i++) {
		const char *a = id + sizeof(prefix) - 1, *b = markings[i].uuid;
		while (*a != '\0' && (*a == *b || (*a >= 'A' && *a <= 'F' && *a - 'A' + 'a' == *b)))
			a++, b++;
		if (*a == '\0' && *b == '\0')
			return markings[i].tlp;
	}
	return 0;
}

/* The narrowest TLP anywhere on the object: its markings, those of parts of it, and labels such as "tlp:red", which tools write that tag
 * rather than mark. A part that may not be shared keeps the whole from being shared, since it goes byte for byte or not at all. */
static uint8_t narrowest_tlp(const json_t *root)
{
	uint8_t narrowest = 0;
	size_t i;
	json_t *value;
	json_array_foreach(json_object_get(root, "object_marking_refs"), i, value) {
		uint8_t tlp = tlp_of_marking(plain_string(value));
		narrowest = tlp > narrowest ? tlp : narrowest;
	}
	json_array_foreach(json_object_get(root, "granular_markings"), i, value) {
		uint8_t tlp = tlp_of_marking(plain_string(json_object_get(value, "marking_ref")));
		narrowest = tlp > narrowest ? tlp : narrowest;
	}
	json_array_foreach(json_object_get(root, "labels"), i, value) {
		const char *label = plain_string(value);
		if (label != NULL && (label[0] == 't' || label[0] == 'T') && strchr(label, ':') != NULL) {
			int tlp = pl_tlp_parse(label);
			narrowest = tlp > narrowest ? (uint8_t)tlp : narrowest;
		}
	}
	return narrowest;
}

/* Appends UTF-8 fit for a line: other characters as spaces, whole characters only. */
static void append(char *out, size_t out_max, const char *chars, size_t count)
{
	size_t used = strlen(out);
	for (size_t i = 0; i < count;) {
		uint8_t c = (uint8_t)chars[i];
		size_t bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (i + bytes > count || used + bytes >= out_max)
			break;
		if (pl_text_is_line(chars + i, bytes)) {
			memcpy(out + used, chars + i, bytes);
			used += bytes;
		} else {
			out[used++] = ' ';
		}
		i += bytes;
	}
	out[used] = '\0';
}

static void append_string(char *out, size_t out_max, const json_t *value)
{
	if (json_is_string(value))
		append(out, out_max, json_string_value(value), json_string_length(value));
}

/* "indicator" of "indicator--1c…" */
static void append_type(char *out, size_t out_max, const json_t *ref)
{
	const char *id = plain_string(ref);
	if (id == NULL)
		return;
	const char *mark = strstr(id, "--");
	append(out, out_max, id, mark != NULL ? (size_t)(mark - id) : strlen(id));
}

/* What people know an object by. */
static void make_name(const json_t *root, const char *type, char out[PL_STIX_NAME_BYTES_MAX + 1])
{
	static const char *const keys[] = {
		"name",         "value",         "pattern",      "abstract",        "path",          "key",     "subject",
		"command_line", "account_login", "display_name", "user_id",         "url",           "product", "country",
		"region",       "opinion",       "content",      "definition_type", "serial_number",
	};
	const size_t out_max = PL_STIX_NAME_BYTES_MAX + 1;
	out[0] = '\0';
	if (strcmp(type, "relationship") == 0) {
		append_type(out, out_max, json_object_get(root, "source_ref"));
		append(out, out_max, " ", 1);
		append_string(out, out_max, json_object_get(root, "relationship_type"));
		append(out, out_max, " ", 1);
		append_type(out, out_max, json_object_get(root, "target_ref"));
		return;
	}
	if (strcmp(type, "sighting") == 0) {
		append(out, out_max, "sighting of ", 12);
		append_type(out, out_max, json_object_get(root, "sighting_of_ref"));
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && out[0] == '\0'; i++)
		append_string(out, out_max, json_object_get(root, keys[i]));
	if (out[0] == '\0') {
		const char *algorithm;
		json_t *hash;
		json_object_foreach(json_object_get(root, "hashes"), algorithm, hash) {
			append_string(out, out_max, hash);
			break;
		}
	}
}

/* "created" or "modified": its text, or NULL with the reason. */
static const char *read_time(const json_t *root, const char *key, int64_t *us, char reason[PL_STIX_REASON_BYTES])
{
	const json_t *value = json_object_get(root, key);
	const char *text = plain_string(value);
	if (value == NULL) {
		say(reason, PL_STIX_REASON_BYTES, "has no %s time", key);
		return NULL;
	}
	*us = text != NULL ? time_us(text) : TIME_NONE;
	if (*us == TIME_NONE) {
		say(reason, PL_STIX_REASON_BYTES, "has a %s time that is not RFC 3339 in UTC, such as 2026-01-31T12:00:00.000Z", key);
		return NULL;
	}
	return text;
}

static enum pl_err check_identity(const json_t *root, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES])
{
	const char *type = plain_string(json_object_get(root, "type")), *id = plain_string(json_object_get(root, "id"));
	if (id != NULL && is_id_form(id))
		say(out->id, sizeof(out->id), "%s", id);
	if (type != NULL && is_type_form(type))
		say(out->type, sizeof(out->type), "%s", type);
	if (json_object_get(root, "type") == NULL)
		say(reason, PL_STIX_REASON_BYTES, "has no type");
	else if (out->type[0] == '\0')
		say(reason, PL_STIX_REASON_BYTES, "has a type that is not 3 to %d lower-case letters, digits and hyphens",
		    PL_STIX_TYPE_BYTES_MAX);
	else if (json_object_get(root, "id") == NULL)
		say(reason, PL_STIX_REASON_BYTES, "has no id");
	else if (out->id[0] == '\0')
		say(reason, PL_STIX_REASON_BYTES, "has an id that is not of the form type--UUID");
	else if (strcmp(out->type, "bundle") == 0)
		say(reason, PL_STIX_REASON_BYTES, "is a bundle; a bundle does not hold others");
	else if (strncmp(out->id, out->type, strlen(out->type)) != 0 || strncmp(out->id + strlen(out->type), "--", 2) != 0)
		say(reason, PL_STIX_REASON_BYTES, "has the type %.100s but the id of another type", out->type);
	else
		return PL_OK;
	return PL_ERR_FORMAT;
}

static enum pl_err check_version_and_times(const json_t *root, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES])
{
	enum form form = form_of(out->type, json_object_get(root, "created") != NULL);
	const json_t *version = json_object_get(root, "spec_version");
	const char *version_text = plain_string(version);
	if (version == NULL && form != FORM_OBSERVABLE) {
		say(reason, PL_STIX_REASON_BYTES, "has no spec_version, which makes it STIX 2.0; convert it to STIX 2.1");
		return PL_ERR_FORMAT;
	}
	if (version != NULL && (version_text == NULL || strcmp(version_text, "2.1") != 0)) {
		say(reason, PL_STIX_REASON_BYTES, "has a spec_version other than \"2.1\"");
		return PL_ERR_FORMAT;
	}
	if (form == FORM_OBSERVABLE)
		return PL_OK;
	int64_t created_us, modified_us;
	const char *created = read_time(root, "created", &created_us, reason), *modified = created;
	if (created == NULL)
		return PL_ERR_FORMAT;
	modified_us = created_us;
	if (form == FORM_VERSIONED) {
		modified = read_time(root, "modified", &modified_us, reason);
		if (modified == NULL)
			return PL_ERR_FORMAT;
	}
	if (modified_us < created_us) {
		say(reason, PL_STIX_REASON_BYTES, "was modified before it was created");
		return PL_ERR_FORMAT;
	}
	say(out->modified, sizeof(out->modified), "%s", modified);
	out->modified_us = modified_us;
	return PL_OK;
}

/* type and id of text that is not read as a whole, as far as they are there in their plain spelling. */
static void peek_identity(const uint8_t *bytes, size_t count, struct pl_stix_object *out)
{
	struct members m = members_of(bytes, 0, count);
	if (count == 0 || bytes[0] != '{')
		return;
	while (next_member(&m) == MEMBER) {
		if (m.value_count < 2 || m.value_count - 2 > PL_STIX_ID_BYTES_MAX || bytes[m.value] != '"')
			continue;
		char text[PL_STIX_ID_BYTES_MAX + 1];
		say(text, sizeof(text), "%.*s", (int)(m.value_count - 2), (const char *)bytes + m.value + 1);
		if (m.key_count == 4 && memcmp(bytes + m.key, "\"id\"", 4) == 0 && is_id_form(text))
			say(out->id, sizeof(out->id), "%s", text);
		if (m.key_count == 6 && memcmp(bytes + m.key, "\"type\"", 6) == 0 && is_type_form(text))
			say(out->type, sizeof(out->type), "%s", text);
	}
}

/* syntax_at: where the text stops being JSON, or NOT_SYNTAX. */
static enum pl_err read_object(const uint8_t *bytes, size_t count, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES],
                               size_t *syntax_at)
{
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->count = count;
	*syntax_at = NOT_SYNTAX;
	if (count > PL_OBJECT_BYTES_MAX) {
		say(reason, PL_STIX_REASON_BYTES, "is %zu bytes long; one object may have %d", count, PL_OBJECT_BYTES_MAX);
		peek_identity(bytes, count, out);
		return PL_ERR_LIMIT;
	}
	json_error_t error;
	json_t *root = read_json(bytes, count, &error);
	if (root == NULL) {
		char words[80];
		if (json_error_code(&error) == json_error_out_of_memory)
			return PL_ERR_MEMORY;
		error_words(&error, words);
		say(reason, PL_STIX_REASON_BYTES, "does not read as JSON: %s", words);
		peek_identity(bytes, count, out);
		if (is_syntax(&error))
			*syntax_at = (size_t)error.position;
		return PL_ERR_FORMAT;
	}
	enum pl_err err = PL_ERR_FORMAT;
	if (!json_is_object(root))
		say(reason, PL_STIX_REASON_BYTES, "is %s, not an object", kind_of(root));
	else
		err = check_identity(root, out, reason);
	if (err == PL_OK)
		err = check_version_and_times(root, out, reason);
	if (err == PL_OK) {
		out->tlp = narrowest_tlp(root);
		make_name(root, out->type, out->name);
	}
	json_decref(root);
	return err;
}

enum pl_err pl_stix_object_read(const uint8_t *bytes, size_t count, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES])
{
	size_t at = 0, syntax_at;
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->count = count;
	if (count == 0 || bytes[0] != '{' || bytes[count - 1] != '}') {
		say(reason, PL_STIX_REASON_BYTES, "does not begin and end with the brackets of an object");
		return PL_ERR_FORMAT;
	}
	switch (skip_value(bytes, &at, count, OBJECT_DEPTH_MAX)) {
	case BRACKETS_GOOD:
		break;
	case BRACKETS_DEEP:
		say(reason, PL_STIX_REASON_BYTES, "is nested more than %d deep", OBJECT_DEPTH_MAX);
		return PL_ERR_LIMIT;
	case BRACKETS_UNBALANCED:
	case BRACKETS_OPEN:
	case BRACKETS_QUOTE_OPEN:
		say(reason, PL_STIX_REASON_BYTES, "does not read as JSON: brackets or quotes do not match");
		return PL_ERR_FORMAT;
	}
	return read_object(bytes, count, out, reason, &syntax_at);
}

/* --- a bundle --- */

static enum pl_err not_json(const struct pl_stix_walk *walk, size_t at, const char *what, char *why, size_t why_max)
{
	size_t line = 1, start = 0;
	if (at > walk->count)
		at = walk->count;
	for (const uint8_t *p = walk->bytes; (p = memchr(p, '\n', (size_t)(walk->bytes + at - p))) != NULL; p++) {
		line++;
		start = (size_t)(p - walk->bytes) + 1;
	}
	say(why, why_max, "not JSON: %s at line %zu, byte %zu of the line", what, line, at - start + 1);
	return PL_ERR_FORMAT;
}

static enum pl_err check_brackets(const struct pl_stix_walk *walk, size_t open, char *why, size_t why_max)
{
	size_t at = open;
	switch (skip_value(walk->bytes, &at, walk->count, PL_STIX_DEPTH_MAX)) {
	case BRACKETS_GOOD:
		at = skip_space(walk->bytes, at, walk->count);
		return at == walk->count ? PL_OK : not_json(walk, at, "something follows after the end", why, why_max);
	case BRACKETS_DEEP: {
		char place[160];
		(void)not_json(walk, at, "", place, sizeof(place));
		say(why, why_max, "nested more than %d deep,%s", PL_STIX_DEPTH_MAX, place + strlen("not JSON: "));
		return PL_ERR_LIMIT;
	}
	case BRACKETS_UNBALANCED:
		return not_json(walk, at, "a bracket closes another kind of bracket", why, why_max);
	case BRACKETS_OPEN:
		return not_json(walk, at, "the file ends with brackets open", why, why_max);
	case BRACKETS_QUOTE_OPEN:
		return not_json(walk, at, "a string does not end that begins", why, why_max);
	}
	return PL_ERR_FORMAT;
}

/* A property of the bundle itself, other than objects. */
static enum pl_err read_property(struct pl_stix_walk *walk, size_t at, size_t count, json_t **out, char *why, size_t why_max)
{
	json_error_t error;
	if (count > PL_OBJECT_BYTES_MAX) {
		say(why, why_max, "not a bundle that can be read: one of its properties is %zu bytes long", count);
		return PL_ERR_LIMIT;
	}
	*out = read_json(walk->bytes + at, count, &error);
	if (*out != NULL)
		return PL_OK;
	if (json_error_code(&error) == json_error_out_of_memory)
		return PL_ERR_MEMORY;
	char words[80];
	error_words(&error, words);
	return not_json(walk, at + (size_t)error.position, words, why, why_max);
}

enum property { PROPERTY_TYPE, PROPERTY_ID, PROPERTY_VERSION, PROPERTY_OBJECTS, PROPERTIES };
static const char *const property_names[PROPERTIES] = { "type", "id", "spec_version", "objects" };

static enum pl_err read_bundle(struct pl_stix_walk *walk, size_t open, json_t *values[PROPERTIES], size_t *objects_at, char *why,
                               size_t why_max)
{
	struct members m = members_of(walk->bytes, open, walk->count);
	enum member step;
	while ((step = next_member(&m)) == MEMBER) {
		json_t *key = NULL, *value = NULL;
		enum pl_err err = read_property(walk, m.key, m.key_count, &key, why, why_max);
		if (err != PL_OK)
			return err;
		int property = 0;
		while (property < PROPERTIES && strcmp(json_string_value(key), property_names[property]) != 0)
			property++;
		json_decref(key);
		if (property < PROPERTIES && values[property] != NULL) {
			say(why, why_max, "not a bundle that can be read: \"%s\" stands twice in it", property_names[property]);
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
	return step == MEMBERS_END ? PL_OK : not_json(walk, m.at, "a name, a colon, a comma or a value is missing", why, why_max);
}

static enum pl_err check_bundle(json_t *const values[PROPERTIES], bool has_objects, char *why, size_t why_max)
{
	const char *type = plain_string(values[PROPERTY_TYPE]), *id = plain_string(values[PROPERTY_ID]);
	if (type == NULL || strcmp(type, "bundle") != 0) {
		bool object = type != NULL && is_type_form(type);
		say(why, why_max, "not a STIX bundle: its \"type\" is %s%s%s, not \"bundle\"", object ? "\"" : "",
		    object ? type : "missing or no type", object ? "\"" : "");
		return PL_ERR_FORMAT;
	}
	if (values[PROPERTY_VERSION] != NULL) {
		/* STIX 2.0 has it on the bundle; 2.1 does not, but tools write it */
		const char *version = plain_string(values[PROPERTY_VERSION]);
		if (version != NULL && strcmp(version, "2.0") == 0) {
			say(why, why_max,
			    "a STIX 2.0 bundle; convert it to STIX 2.1 (the OASIS stix2-elevator does it, or the tool that exported it)");
			return PL_ERR_VERSION;
		}
		if (version == NULL || strcmp(version, "2.1") != 0) {
			say(why, why_max, "a bundle of a STIX version other than 2.1");
			return PL_ERR_VERSION;
		}
	}
	if (id == NULL || strncmp(id, "bundle--", 8) != 0 || !is_uuid_form(id + 8)) {
		say(why, why_max, "not a STIX bundle: its \"id\" is not of the form bundle--UUID");
		return PL_ERR_FORMAT;
	}
	if (values[PROPERTY_OBJECTS] != NULL && !has_objects) {
		say(why, why_max, "not a STIX bundle: its \"objects\" is %s, not a list", kind_of(values[PROPERTY_OBJECTS]));
		return PL_ERR_FORMAT;
	}
	return PL_OK;
}

enum pl_err pl_stix_walk_begin(struct pl_stix_walk *walk, const uint8_t *bytes, size_t count, char *why, size_t why_max)
{
	static const uint8_t byte_order_mark[3] = { 0xef, 0xbb, 0xbf };
	*walk = (struct pl_stix_walk){ .bytes = bytes, .count = count };
	if (count > PL_STIX_FILE_BYTES_MAX) {
		say(why, why_max, "%zu bytes long; a STIX file may have up to %d MiB: split it", count, PL_STIX_FILE_BYTES_MAX >> 20);
		return PL_ERR_LIMIT;
	}
	size_t open = count >= 3 && memcmp(bytes, byte_order_mark, 3) == 0 ? 3 : 0;
	open = skip_space(bytes, open, count);
	if (open == count) {
		say(why, why_max, "empty; a STIX bundle was expected");
		return PL_ERR_FORMAT;
	}
	if (bytes[open] != '{') {
		bool list = bytes[open] == '[';
		enum pl_err err = list ? check_brackets(walk, open, why, why_max) : not_json(walk, open, "no object begins", why, why_max);
		if (err == PL_OK) {
			say(why, why_max, "not a STIX bundle but a list; a bundle is an object with \"type\": \"bundle\"");
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
	size_t at = skip_space(walk->bytes, walk->at, walk->end);
	if (walk->bytes[at] == ']') {
		walk->at = walk->count;
		return PL_OK;
	}
	if (walk->index > 0) {
		if (walk->bytes[at] != ',')
			return not_json(walk, at, "a comma is missing between objects", why, why_max);
		at = skip_space(walk->bytes, at + 1, walk->end);
	}
	if (walk->index == PL_STIX_OBJECTS_MAX) {
		say(why, why_max, "more than %d objects in one file: split it", PL_STIX_OBJECTS_MAX);
		return PL_ERR_LIMIT;
	}
	size_t start = at, syntax_at;
	if (skip_value(walk->bytes, &at, walk->end, PL_STIX_DEPTH_MAX) != BRACKETS_GOOD || at == start)
		return not_json(walk, at, "an object is missing", why, why_max);
	enum pl_err err = read_object(walk->bytes + start, at - start, &item->object, item->reason, &syntax_at);
	if (err == PL_ERR_MEMORY)
		return err;
	if (syntax_at != NOT_SYNTAX)
		return not_json(walk, start + syntax_at, item->reason + strlen("does not read as JSON: "), why, why_max);
	item->found = err == PL_OK ? PL_STIX_OBJECT : PL_STIX_REJECTED;
	walk->at = at;
	walk->index++;
	return PL_OK;
}

size_t pl_stix_bundle_head(const uint8_t random[16], char out[PL_STIX_BUNDLE_HEAD_BYTES])
{
	uint8_t u[16];
	memcpy(u, random, sizeof(u));
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* UUID version 4, RFC 9562 */
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	return (size_t)snprintf(out, PL_STIX_BUNDLE_HEAD_BYTES,
	                        "{\"type\":\"bundle\",\"id\":\"bundle--"
	                        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\",\"objects\":[",
	                        u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}
