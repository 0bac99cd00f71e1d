/* pick: takes values out of a JSON document, for shell scripts.
 *
 *   pick PATH… < document            a line with the value at each PATH
 *   pick --each LIST PATH… < document    such a line for each element of LIST; without a PATH, the element
 *
 * A PATH is names and numbers with dots between, "frontier.lanes.0.head"; of a list of objects "peers.node=CHE.state" takes the one whose
 * node is CHE. Values are separated by tabs; a string stands as it is if it is all that is asked for, otherwise with \\, \t and \n for
 * backslash, tab and newline. Lists and objects stand as JSON, the others as JSON too. Exit code 1: no such value; 2: wrong usage, not
 * JSON.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 256

static json_t *find_element(json_t *list, const char *key, const char *value)
{
	size_t i;
	json_t *element;

	json_array_foreach(list, i, element) {
		const json_t *field = json_object_get(element, key);
		if (json_is_string(field) && strcmp(json_string_value(field), value) == 0)
			return element;
	}
	return NULL;
}

static json_t *child(json_t *node, char *name)
{
	char *value = strchr(name, '=');

	if (json_is_array(node) && value) {
		*value = '\0';
		return find_element(node, name, value + 1);
	}
	if (json_is_array(node) && name[0] != '\0' && name[strspn(name, "0123456789")] == '\0')
		return json_array_get(node, strtoul(name, NULL, 10));
	return json_object_get(node, name);
}

static json_t *find(json_t *node, const char *path)
{
	while (node && *path) {
		const size_t length = strcspn(path, ".");
		char name[NAME_BYTES_MAX];
		if (length >= sizeof(name))
			return NULL;
		memcpy(name, path, length);
		name[length] = '\0';
		node = child(node, name);
		path += length + (path[length] == '.');
	}
	return node;
}

static void print_escaped(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		switch (text[i]) {
		case '\\': fputs("\\\\", stdout); break;
		case '\t': fputs("\\t", stdout); break;
		case '\n': fputs("\\n", stdout); break;
		default: putchar(text[i]);
		}
	}
}

static void print(const json_t *value, int is_alone)
{
	if (json_is_string(value) && is_alone)
		fwrite(json_string_value(value), 1, json_string_length(value), stdout);
	else if (json_is_string(value))
		print_escaped(json_string_value(value), json_string_length(value));
	else
		json_dumpf(value, stdout, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static int print_row(json_t *node, char **paths, int count, int is_alone)
{
	static char whole[] = "", *only[] = { whole };

	if (count == 0)
		return print_row(node, only, 1, is_alone);
	for (int i = 0; i < count; i++) {
		const json_t *value = find(node, paths[i]);
		if (!value) {
			fprintf(stderr, "pick: there is no %s\n", paths[i]);
			return 1;
		}
		if (i > 0)
			putchar('\t');
		print(value, is_alone);
	}
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	const int is_each = argc > 1 && strcmp(argv[1], "--each") == 0;
	json_error_t error;

	if (argc < (is_each ? 3 : 2)) {
		fputs("usage: pick PATH… | pick --each LIST PATH…\n", stderr);
		return 2;
	}
	json_t *document = json_loadf(stdin, JSON_DECODE_ANY, &error);
	if (!document) {
		fprintf(stderr, "pick: not JSON, line %d: %s\n", error.line, error.text);
		return 2;
	}
	int code = 0;
	if (is_each) {
		json_t *list = find(document, argv[2]), *element;
		size_t i;
		if (!json_is_array(list)) {
			fprintf(stderr, "pick: there is no list %s\n", argv[2]);
			code = 1;
		}
		json_array_foreach(list, i, element)
			code |= print_row(element, argv + 3, argc - 3, 0);
	} else {
		code = print_row(document, argv + 1, argc - 1, argc == 2);
	}
	json_decref(document);
	if (fflush(stdout) != 0)
		code = 2;
	return code;
}
