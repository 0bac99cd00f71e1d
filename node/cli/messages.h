/* What the commands on messages share. */
#ifndef PL_NODE_CLI_MESSAGES_H
#define PL_NODE_CLI_MESSAGES_H

#include "node/cli/cli.h"

#define PL_OPTION_OPERATOR \
	{ .name = "operator", .value = PL_VALUE_TEXT, .value_name = "NAME", .help = "who does this; the user's name on this machine if not given" }

extern const struct pl_option pl_send_options[];
enum pl_exit pl_run_send(struct pl_cli *cli, const struct pl_args *args);

/* A time of the API as tables show it; "-" where there is none. */
char *pl_message_time(const json_t *object, const char *key);
enum pl_style pl_precedence_style(const char *precedence);
/* The table of an answer of /v1/messages/{id}/receipts. */
void pl_print_receipts(const json_t *reply);

#endif
