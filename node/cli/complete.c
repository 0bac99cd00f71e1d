#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/cli/cli.h"
#include "node/keys.h"
#include "proto/charter.h"

/* What the shells' completion scripts ask for; they know nothing of commands or options themselves. */

struct completion {
	struct pl_cli *cli;
	const char *typed;  /* what candidates have to begin with */
	const char *before; /* what stands before it in the same word and is repeated: "--to=", "FIN," */
	const struct pl_command *command;
	char *group;
	const char *const *words;
	size_t count; /* of complete words */
};

static void offer(const struct completion *completion, const char *candidate, const char *description)
{
	if (strncasecmp(candidate, completion->typed, strlen(completion->typed)) == 0) /* codes and choices are taken in any case */
		pl_out("%s%s\t%s\n", completion->before, candidate, description);
}

/* Members, several with commas between them, or nodes. */
static void offer_of_charter(struct completion *completion, bool nodes)
{
	const char *comma = nodes ? NULL : strrchr(completion->typed, ',');
	if (comma != NULL) {
		completion->before = pl_format("%s%.*s", completion->before, (int)(comma + 1 - completion->typed), completion->typed);
		completion->typed = comma + 1;
	}
	char why[512], at[PL_MEMBER_CODE_BYTES + 1];
	uint8_t *bytes;
	size_t count;
	if (pl_file_read(pl_format("%s/charter.plc", completion->cli->dir), PL_CHARTER_BYTES_MAX, &bytes, &count, why, sizeof(why)) != PL_OK)
		return;
	struct pl_charter *charter = pl_alloc(sizeof(*charter));
	const bool is_good = pl_charter_read(bytes, count, charter, at) == PL_OK;
	for (uint16_t i = 0; is_good && !nodes && i < charter->members_count; i++)
		if (strstr(completion->before, charter->members[i].code) == NULL)
			offer(completion, charter->members[i].code, charter->members[i].name);
	for (uint16_t i = 0; is_good && nodes && i < charter->nodes_count; i++) {
		char name[PL_NODE_NAME_BYTES];
		pl_charter_node_name(charter, i, name);
		offer(completion, name, charter->nodes[i].certificate.label);
	}
	free(bytes);
}

static void offer_messages(const struct completion *completion, const char *box)
{
	json_t *reply;
	size_t i;
	json_t *message;
	if (pl_call(completion->cli, "GET", pl_path("/v1/messages?box=%s&limit=50", box), NULL, &reply) != PL_EXIT_OK)
		return;
	json_array_foreach(json_object_get(reply, "messages"), i, message)
		offer(completion, pl_json_text(message, "ref"),
		      pl_format("%s from %s: %s", pl_json_text(message, "precedence"), pl_json_text(message, "from"), pl_json_text(message, "subject")));
	json_decref(reply);
}

static void offer_value(struct completion *completion, enum pl_value value, const char *choices)
{
	switch (value) {
	case PL_VALUE_NONE:
	case PL_VALUE_NUMBER: break;
	case PL_VALUE_FILE: pl_out(":file\n"); break;
	case PL_VALUE_FOLDER: pl_out(":folder\n"); break;
	case PL_VALUE_TEXT:
	case PL_VALUE_CHOICE:
		for (const char *at = choices == NULL ? "" : choices; *at != '\0';) {
			size_t one = strcspn(at, "|");
			offer(completion, pl_format("%.*s", (int)one, at), "");
			at += one + (at[one] == '|');
		}
		break;
	case PL_VALUE_MEMBER: offer_of_charter(completion, false); break;
	case PL_VALUE_NODE: offer_of_charter(completion, true); break;
	case PL_VALUE_MESSAGE: offer_messages(completion, "all"); break;
	case PL_VALUE_RECEIVED: offer_messages(completion, "in"); break;
	}
}

static const struct pl_option *option_of_word(const struct pl_command *command, const char *word)
{
	const struct pl_option *const tables[] = { command == NULL ? NULL : command->options, pl_global_options };
	size_t count = strcspn(word, "=");
	for (size_t i = 0; i < 2; i++)
		for (const struct pl_option *o = tables[i]; o != NULL && o->name != NULL; o++)
			if ((count > 2 && strncmp(word, "--", 2) == 0 && strlen(o->name) == count - 2 && strncmp(o->name, word + 2, count - 2) == 0) ||
			    (o->letter != 0 && word[0] == '-' && word[1] == o->letter && word[2] == '\0'))
				return o;
	return NULL;
}

static bool is_used(const struct completion *completion, const struct pl_option *option)
{
	for (size_t i = 0; i < completion->count; i++)
		if (option_of_word(completion->command, completion->words[i]) == option)
			return true;
	return false;
}

static void offer_options(const struct completion *completion)
{
	const struct pl_option *const tables[] = { completion->command == NULL ? NULL : completion->command->options, pl_global_options };
	for (size_t i = 0; i < 2; i++)
		for (const struct pl_option *o = tables[i]; o != NULL && o->name != NULL; o++)
			if (o->repeats || !is_used(completion, o))
				offer(completion, pl_format("--%s", o->name), o->help);
}

static void offer_commands(const struct completion *completion)
{
	const char *before = "";
	for (const struct pl_command_group *group = pl_command_groups; group->title != NULL; group++) {
		for (const struct pl_command *command = group->commands; command->name != NULL; command++) {
			const char *space = strchr(command->name, ' ');
			size_t first = space == NULL ? strlen(command->name) : (size_t)(space - command->name);
			if (completion->group != NULL) {
				if (space != NULL && strlen(completion->group) == first && strncmp(command->name, completion->group, first) == 0)
					offer(completion, space + 1, command->summary);
			} else if (strlen(before) != first || strncmp(command->name, before, first) != 0) {
				before = pl_format("%.*s", (int)first, command->name);
				offer(completion, before, space == NULL ? command->summary : group->title);
			}
		}
	}
}

void pl_complete(struct pl_cli *cli, const char *const *words, size_t count)
{
	if (count == 0)
		return;
	struct completion completion = { .cli = cli, .typed = words[count - 1], .before = "", .words = words, .count = count - 1 };
	const struct pl_option *waiting = NULL; /* the option whose value comes next */
	size_t operands = 0;
	bool is_help = false; /* of a command, which takes nothing more */
	for (size_t i = 0; i + 1 < count; i++) {
		const char *word = words[i];
		if (waiting != NULL) {
			if (strcmp(waiting->name, "dir") == 0)
				cli->dir = word;
			if (strcmp(waiting->name, "socket") == 0)
				cli->socket = word;
			waiting = NULL;
		} else if (word[0] == '-' && word[1] != '\0') {
			const struct pl_option *option = option_of_word(completion.command, word);
			const char *value = strchr(word, '=');
			if (option != NULL && option->value != PL_VALUE_NONE && value == NULL)
				waiting = option;
			else if (option != NULL && strcmp(option->name, "dir") == 0)
				cli->dir = value + 1;
			else if (option != NULL && strcmp(option->name, "socket") == 0)
				cli->socket = value + 1;
		} else if (completion.command != NULL) {
			operands++;
		} else if (i == 0 && strcmp(word, "help") == 0) {
			is_help = true;
		} else {
			char *name = completion.group == NULL ? pl_format("%s", word) : pl_format("%s %s", completion.group, word);
			completion.command = pl_command_find(name);
			completion.group = completion.command == NULL ? name : NULL;
		}
	}
	const char *equals = strchr(completion.typed, '=');
	const struct pl_option *inline_option = equals == NULL ? NULL : option_of_word(completion.command, completion.typed);
	if (inline_option != NULL && inline_option->value != PL_VALUE_NONE) {
		completion.before = pl_format("%.*s", (int)(equals + 1 - completion.typed), completion.typed);
		completion.typed = equals + 1;
		waiting = inline_option;
	}
	if (waiting != NULL) {
		offer_value(&completion, waiting->value, waiting->choices);
	} else if (completion.typed[0] == '-') {
		offer_options(&completion);
	} else if (completion.command == NULL) {
		offer_commands(&completion);
	} else if (!is_help) {
		const struct pl_operand *operand = NULL;
		for (size_t i = 0; i < 3 && completion.command->operands[i].name != NULL; i++)
			if (i == operands || (i < operands && completion.command->operands[i].repeats))
				operand = &completion.command->operands[i];
		if (operand != NULL)
			offer_value(&completion, operand->value, NULL);
	}
}
