/* An exchange with parleyd, for client.c and client_events.c: begin, set what it needs, perform, end. */
#ifndef PL_NODE_CLI_CLIENT_IMPL_H
#define PL_NODE_CLI_CLIENT_IMPL_H

#include <curl/curl.h>

#include "node/buffer.h"
#include "node/cli/cli.h"

struct pl_client {
	CURL *curl;
	char *socket;
};

struct pl_exchange {
	struct pl_cli *cli;
	CURL *curl;
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE];
	const char *body;
	size_t body_bytes;
	/* where the answer goes: reply, except that of a success with a sink or events */
	struct pl_buffer reply;
	struct pl_sink *sink;
	bool sink_failed;
	size_t (*on_success)(struct pl_exchange *exchange, const char *chars, size_t count);
	void *ctx;
	struct pl_progress *progress; /* or NULL */
	/* when nothing moves for a while, that is said */
	const char *while_waiting; /* added to it, or NULL */
	int64_t moved_ms;
	curl_off_t moved_bytes;
	bool is_told;
};
enum pl_exit pl_exchange_begin(struct pl_exchange *exchange, struct pl_cli *cli, const char *method, const char *path);
void pl_exchange_header(struct pl_exchange *exchange, const char *header);
bool pl_exchange_succeeded(const struct pl_exchange *exchange); /* by the status of the answer */
enum pl_exit pl_exchange_report(const struct pl_exchange *exchange); /* says the error that the answer holds */
void pl_exchange_end(struct pl_exchange *exchange);

#endif
