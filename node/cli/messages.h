/* What the commands on messages share. */
#ifndef PL_NODE_CLI_MESSAGES_H
#define PL_NODE_CLI_MESSAGES_H

#include "node/cli/cli.h"

#define PL_OPTION_OPERATOR \
	{ .name = "operator", .value = PL_VALUE_TEXT, .value_name = "NAME", .help = "who does this; the user's name on this machine if not given" }

extern const struct pl_option pl_send_options[], pl_reply_options[], pl_attachment_options[];
enum pl_exit pl_run_send(struct pl_cli *cli, const struct pl_args *args);
enum pl_exit pl_run_reply(struct pl_cli *cli, const struct pl_args *args);
enum pl_exit pl_run_attachment(struct pl_cli *cli, const struct pl_args *args);

/* Handing a message over to parleyd, so that in the end it is known whether it was sent: what breaks off is asked again, under the message's
 * own id, as long as there is time. */
struct pl_delivery {
	struct pl_cli *cli;
	int64_t end_ms;
	long pause_ms;
	bool was_taken; /* parleyd was there once: it is worth waiting for */
	bool is_told;
};
void pl_delivery_begin(struct pl_delivery *delivery, struct pl_cli *cli, uint64_t timeout_s);
/* *out: the answer, with its token. */
enum pl_exit pl_delivery_attach(struct pl_delivery *delivery, const char *name, const char *media_type, const void *bytes, size_t count,
                                json_t **out);
/* message: with an id. *out: what POST /v1/messages answers. PL_EXIT_UNSURE: it may have been sent. All that is not OK was said. */
enum pl_exit pl_delivery_send(struct pl_delivery *delivery, const json_t *message, json_t **out);
/* Until every recipient has got as far as --wait says. *out: the receipts as they stand in the end, or NULL. */
enum pl_exit pl_delivery_wait(struct pl_cli *cli, const struct pl_args *args, const json_t *sent, json_t **out);

enum pl_style pl_precedence_style(const char *precedence);
/* The table of an answer of /v1/messages/{id}/receipts. */
void pl_print_receipts(const json_t *reply);

#endif
