#include <stdio.h>
#include <string.h>

#include "node/indicator/stix_impl.h"

#define TIME_NONE INT64_MIN

/* An object in a bundle stands in two brackets already. */
#define OBJECT_DEPTH_MAX (PL_STIX_DEPTH_MAX - 2)

/* --- values --- */

bool pl_stix_is_type_form(const char *type)
{
	size_t n = strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return type[n] == '\0' && n >= 3 && n <= PL_STIX_TYPE_BYTES_MAX && type[0] >= 'a' && type[0] <= 'z';
}

bool pl_stix_is_uuid_form(const char *uuid)
{
	for (size_t i = 0; i < 36; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
		if (hyphen ? uuid[i] != '-' : uuid[i] == '\0' || strchr("0123456789abcdefABCDEF", uuid[i]) == NULL)
			return false;
	}
	return uuid[36] == '\0';
}

bool pl_stix_is_id_form(const char *id)
{
	const char *mark = strstr(id, "--");
	if (mark == NULL || mark == id || mark - id > PL_STIX_TYPE_BYTES_MAX || !pl_stix_is_uuid_form(mark + 2))
		return false;
	char type[PL_STIX_TYPE_BYTES_MAX + 1];
	pl_stix_say(type, sizeof(type), "%.*s", (int)(mark - id), id);
	return pl_stix_is_type_form(type);
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

/* Appends UTF-8, whole characters only; a NUL, which would end it, as a space. */
static void append(char *out, size_t out_max, const char *chars, size_t count)
{
	size_t used = strlen(out);
	for (size_t i = 0; i < count;) {
		uint8_t c = (uint8_t)chars[i];
		size_t bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (i + bytes > count || used + bytes >= out_max)
			break;
		if (c == 0)
			out[used] = ' ';
		else
			memcpy(out + used, chars + i, bytes);
		used += bytes;
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
	const char *id = pl_json_plain_string(ref);
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
	const char *text = pl_json_plain_string(value);
	if (value == NULL) {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has no %s time", key);
		return NULL;
	}
	*us = text != NULL ? time_us(text) : TIME_NONE;
	if (*us == TIME_NONE) {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has a %s time that is not RFC 3339 in UTC, such as 2026-01-31T12:00:00.000Z", key);
		return NULL;
	}
	return text;
}

static enum pl_err check_identity(const json_t *root, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES])
{
	const char *type = pl_json_plain_string(json_object_get(root, "type")), *id = pl_json_plain_string(json_object_get(root, "id"));
	if (id != NULL && pl_stix_is_id_form(id))
		pl_stix_say(out->id, sizeof(out->id), "%s", id);
	if (type != NULL && pl_stix_is_type_form(type))
		pl_stix_say(out->type, sizeof(out->type), "%s", type);
	if (json_object_get(root, "type") == NULL)
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has no type");
	else if (out->type[0] == '\0')
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has a type that is not 3 to %d lower-case letters, digits and hyphens",
		            PL_STIX_TYPE_BYTES_MAX);
	else if (json_object_get(root, "id") == NULL)
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has no id");
	else if (out->id[0] == '\0')
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has an id that is not of the form type--UUID");
	else if (strcmp(out->type, "bundle") == 0)
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "is a bundle; a bundle does not hold others");
	else if (strncmp(out->id, out->type, strlen(out->type)) != 0 || strncmp(out->id + strlen(out->type), "--", 2) != 0)
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has the type %.100s but the id of another type", out->type);
	else
		return PL_OK;
	return PL_ERR_FORMAT;
}

static enum pl_err check_version_and_times(const json_t *root, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES])
{
	enum form form = form_of(out->type, json_object_get(root, "created") != NULL);
	const json_t *version = json_object_get(root, "spec_version");
	const char *version_text = pl_json_plain_string(version);
	if (version == NULL && form != FORM_OBSERVABLE) {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has no spec_version, which makes it STIX 2.0; convert it to STIX 2.1");
		return PL_ERR_FORMAT;
	}
	if (version != NULL && (version_text == NULL || strcmp(version_text, "2.1") != 0)) {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has a spec_version other than \"2.1\"");
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
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "was modified before it was created");
		return PL_ERR_FORMAT;
	}
	pl_stix_say(out->modified, sizeof(out->modified), "%s", modified);
	out->modified_us = modified_us;
	return PL_OK;
}

/* type and id of text that is not read as a whole, as far as they are there in their plain spelling. */
static void peek_identity(const uint8_t *bytes, size_t count, struct pl_stix_object *out)
{
	struct pl_json_members m = pl_json_members_of(bytes, 0, count);
	if (count == 0 || bytes[0] != '{')
		return;
	while (pl_json_next_member(&m) == PL_JSON_MEMBER) {
		if (m.value_count < 2 || m.value_count - 2 > PL_STIX_ID_BYTES_MAX || bytes[m.value] != '"')
			continue;
		char text[PL_STIX_ID_BYTES_MAX + 1];
		pl_stix_say(text, sizeof(text), "%.*s", (int)(m.value_count - 2), (const char *)bytes + m.value + 1);
		if (m.key_count == 4 && memcmp(bytes + m.key, "\"id\"", 4) == 0 && pl_stix_is_id_form(text))
			pl_stix_say(out->id, sizeof(out->id), "%s", text);
		if (m.key_count == 6 && memcmp(bytes + m.key, "\"type\"", 6) == 0 && pl_stix_is_type_form(text))
			pl_stix_say(out->type, sizeof(out->type), "%s", text);
	}
}

enum pl_err pl_stix_read_object(const uint8_t *bytes, size_t count, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES],
                                size_t *syntax_at)
{
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->count = count;
	*syntax_at = PL_NOT_SYNTAX;
	if (count > PL_OBJECT_BYTES_MAX) {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "is %zu bytes long; one object may have %d", count, PL_OBJECT_BYTES_MAX);
		peek_identity(bytes, count, out);
		return PL_ERR_LIMIT;
	}
	json_error_t error;
	json_t *root = pl_json_read(bytes, count, &error);
	if (root == NULL) {
		char words[80];
		if (json_error_code(&error) == json_error_out_of_memory)
			return PL_ERR_MEMORY;
		pl_json_error_words(&error, words);
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "does not read as JSON: %s", words);
		peek_identity(bytes, count, out);
		if (pl_json_is_syntax(&error))
			*syntax_at = (size_t)error.position;
		return PL_ERR_FORMAT;
	}
	enum pl_err err = PL_ERR_FORMAT;
	if (!json_is_object(root))
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "is %s, not an object", pl_json_kind_of(root));
	else
		err = check_identity(root, out, reason);
	if (err == PL_OK)
		err = check_version_and_times(root, out, reason);
	if (err == PL_OK)
		err = pl_stix_read_markings(root, &out->tlp, reason);
	if (err == PL_OK)
		make_name(root, out->type, out->name);
	json_decref(root);
	return err;
}

bool pl_stix_is_ahead(const struct pl_stix_object *object, uint64_t now_ms)
{
	return object->modified_us > 0 && (uint64_t)object->modified_us / 1000 > now_ms && (uint64_t)object->modified_us / 1000 - now_ms > 86400000;
}

enum pl_err pl_stix_object_read(const uint8_t *bytes, size_t count, struct pl_stix_object *out, char reason[PL_STIX_REASON_BYTES])
{
	size_t at = 0, syntax_at;
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->count = count;
	if (count == 0 || bytes[0] != '{' || bytes[count - 1] != '}') {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "does not begin and end with the brackets of an object");
		return PL_ERR_FORMAT;
	}
	switch (pl_json_skip_value(bytes, &at, count, OBJECT_DEPTH_MAX)) {
	case PL_BRACKETS_GOOD:
		break;
	case PL_BRACKETS_DEEP:
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "is nested more than %d deep", OBJECT_DEPTH_MAX);
		return PL_ERR_LIMIT;
	case PL_BRACKETS_UNBALANCED:
	case PL_BRACKETS_OPEN:
	case PL_BRACKETS_QUOTE_OPEN:
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "does not read as JSON: brackets or quotes do not match");
		return PL_ERR_FORMAT;
	}
	return pl_stix_read_object(bytes, count, out, reason, &syntax_at);
}
