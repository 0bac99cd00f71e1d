#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/cli/client_impl.h"
#include "node/conf.h"

#define CONNECT_MS_MAX 5000
#define CALL_MS_MAX 60000              /* a call that carries no file: the slowest waits for a disk */
#define ASK_MS_MAX 10000               /* one that only asks */
#define TELL_MS 3000                   /* without an answer for so long: that is said */
#define STALL_MS_MAX 60000             /* a transfer that moves nothing for so long is given up */
#define REPLY_BYTES_MAX (64u << 20)    /* of a JSON answer */

/* --- the socket --- */

static enum pl_exit not_for_this_user(const struct pl_cli *cli, const char *path)
{
	return pl_error(cli, PL_EXIT_UNREACHABLE, "run this as the user that parleyd runs as", "%s: may not be opened by this user", path);
}

static enum pl_exit find_socket(struct pl_cli *cli, char **out)
{
	struct sockaddr_un address;
	const char *conf_path = pl_format("%s/parley.conf", cli->dir);
	const bool has_conf = cli->socket == NULL && access(conf_path, R_OK) == 0;
	if (cli->socket != NULL) {
		*out = pl_format("%s", cli->socket);
	} else if (!has_conf && errno == EACCES) {
		return not_for_this_user(cli, conf_path);
	} else if (has_conf) {
		struct pl_conf *conf = pl_alloc(sizeof(*conf));
		char why[PL_PATH_BYTES_MAX + 512];
		enum pl_err err = pl_conf_read(conf, cli->dir, why, sizeof(why));
		if (err != PL_OK)
			return pl_file_error(cli, err, why);
		*out = pl_format("%s", conf->socket_path);
	} else if (cli->dir_given || access(cli->dir, F_OK) == 0) {
		return pl_error(cli, PL_EXIT_UNREACHABLE, "name another folder with --dir, or make a node there with `parley init`",
		                "%s: is not the folder of a node: it has no parley.conf", cli->dir);
	} else {
		return pl_error(cli, PL_EXIT_UNREACHABLE, "name the node's folder with --dir DIR or $PARLEY_DIR, or its socket with --socket PATH",
		                "there is no node in this folder nor in %s", cli->dir);
	}
	if (strlen(*out) >= sizeof(address.sun_path))
		return pl_error(cli, PL_EXIT_INPUT, "put the socket elsewhere with `socket = PATH` in parley.conf",
		                "%s: is longer than the %zu bytes that the path of a socket may have", *out, sizeof(address.sun_path) - 1);
	return PL_EXIT_OK;
}

static enum pl_exit open_client(struct pl_cli *cli)
{
	if (cli->client != NULL)
		return PL_EXIT_OK;
	char *socket;
	enum pl_exit exit = find_socket(cli, &socket);
	if (exit != PL_EXIT_OK)
		return exit;
	/* not from pl_alloc(): the first call may come in a scope that ends */
	struct pl_client *client = calloc(1, sizeof(*client));
	if (client != NULL && curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK) {
		client->curl = curl_easy_init();
		client->socket = strdup(socket);
	}
	if (client == NULL || client->curl == NULL || client->socket == NULL) {
		pl_client_free(client);
		return pl_error(cli, PL_EXIT_FAILED, NULL, "libcurl cannot be used on this machine");
	}
	cli->client = client;
	return PL_EXIT_OK;
}

void pl_client_free(struct pl_client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	curl_global_cleanup();
	free(client->socket);
	free(client);
}

enum pl_exit pl_unreachable(struct pl_cli *cli)
{
	const char *socket = cli->client->socket;
	const char *start = cli->socket != NULL ? "start its parleyd, or name another socket" : pl_format("start it: parleyd --dir %s", pl_quoted(cli->dir));
	struct stat st;
	if (stat(socket, &st) != 0 && errno == ENOENT)
		return pl_error(cli, PL_EXIT_UNREACHABLE, start, "parleyd does not run: there is no %s", socket);
	if (access(socket, W_OK) != 0 && errno == EACCES)
		return not_for_this_user(cli, socket);
	return pl_error(cli, PL_EXIT_UNREACHABLE, start, "parleyd does not answer on %s", socket);
}

/* --- one exchange --- */

bool pl_exchange_succeeded(const struct pl_exchange *exchange)
{
	long status = 0;
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t on_body(char *chars, size_t size, size_t count, void *ctx)
{
	struct pl_exchange *exchange = ctx;
	count *= size;
	if (exchange->on_success != NULL && pl_exchange_succeeded(exchange))
		return exchange->on_success(exchange, chars, count);
	pl_buffer_add(&exchange->reply, chars, count);
	return exchange->reply.err == PL_OK ? count : 0;
}

/* curl calls this once a second at least. */
static int on_transfer(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	struct pl_exchange *exchange = ctx;
	const int64_t now_ms = pl_ticks_ms();
	if (exchange->moved_ms == 0 || down + up != exchange->moved_bytes) {
		exchange->moved_ms = now_ms;
		exchange->moved_bytes = down + up;
	} else if (!exchange->is_told && now_ms - exchange->moved_ms >= TELL_MS) {
		exchange->is_told = true;
		pl_remark(exchange->cli, "still waiting for parleyd%s", exchange->while_waiting == NULL ? "" : exchange->while_waiting);
	}
	if (exchange->progress != NULL && up_total > 0) {
		pl_progress_at(exchange->progress, (uint64_t)up);
	} else if (exchange->progress != NULL) {
		if (down_total > 0)
			exchange->progress->total = (uint64_t)down_total;
		pl_progress_at(exchange->progress, (uint64_t)down);
	}
	return 0;
}

enum pl_exit pl_exchange_begin(struct pl_exchange *exchange, struct pl_cli *cli, const char *method, const char *path)
{
	enum pl_exit exit = open_client(cli);
	if (exit != PL_EXIT_OK)
		return exit;
	exchange->cli = cli;
	exchange->reply = (struct pl_buffer)PL_BUFFER(REPLY_BYTES_MAX);
	exchange->curl = cli->client->curl;
	CURL *curl = exchange->curl;
	curl_easy_reset(curl); /* keeps the connection */
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli->client->socket);
	curl_easy_setopt(curl, CURLOPT_URL, pl_format("http://localhost%s", path));
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->why);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "parley/" PL_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	return PL_EXIT_OK;
}

void pl_exchange_header(struct pl_exchange *exchange, const char *header)
{
	struct curl_slist *more = curl_slist_append(exchange->headers, header);
	if (more != NULL)
		exchange->headers = more;
}

static void set_body(struct pl_exchange *exchange, const char *media_type, const void *bytes, size_t count)
{
	curl_easy_setopt(exchange->curl, CURLOPT_POSTFIELDS, count > 0 ? bytes : "");
	curl_easy_setopt(exchange->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
	pl_exchange_header(exchange, pl_format("Content-Type: %s", media_type));
	pl_exchange_header(exchange, "Expect:"); /* no pause to ask whether the body is welcome */
}

static void watch_transfer(struct pl_exchange *exchange)
{
	curl_easy_setopt(exchange->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(exchange->curl, CURLOPT_XFERINFOFUNCTION, on_transfer);
	curl_easy_setopt(exchange->curl, CURLOPT_XFERINFODATA, exchange);
}

/* One that moves a file: as long as something moves. */
static void set_transfer(struct pl_exchange *exchange, struct pl_progress *progress, int64_t stall_ms_max)
{
	exchange->progress = progress;
	curl_easy_setopt(exchange->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(exchange->curl, CURLOPT_LOW_SPEED_TIME, (long)(stall_ms_max < 1000 ? 1 : stall_ms_max / 1000));
	watch_transfer(exchange);
}

void pl_exchange_end(struct pl_exchange *exchange)
{
	pl_buffer_dispose(&exchange->reply);
	curl_slist_free_all(exchange->headers);
}

/* Errors of the API that mean something else to a person at this command than their status and hint say to a program. */
static const struct known_error {
	const char *code;
	enum pl_exit exit;
	const char *hint; /* NULL: the API's own */
} known_errors[] = {
	{ "unknown_message", PL_EXIT_UNKNOWN, "`parley inbox --box all` lists the messages that this node can show" },
	{ "not_a_message", PL_EXIT_UNKNOWN, "`parley feed` lists the entries and their kinds; `parley inbox --box all` lists the messages" },
	{ "bad_id", PL_EXIT_INPUT, "a message is named by its reference (FIN/0/17), or by its id or six or more digits that it begins with" },
	{ "ambiguous_id", PL_EXIT_UNKNOWN, NULL },
	{ "unknown_recipient", PL_EXIT_UNKNOWN, "`parley peers` lists the nodes of the members" },
	{ "unknown_node", PL_EXIT_UNKNOWN, "`parley peers` lists the nodes" },
	{ "unknown_author", PL_EXIT_UNKNOWN, "`parley peers` lists the nodes" },
	{ "unknown_entry", PL_EXIT_UNKNOWN, "`parley feed` lists the entries that are held here" },
	{ "unknown_attachment", PL_EXIT_INPUT, "send it again: an upload is kept for an hour" },
	{ "incomplete", PL_EXIT_TIMEOUT, "`parley attachment … --wait` waits for the rest" },
	{ "bad_tlp", PL_EXIT_USAGE, NULL },
	{ "audience_too_wide", PL_EXIT_REFUSED, NULL },
	{ "damaged_attachment", PL_EXIT_UNVERIFIED, NULL },
};

static enum pl_exit exit_of_status(long status)
{
	switch (status) {
	case 404: return PL_EXIT_UNKNOWN;
	case 403:
	case 409:
	case 429: return PL_EXIT_REFUSED;
	case 400:
	case 413:
	case 415:
	case 422: return PL_EXIT_INPUT;
	case 504: return PL_EXIT_TIMEOUT;
	default: return PL_EXIT_FAILED;
	}
}

static enum pl_exit report_error(struct pl_cli *cli, long status, const json_t *document)
{
	const json_t *error = json_object_get(document, "error");
	const char *code = pl_json_text(error, "code"), *message = pl_json_text(error, "message"), *hint = pl_json_text(error, "hint");
	enum pl_exit exit = exit_of_status(status);
	for (size_t i = 0; i < sizeof(known_errors) / sizeof(*known_errors); i++) {
		if (strcmp(known_errors[i].code, code) == 0) {
			exit = known_errors[i].exit;
			hint = known_errors[i].hint == NULL || cli->json ? hint : known_errors[i].hint;
		}
	}
	if (message[0] == '\0')
		return pl_error(cli, exit, "is this the socket of a parleyd?", "the answer on %s has status %ld and says nothing more",
		                cli->client->socket, status);
	return cli->json ? pl_error_object(exit, error) : pl_error_coded(cli, exit, code, hint[0] == '\0' ? NULL : hint, message);
}

enum pl_exit pl_exchange_report(const struct pl_exchange *exchange)
{
	long status = 0;
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	json_t *document = json_loadb(exchange->reply.bytes == NULL ? "" : exchange->reply.bytes, exchange->reply.count, 0, NULL);
	enum pl_exit exit = report_error(exchange->cli, status, document);
	json_decref(document);
	return exit;
}

static const char *trouble_of(const struct pl_exchange *exchange, CURLcode code)
{
	return exchange->why[0] == '\0' ? curl_easy_strerror(code) : exchange->why;
}

/* What has become of it; says nothing. */
static enum pl_came perform(struct pl_exchange *exchange, CURLcode *code)
{
	long asked_bytes = 0;
	curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, exchange->headers);
	*code = curl_easy_perform(exchange->curl);
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_REQUEST_SIZE, &asked_bytes);
	switch ((int)*code) {
	case CURLE_OK: return PL_CAME_ANSWER;
	case CURLE_COULDNT_CONNECT:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE: return asked_bytes == 0 ? PL_CAME_NOBODY : PL_CAME_BREAK;
	case CURLE_OPERATION_TIMEDOUT: return PL_CAME_NOTHING;
	default: return PL_CAME_TROUBLE;
	}
}

static enum pl_exit report_silence(struct pl_cli *cli)
{
	return pl_error(cli, PL_EXIT_TIMEOUT, "it is stopped, or waits for its disk; its log and `ps` say more", "parleyd runs, and does not answer");
}

static enum pl_exit report_trouble(const struct pl_exchange *exchange, CURLcode code)
{
	if (code == CURLE_WRITE_ERROR && exchange->sink_failed)
		return PL_EXIT_FAILED; /* said when the sink is closed */
	if (code == CURLE_WRITE_ERROR && exchange->reply.err == PL_ERR_LIMIT)
		return pl_error(exchange->cli, PL_EXIT_FAILED, "ask for less with --limit", "the answer has more than %u MiB", REPLY_BYTES_MAX >> 20);
	return pl_error(exchange->cli, PL_EXIT_FAILED, NULL, "the call to parleyd failed: %s", trouble_of(exchange, code));
}

static enum pl_exit report(const struct pl_exchange *exchange, enum pl_came came, CURLcode code)
{
	switch (came) {
	case PL_CAME_ANSWER: return pl_exchange_succeeded(exchange) ? PL_EXIT_OK : pl_exchange_report(exchange);
	case PL_CAME_NOBODY:
	case PL_CAME_BREAK: return pl_unreachable(exchange->cli);
	case PL_CAME_NOTHING: return report_silence(exchange->cli);
	case PL_CAME_TROUBLE: break;
	}
	return report_trouble(exchange, code);
}

static enum pl_exit take_json(const struct pl_exchange *exchange, json_t **out)
{
	json_error_t error;
	*out = json_loadb(exchange->reply.bytes == NULL ? "" : exchange->reply.bytes, exchange->reply.count, JSON_ALLOW_NUL, &error);
	if (*out == NULL)
		return pl_error(exchange->cli, PL_EXIT_FAILED, "is this the socket of a parleyd?", "the answer on %s is not JSON: %s",
		                exchange->cli->client->socket, error.text);
	return PL_EXIT_OK;
}

/* Asks for a JSON document, with one or with nothing. */
static enum pl_exit prepare(struct pl_exchange *exchange, struct pl_cli *cli, const char *method, const char *path, const char *text)
{
	enum pl_exit exit = pl_exchange_begin(exchange, cli, method, path);
	if (exit != PL_EXIT_OK)
		return exit;
	watch_transfer(exchange);
	if (text != NULL)
		set_body(exchange, "application/json", text, strlen(text));
	else if (strcmp(method, "POST") == 0)
		set_body(exchange, "application/json", "{}", 2);
	return PL_EXIT_OK;
}

static enum pl_exit take_answer(struct pl_exchange *exchange, struct pl_answer *out)
{
	CURLcode code;
	out->came = perform(exchange, &code);
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &out->status);
	if (out->came == PL_CAME_TROUBLE)
		return report_trouble(exchange, code);
	if (out->came == PL_CAME_ANSWER && pl_exchange_succeeded(exchange))
		return take_json(exchange, &out->document);
	if (out->came == PL_CAME_ANSWER)
		out->error = json_loadb(exchange->reply.bytes == NULL ? "" : exchange->reply.bytes, exchange->reply.count, 0, NULL);
	return PL_EXIT_OK;
}

enum pl_exit pl_try(struct pl_cli *cli, const char *method, const char *path, const json_t *body, const char *while_waiting,
                    int64_t timeout_ms, struct pl_answer *out)
{
	struct pl_exchange exchange = { .while_waiting = while_waiting };
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
	enum pl_exit exit = prepare(&exchange, cli, method, path, text);
	*out = (struct pl_answer){ .came = PL_CAME_TROUBLE };
	if (exit == PL_EXIT_OK) {
		curl_easy_setopt(exchange.curl, CURLOPT_TIMEOUT_MS, (long)(timeout_ms < 1 ? 1 : timeout_ms));
		exit = take_answer(&exchange, out);
	}
	pl_exchange_end(&exchange);
	free(text);
	return exit;
}

enum pl_exit pl_try_bytes(struct pl_cli *cli, const char *path, const char *media_type, const void *bytes, size_t count,
                          struct pl_progress *progress, int64_t stall_ms_max, struct pl_answer *out)
{
	struct pl_exchange exchange = { 0 };
	enum pl_exit exit = pl_exchange_begin(&exchange, cli, "POST", path);
	*out = (struct pl_answer){ .came = PL_CAME_TROUBLE };
	if (exit == PL_EXIT_OK) {
		set_body(&exchange, media_type, bytes, count);
		set_transfer(&exchange, progress, stall_ms_max);
		exit = take_answer(&exchange, out);
	}
	pl_exchange_end(&exchange);
	return exit;
}

void pl_answer_dispose(struct pl_answer *answer)
{
	json_decref(answer->document);
	json_decref(answer->error);
	*answer = (struct pl_answer){ .came = PL_CAME_TROUBLE };
}

enum pl_exit pl_answer_report(struct pl_cli *cli, const struct pl_answer *answer)
{
	switch (answer->came) {
	case PL_CAME_ANSWER: return report_error(cli, answer->status, answer->error);
	case PL_CAME_NOBODY:
	case PL_CAME_BREAK: return pl_unreachable(cli);
	case PL_CAME_NOTHING: return report_silence(cli);
	case PL_CAME_TROUBLE: break; /* said already */
	}
	return PL_EXIT_FAILED;
}

/* Of an answer: its document, or what is wrong. */
static enum pl_exit settle(struct pl_cli *cli, enum pl_exit exit, struct pl_answer *answer, json_t **out)
{
	if (exit == PL_EXIT_OK && answer->document == NULL)
		exit = pl_answer_report(cli, answer);
	else if (exit == PL_EXIT_OK)
		*out = json_incref(answer->document);
	pl_answer_dispose(answer);
	return exit;
}

enum pl_exit pl_call(struct pl_cli *cli, const char *method, const char *path, json_t *body, json_t **out)
{
	struct pl_answer answer;
	enum pl_exit exit = pl_try(cli, method, path, body, NULL, strcmp(method, "GET") == 0 ? ASK_MS_MAX : CALL_MS_MAX, &answer);
	json_decref(body);
	return settle(cli, exit, &answer, out);
}

enum pl_exit pl_call_bytes(struct pl_cli *cli, const char *path, const char *media_type, const void *bytes, size_t count,
                           const char *in_doubt, json_t **out)
{
	struct pl_answer answer;
	enum pl_exit exit = pl_try_bytes(cli, path, media_type, bytes, count, NULL, STALL_MS_MAX, &answer);
	if (exit == PL_EXIT_OK && (answer.came == PL_CAME_BREAK || answer.came == PL_CAME_NOTHING))
		return pl_error(cli, PL_EXIT_UNSURE, in_doubt, "parleyd took the call and gave no answer: nobody knows yet whether it was done");
	return settle(cli, exit, &answer, out);
}

static size_t to_sink(struct pl_exchange *exchange, const char *chars, size_t count)
{
	exchange->sink_failed = !pl_sink_write(exchange->sink, chars, count);
	return exchange->sink_failed ? 0 : count;
}

enum pl_exit pl_call_download(struct pl_cli *cli, const char *path, struct pl_sink *sink, struct pl_progress *progress)
{
	struct pl_exchange exchange = { .sink = sink, .on_success = to_sink };
	enum pl_exit exit = pl_exchange_begin(&exchange, cli, "GET", path);
	if (exit == PL_EXIT_OK) {
		CURLcode code;
		set_transfer(&exchange, progress, STALL_MS_MAX);
		enum pl_came came = perform(&exchange, &code);
		exit = report(&exchange, came, code);
	}
	pl_exchange_end(&exchange);
	return exit;
}
