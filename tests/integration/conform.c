/* conform: holds an answer of the control API to what openapi.json says.
 *
 *   conform OPENAPI METHOD PATH < what `call` printed
 *   conform OPENAPI --list
 *
 * Prints the operation and the status, "get /v1/feed/{author}/{lane}/{seq} 200", if the status is described there, with this media type and, where
 * it is JSON, this form; of an error its code has to stand in the description. One that has no place there can be what any request can get: "default"
 * is printed, if its status and code stand there, "403 forbidden", or if it is a page without a media type and "400 " stands there. A path that is
 * not described has to be answered with 404 and an error, a method that is not with 405. Otherwise exit code 1, and why. --list prints all that
 * is described, in the same way.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/schema.h"

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "conform: %s: %s\n", what, detail);
	exit(1);
}

/* Whether a path is one of those that a template stands for: {…} is any one segment. */
static bool is_path_of(const char *template, const char *path)
{
	while (*template && *path) {
		if (*template == '{') {
			template += strcspn(template, "}") + 1;
			if (*path == '/')
				return false;
			path += strcspn(path, "/");
		} else if (*template++ != *path++) {
			return false;
		}
	}
	return *template == *path;
}

static const char *find_template(const json_t *paths, const char *path)
{
	const char *template, *found = NULL;
	json_t *operations;

	json_object_foreach((json_t *)(uintptr_t)paths, template, operations) {
		if (is_path_of(template, path) && (!found || !strchr(template, '{')))
			found = template;
	}
	return found;
}

static void list(const json_t *paths)
{
	const char *path, *method, *status;
	json_t *operations, *operation, *response;

	json_object_foreach((json_t *)(uintptr_t)paths, path, operations) {
		json_object_foreach(operations, method, operation) {
			json_object_foreach(json_object_get(operation, "responses"), status, response)
				printf("%s %s %s\n", method, path, status);
		}
	}
}

/* Media types but for blanks and what follows in the reply. */
static bool is_type(const char *described, const char *type)
{
	for (; *described; described++) {
		while (*type == ' ')
			type++;
		if (tolower((unsigned char)*described) != tolower((unsigned char)*type++))
			return false;
	}
	return *type == '\0' || *type == ';';
}

/* Whether the word stands in the text by itself. */
static bool has_word(const char *text, const char *word)
{
	const size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++) {
		const char before = at == text ? ' ' : at[-1], after = at[length];
		if (!isalnum((unsigned char)before) && before != '_' && !isalnum((unsigned char)after) && after != '_')
			return true;
	}
	return false;
}

static json_t *read_body(void)
{
	json_error_t error;
	json_t *body = json_loadf(stdin, JSON_DECODE_ANY, &error);

	if (!body)
		fail("the body is not JSON", error.text);
	return body;
}

static void check_error(const json_t *openapi)
{
	json_t *body = read_body();
	const json_t *schema = json_object_get(json_object_get(json_object_get(openapi, "components"), "schemas"), "Error");
	char fault[SCHEMA_FAULT_BYTES];

	if (!schema_fits(openapi, schema, body, "the error", fault))
		fail("not an error as it has to be", fault);
	json_decref(body);
}

static const char *text_of(const json_t *response)
{
	const char *text = json_string_value(json_object_get(response, "description"));
	return text ? text : "";
}

/* What stands under "components" where there is a reference to it. */
static const json_t *resolve(const json_t *openapi, const json_t *response)
{
	static const char prefix[] = "#/components/responses/";
	const char *ref = json_string_value(json_object_get(response, "$ref"));

	if (!ref)
		return response;
	if (strncmp(ref, prefix, sizeof(prefix) - 1) != 0)
		fail("a reference that leads nowhere", ref);
	return json_object_get(json_object_get(json_object_get(openapi, "components"), "responses"), ref + sizeof(prefix) - 1);
}

/* A refusal by the HTTP library. (libmicrohttpd 0.9.75 writes the head of some twice; the second then stands in the page.) */
static void check_page(const json_t *any, const char *status)
{
	char page[4096];
	const size_t count = fread(page, 1, sizeof(page) - 1, stdin);

	if (!json_object_get(json_object_get(any, "content"), "text/html") || !has_word(text_of(any), status))
		fail("a page that is not described", status);
	page[count] = '\0';
	if (!strstr(page, "<html>"))
		fail("neither a media type nor a page", page);
}

/* Of an error that is not the operation's own. */
static void check_any(const json_t *openapi, const json_t *any, const json_t *body, const char *status, const char *code)
{
	const json_t *schema = json_object_get(json_object_get(json_object_get(any, "content"), "application/json"), "schema");
	char fault[SCHEMA_FAULT_BYTES], pair[100];

	snprintf(pair, sizeof(pair), "%s %s", status, code);
	if (!has_word(text_of(any), pair))
		fail("an error code that is not described", pair);
	if (!schema_fits(openapi, schema, body, "the body", fault))
		fail("not as it is described", fault);
}

/* response: NULL where the status is not the operation's; any: what any request can get. Returns whether it is the operation's own. */
static bool check_response(const json_t *openapi, const json_t *response, const json_t *any, const char *status, const char *type)
{
	const json_t *content = json_object_get(response, "content"), *described = NULL;
	const char *name, *code;
	char fault[SCHEMA_FAULT_BYTES];
	json_t *value;

	if (strcmp(type, "-") == 0) {
		check_page(any, status);
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)content, name, value) {
		if (is_type(name, type))
			described = value;
	}
	if (response && !described)
		fail("a media type that is not described", type);
	if (!is_type("application/json", type)) {
		if (!response)
			fail("a status that is not described", status);
		return true;
	}
	json_t *body = read_body();
	code = json_string_value(json_object_get(json_object_get(body, "error"), "code"));
	const bool is_own = response && (!code || has_word(text_of(response), code));
	if (!is_own && !code)
		fail("a status that is not described", status);
	if (!is_own)
		check_any(openapi, any, body, status, code);
	else if (!schema_fits(openapi, json_object_get(described, "schema"), body, "the body", fault))
		fail("not as it is described", fault);
	json_decref(body);
	return is_own;
}

static void check(const json_t *openapi, const char *given_method, const char *given_path)
{
	char status[8], type[256], method[16] = "", path[4096];
	const json_t *paths = json_object_get(openapi, "paths");

	for (size_t i = 0; given_method[i] && i < sizeof(method) - 1; i++)
		method[i] = (char)tolower((unsigned char)given_method[i]);
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(given_path, "?"), given_path);
	if (scanf("%7s %255[^\n]", status, type) != 2 || getchar() != '\n')
		fail("that is not what call prints", "no status and media type");
	const char *template = find_template(paths, path);
	const json_t *operation = template ? json_object_get(json_object_get(paths, template), method) : NULL;
	if (!operation) {
		if (!template && strcmp(status, "404") != 0)
			fail("a path that is not described is not answered with 404", status);
		if (template && strcmp(status, "405") != 0)
			fail("a method that is not described is not answered with 405", status);
		check_error(openapi);
		printf("none\n");
		return;
	}
	const json_t *responses = json_object_get(operation, "responses"), *response = json_object_get(responses, status);
	const bool is_own = check_response(openapi, response, resolve(openapi, json_object_get(responses, "default")), status, type);
	printf("%s %s %s\n", method, template, is_own ? status : "default");
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *openapi = argc > 1 ? json_load_file(argv[1], 0, &error) : NULL;

	if (!openapi || (argc != 4 && !(argc == 3 && strcmp(argv[2], "--list") == 0))) {
		fprintf(stderr, "usage: conform OPENAPI METHOD PATH | conform OPENAPI --list\n");
		return 2;
	}
	if (argc == 3)
		list(json_object_get(openapi, "paths"));
	else
		check(openapi, argv[2], argv[3]);
	json_decref(openapi);
	return 0;
}
