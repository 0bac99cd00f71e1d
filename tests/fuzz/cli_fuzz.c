/* What reaches the command parley from outside: its command line, texts that others wrote, the public part of a key. The first byte says which.
 * What must hold: a command line that is taken keeps to the command's table, one that is not is refused in a sentence; whatever is printed
 * does nothing to a terminal, and gives back what was written; a key that is taken has a role and a comment that is text.
 */
#include <ctype.h>

#include "fuzz.h"
#include "node/cli/cli.h"
#include "node/keys.h"
#include "node/visible.h"
#include "proto/text.h"

#define WORDS_MAX 24

static void check_harmless(const char *text)
{
	uint32_t before = 0, c;
	for (size_t left = strlen(text), length; left > 0; left -= length, text += length, before = c) {
		length = pl_utf8_decode(text, left, &c);
		PL_FUZZ_CHECK(length > 0 && (c == '\n' || !pl_char_is_hidden_there(before, c, text + length, left - length)));
	}
}

static bool is_choice(const char *choices, const char *value)
{
	size_t count = strlen(value);
	const char *at = strstr(choices, value);
	return at != NULL && (at == choices || at[-1] == '|') && (at[count] == '|' || at[count] == '\0');
}

static void check_taken(const struct pl_args *args)
{
	const struct pl_command *command = args->command;
	size_t wanted = 0, possible = 0;
	bool repeats = false;
	for (; possible < 3 && command->operands[possible].name != NULL; possible++) {
		wanted += !command->operands[possible].optional;
		repeats |= command->operands[possible].repeats;
	}
	PL_FUZZ_CHECK(args->operands_count >= wanted && (repeats || args->operands_count <= possible));
	for (const struct pl_option *o = command->options; o != NULL && o->name != NULL; o++) {
		size_t count = 0, at = 0;
		const char *value;
		while ((value = pl_args_each(args, o->name, &at)) != NULL) {
			count++;
			PL_FUZZ_CHECK(o->value == PL_VALUE_NONE || value[0] != '\0');
			PL_FUZZ_CHECK(o->value != PL_VALUE_CHOICE || is_choice(o->choices, value));
			if (o->value == PL_VALUE_NUMBER)
				PL_FUZZ_CHECK(pl_args_number(args, o->name, 0) >= o->min && pl_args_number(args, o->name, 0) <= o->max);
		}
		PL_FUZZ_CHECK((!o->required || count > 0) && (o->repeats || count <= 1));
	}
}

/* Words with a zero byte behind each. */
static void fuzz_arguments(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1), *argv[WORDS_MAX] = { line }, *printed = NULL;
	size_t printed_count = 0;
	int argc = 1;
	PL_FUZZ_CHECK(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	for (char *at = line; at < line + size && argc < WORDS_MAX; at += strlen(at) + 1)
		argv[argc++] = at;
	static struct pl_args args;
	memset(&args, 0, sizeof(args));
	struct pl_cli cli = { 0 };
	bool help, version;
	FILE *before = stderr, *memory = open_memstream(&printed, &printed_count);
	PL_FUZZ_CHECK(memory != NULL);
	stderr = memory;
	enum pl_exit exit = pl_args_parse(&cli, &args, argc, argv, &help, &version);
	stderr = before;
	fclose(memory);
	PL_FUZZ_CHECK(exit == PL_EXIT_OK || exit == PL_EXIT_USAGE);
	PL_FUZZ_CHECK((printed_count > 0) == (exit == PL_EXIT_USAGE));
	if (exit == PL_EXIT_USAGE && cli.json)
		PL_FUZZ_CHECK(strncmp(printed, "{\"error\":{\"code\":\"usage\"", 24) == 0 && strchr(printed, '\n') == printed + printed_count - 1);
	else if (exit == PL_EXIT_USAGE)
		PL_FUZZ_CHECK(strncmp(printed, "parley: ", 8) == 0);
	check_harmless(printed);
	if (exit == PL_EXIT_OK && !help && !version && args.command != NULL)
		check_taken(&args);
	free(printed);
	free(line);
}

/* A run of backslashes before "u{" or "x" and two digits is, if odd, an escape and half of them; if even, half of them and what was typed. */
static void check_tells(const char *visible, const char *text, size_t size)
{
	char *read = malloc(strlen(visible) + 4), *out = read;
	PL_FUZZ_CHECK(read != NULL);
	while (*visible != '\0') {
		size_t run = strspn(visible, "\\");
		const char *tail = visible + run;
		unsigned value = 0;
		int taken = 0;
		bool is_character = sscanf(tail, "u{%6x}%n", &value, &taken) == 1 && taken > 0;
		bool is_byte = tail[0] == 'x' && isxdigit((unsigned char)tail[1]) && isxdigit((unsigned char)tail[2]);
		if (run == 0) {
			*out++ = *visible++;
			continue;
		}
		bool is_escape = strncmp(tail, "u{", 2) == 0 || is_byte;
		memset(out, '\\', is_escape ? run / 2 : run);
		out += is_escape ? run / 2 : run;
		visible = tail;
		if (!is_escape || run % 2 == 0)
			continue;
		if (is_byte) {
			sscanf(tail, "x%2x", &value);
			*out++ = (char)value;
			visible += 3;
			continue;
		}
		PL_FUZZ_CHECK(is_character && value >= 0x80);
		if (value >= 0x10000)
			*out++ = (char)(0xf0 | value >> 18);
		if (value >= 0x800)
			*out++ = (char)(value >= 0x10000 ? 0x80 | (value >> 12 & 0x3f) : 0xe0 | value >> 12);
		*out++ = (char)(value >= 0x800 ? 0x80 | (value >> 6 & 0x3f) : 0xc0 | value >> 6);
		*out++ = (char)(0x80 | (value & 0x3f));
		visible += taken;
	}
	PL_FUZZ_CHECK((size_t)(out - read) == size && memcmp(read, text, size) == 0);
	free(read);
}

static void fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	int64_t ms;
	uint64_t duration_ms;
	PL_FUZZ_CHECK(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	char *visible = pl_visible_text(text, size);
	check_harmless(visible);
	check_tells(visible, text, size);
	PL_FUZZ_CHECK(strchr(visible, '\n') == NULL);
	PL_FUZZ_CHECK(pl_text_columns(visible) >= 0 && pl_text_columns(text) <= (int)size * 2);
	for (const char *at = pl_path("%s", text); *at != '\0'; at++)
		PL_FUZZ_CHECK((*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') || strchr("-._~%", *at) != NULL);
	if (pl_time_read(text, &ms)) {
		int64_t read_again;
		PL_FUZZ_CHECK(ms < 0 || (pl_time_read(pl_time_rfc3339(ms), &read_again) && read_again == ms));
		check_harmless(pl_time_full(ms));
		check_harmless(pl_time_short(ms));
	}
	if (pl_duration_read(text, &duration_ms))
		PL_FUZZ_CHECK(duration_ms % 1000 == 0 && duration_ms <= UINT64_C(999999999) * 86400000);
	free(text);
}

static void fuzz_public_key(const uint8_t *data, size_t size)
{
	struct pl_public_key key;
	char why[256];
	if (pl_key_parse_public("F", data, size, &key, why, sizeof(why)) != PL_OK) {
		PL_FUZZ_CHECK(strncmp(why, "F: ", 3) == 0);
		return;
	}
	PL_FUZZ_CHECK(key.role >= PL_KEY_ROOT && key.role <= PL_KEY_NODE);
	PL_FUZZ_CHECK(strlen(key.comment) <= PL_NAME_BYTES_MAX && pl_utf8_is_valid(key.comment, strlen(key.comment)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_ready;
	if (!is_ready)
		pl_out_init("never");
	is_ready = true;
	if (size == 0 || size > 4096)
		return 0;
	struct pl_block *scope = pl_scope_begin();
	switch (data[0] % 3) {
	case 0: fuzz_arguments(data + 1, size - 1); break;
	case 1: fuzz_text(data + 1, size - 1); break;
	default: fuzz_public_key(data + 1, size - 1); break;
	}
	pl_scope_end(scope);
	return 0;
}
