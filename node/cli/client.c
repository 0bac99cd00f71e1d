#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/conf.h"

#define CONNECT_MS_MAX 5000
#define CALL_MS_MAX 60000              /* a call that carries no file: the slowest waits for a disk */
#define ASK_MS_MAX 10000               /* one that only asks */
#define STALL_S_MAX 60                 /* a transfer that moves nothing for so long is given up */
#define REPLY_BYTES_MAX (64u << 20)    /* of a JSON answer */
#define EVENT_BYTES_MAX (1u << 20)     /* of one server-sent event */

struct pl_client {
	CURL *curl;
	char *socket;
};

struct bytes {
	char *chars;
	size_t count, room;
	bool is_too_long;
};

static bool append(struct bytes *bytes, const char *chars, size_t count, size_t count_max)
{
	if (count > count_max - bytes->count) {
		bytes->is_too_long = true;
		return false;
	}
	if (bytes->count + count + 1 > bytes->room) {
		size_t room = (bytes->count + count + 1) * 2;
		char *more = realloc(bytes->chars, room);
		if (more == NULL)
			return false;
		bytes->chars = more;
		bytes->room = room;
	}
	memcpy(bytes->chars + bytes->count, chars, count);
	bytes->count += count;
	bytes->chars[bytes->count] = '\0';
	return true;
}

/* --- the socket --- */

static enum pl_exit find_socket(struct pl_cli *cli, char **out)
{
	struct sockaddr_un address;
	if (cli->socket != NULL) {
		*out = pl_format("%s", cli->socket);
	} else if (access(pl_format("%s/parley.conf", cli->dir), F_OK) == 0) {
		struct pl_conf *conf = pl_alloc(sizeof *conf);
		char why[PL_PATH_BYTES_MAX + 512];
		enum pl_err err = pl_conf_read(conf, cli->dir, why, sizeof why);
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
	if (strlen(*out) >= sizeof address.sun_path)
		return pl_error(cli, PL_EXIT_INPUT, "put the socket elsewhere with `socket = PATH` in parley.conf",
		                "%s: is longer than the %zu bytes that the path of a socket may have", *out, sizeof address.sun_path - 1);
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
	struct pl_client *client = calloc(1, sizeof *client);
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
	const char *start = cli->socket != NULL ? "start its parleyd, or name another socket" : pl_format("start it: parleyd --dir %s", cli->dir);
	struct stat st;
	if (stat(socket, &st) != 0 && errno == ENOENT)
		return pl_error(cli, PL_EXIT_UNREACHABLE, start, "parleyd does not run: there is no %s", socket);
	if (access(socket, W_OK) != 0 && errno == EACCES)
		return pl_error(cli, PL_EXIT_UNREACHABLE, "run this as the user that parleyd runs as", "%s: may not be opened by this user", socket);
	return pl_error(cli, PL_EXIT_UNREACHABLE, start, "parleyd does not answer on %s", socket);
}

/* --- one exchange --- */

struct exchange {
	struct pl_cli *cli;
	CURL *curl;
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE];
	const char *body;
	size_t body_bytes;
	/* where the answer goes: reply, except that of a success with a sink or events */
	struct bytes reply;
	struct pl_sink *sink;
	bool sink_failed;
	size_t (*on_success)(struct exchange *exchange, const char *chars, size_t count);
	void *ctx;
	struct pl_progress *progress;
};

static bool is_success(const struct exchange *exchange)
{
	long status = 0;
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t on_body(char *chars, size_t size, size_t count, void *ctx)
{
	struct exchange *exchange = ctx;
	count *= size;
	if (exchange->on_success != NULL && is_success(exchange))
		return exchange->on_success(exchange, chars, count);
	return append(&exchange->reply, chars, count, REPLY_BYTES_MAX) ? count : 0;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	struct pl_progress *progress = ctx;
	if (up_total > 0) {
		pl_progress_at(progress, (uint64_t)up);
	} else {
		if (down_total > 0)
			progress->total = (uint64_t)down_total;
		pl_progress_at(progress, (uint64_t)down);
	}
	return 0;
}

static enum pl_exit begin(struct exchange *exchange, struct pl_cli *cli, const char *method, const char *path)
{
	enum pl_exit exit = open_client(cli);
	if (exit != PL_EXIT_OK)
		return exit;
	exchange->cli = cli;
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

static void add_header(struct exchange *exchange, const char *header)
{
	struct curl_slist *more = curl_slist_append(exchange->headers, header);
	if (more != NULL)
		exchange->headers = more;
}

static void set_body(struct exchange *exchange, const char *media_type, const void *bytes, size_t count)
{
	curl_easy_setopt(exchange->curl, CURLOPT_POSTFIELDS, count > 0 ? bytes : "");
	curl_easy_setopt(exchange->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
	add_header(exchange, pl_format("Content-Type: %s", media_type));
	add_header(exchange, "Expect:"); /* no pause to ask whether the body is welcome */
}

static void set_transfer(struct exchange *exchange, struct pl_progress *progress)
{
	curl_easy_setopt(exchange->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(exchange->curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S_MAX);
	if (progress != NULL) {
		curl_easy_setopt(exchange->curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(exchange->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(exchange->curl, CURLOPT_XFERINFODATA, progress);
	}
}

static void end(struct exchange *exchange)
{
	free(exchange->reply.chars);
	curl_slist_free_all(exchange->headers);
}

/* Errors of the API that mean something else to a person at this command than their status and hint say to a program. */
static const struct known_error {
	const char *code;
	enum pl_exit exit;
	const char *hint; /* NULL: the API's own */
} known_errors[] = {
	{ "unknown_message", PL_EXIT_UNKNOWN, "`parley inbox --box all` lists the messages that this node can show" },
	{ "bad_id", PL_EXIT_INPUT, "a message is named by its reference (FIN/0/17), or by its id or six or more digits that it begins with" },
	{ "ambiguous_id", PL_EXIT_UNKNOWN, NULL },
	{ "unknown_recipient", PL_EXIT_UNKNOWN, "`parley peers` lists the nodes of the members" },
	{ "unknown_node", PL_EXIT_UNKNOWN, "`parley peers` lists the nodes" },
	{ "unknown_author", PL_EXIT_UNKNOWN, "`parley peers` lists the nodes" },
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

static enum pl_exit report_status(const struct exchange *exchange)
{
	long status = 0;
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	json_t *document = json_loadb(exchange->reply.chars == NULL ? "" : exchange->reply.chars, exchange->reply.count, 0, NULL);
	const json_t *error = json_object_get(document, "error");
	const char *code = pl_json_text(error, "code"), *message = pl_json_text(error, "message"), *hint = pl_json_text(error, "hint");
	enum pl_exit exit = exit_of_status(status);
	for (size_t i = 0; i < sizeof known_errors / sizeof *known_errors; i++) {
		if (strcmp(known_errors[i].code, code) == 0) {
			exit = known_errors[i].exit;
			hint = known_errors[i].hint == NULL || exchange->cli->json ? hint : known_errors[i].hint;
		}
	}
	if (message[0] == '\0')
		exit = pl_error(exchange->cli, exit, "is this the socket of a parleyd?", "the answer on %s has status %ld and says nothing more",
		                exchange->cli->client->socket, status);
	else
		exit = pl_error_coded(exchange->cli, exit, code, hint[0] == '\0' ? NULL : hint, message);
	json_decref(document);
	return exit;
}

static enum pl_exit perform(struct exchange *exchange)
{
	curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, exchange->headers);
	CURLcode code = curl_easy_perform(exchange->curl);
	switch ((int)code) {
	case CURLE_OK: return is_success(exchange) ? PL_EXIT_OK : report_status(exchange);
	case CURLE_COULDNT_CONNECT:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE: return pl_unreachable(exchange->cli);
	case CURLE_OPERATION_TIMEDOUT:
		return pl_error(exchange->cli, PL_EXIT_TIMEOUT, "it is stopped, or waits for its disk; its log and `ps` say more",
		                "parleyd runs, and does not answer");
	case CURLE_WRITE_ERROR:
		if (exchange->sink_failed)
			return PL_EXIT_FAILED; /* said when the sink is closed */
		if (exchange->reply.is_too_long)
			return pl_error(exchange->cli, PL_EXIT_FAILED, "ask for less with --limit", "the answer has more than %u MiB", REPLY_BYTES_MAX >> 20);
		break;
	default: break;
	}
	const char *why = exchange->why[0] == '\0' ? curl_easy_strerror(code) : exchange->why;
	return pl_error(exchange->cli, PL_EXIT_FAILED, NULL, "the call to parleyd failed: %s", why);
}

static enum pl_exit take_json(const struct exchange *exchange, json_t **out)
{
	json_error_t error;
	*out = json_loadb(exchange->reply.chars == NULL ? "" : exchange->reply.chars, exchange->reply.count, JSON_ALLOW_NUL, &error);
	if (*out == NULL)
		return pl_error(exchange->cli, PL_EXIT_FAILED, "is this the socket of a parleyd?", "the answer on %s is not JSON: %s",
		                exchange->cli->client->socket, error.text);
	return PL_EXIT_OK;
}

enum pl_exit pl_call(struct pl_cli *cli, const char *method, const char *path, json_t *body, json_t **out)
{
	struct exchange exchange = { 0 };
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
	json_decref(body);
	enum pl_exit exit = begin(&exchange, cli, method, path);
	if (exit == PL_EXIT_OK) {
		curl_easy_setopt(exchange.curl, CURLOPT_TIMEOUT_MS, (long)(strcmp(method, "GET") == 0 ? ASK_MS_MAX : CALL_MS_MAX));
		if (text != NULL)
			set_body(&exchange, "application/json", text, strlen(text));
		else if (strcmp(method, "POST") == 0)
			set_body(&exchange, "application/json", "{}", 2);
		exit = perform(&exchange);
	}
	if (exit == PL_EXIT_OK)
		exit = take_json(&exchange, out);
	end(&exchange);
	free(text);
	return exit;
}

enum pl_exit pl_call_bytes(struct pl_cli *cli, const char *path, const char *media_type, const void *bytes, size_t count,
                           struct pl_progress *progress, json_t **out)
{
	struct exchange exchange = { 0 };
	enum pl_exit exit = begin(&exchange, cli, "POST", path);
	if (exit == PL_EXIT_OK) {
		set_body(&exchange, media_type, bytes, count);
		set_transfer(&exchange, progress);
		exit = perform(&exchange);
	}
	if (exit == PL_EXIT_OK)
		exit = take_json(&exchange, out);
	end(&exchange);
	return exit;
}

static size_t to_sink(struct exchange *exchange, const char *chars, size_t count)
{
	exchange->sink_failed = !pl_sink_write(exchange->sink, chars, count);
	return exchange->sink_failed ? 0 : count;
}

enum pl_exit pl_call_download(struct pl_cli *cli, const char *path, struct pl_sink *sink, struct pl_progress *progress)
{
	struct exchange exchange = { .sink = sink, .on_success = to_sink };
	enum pl_exit exit = begin(&exchange, cli, "GET", path);
	if (exit == PL_EXIT_OK) {
		set_transfer(&exchange, progress);
		exit = perform(&exchange);
	}
	end(&exchange);
	return exit;
}

/* --- server-sent events (WHATWG HTML, section 9.2) --- */

struct events {
	void (*on_open)(void *ctx);
	pl_on_event on_event;
	void *ctx;
	struct bytes line, data;
	char event[64], id[64];
	bool is_stopped;
};

static bool take_line(struct events *events)
{
	char *line = events->line.chars, *value;
	size_t count = events->line.count;
	if (count > 0 && line[count - 1] == '\r')
		line[--count] = '\0';
	if (count == 0) {
		bool goes_on = true;
		if (events->data.count > 0) {
			events->data.chars[events->data.count - 1] = '\0'; /* the last line break is not part of it */
			goes_on = events->on_event(events->ctx, events->event[0] == '\0' ? "message" : events->event, events->data.chars, events->id);
		}
		events->data.count = 0;
		events->event[0] = '\0';
		return goes_on;
	}
	value = strchr(line, ':');
	if (value == line)
		return true; /* a comment, that keeps the connection alive */
	if (value != NULL) {
		*value++ = '\0';
		value += *value == ' ';
	} else {
		value = line + count;
	}
	if (strcmp(line, "event") == 0)
		snprintf(events->event, sizeof events->event, "%s", value);
	else if (strcmp(line, "id") == 0)
		snprintf(events->id, sizeof events->id, "%s", value);
	else if (strcmp(line, "data") == 0)
		return append(&events->data, value, strlen(value), EVENT_BYTES_MAX) && append(&events->data, "\n", 1, EVENT_BYTES_MAX);
	return true;
}

static size_t to_events(struct exchange *exchange, const char *chars, size_t count)
{
	struct events *events = exchange->ctx;
	for (size_t left = count; left > 0;) {
		const char *line_end = memchr(chars, '\n', left);
		size_t piece = line_end == NULL ? left : (size_t)(line_end - chars);
		if (!append(&events->line, chars, piece, EVENT_BYTES_MAX))
			return 0;
		if (line_end == NULL)
			break;
		bool goes_on = take_line(events);
		events->line.count = 0;
		if (!goes_on) {
			events->is_stopped = true;
			return 0;
		}
		chars += piece + 1;
		left -= piece + 1;
	}
	return count;
}

/* The empty line after the headers: from here on nothing that happens is missed. */
static size_t on_header(char *chars, size_t size, size_t count, void *ctx)
{
	struct exchange *exchange = ctx;
	const struct events *events = exchange->ctx;
	if (count * size <= 2 && (chars[0] == '\r' || chars[0] == '\n') && is_success(exchange))
		events->on_open(events->ctx);
	return count * size;
}

enum pl_exit pl_call_events(struct pl_cli *cli, const char *last_id, int64_t timeout_ms, void (*on_open)(void *ctx), pl_on_event on_event,
                            void *ctx)
{
	struct events events = { .on_open = on_open, .on_event = on_event, .ctx = ctx };
	struct exchange exchange = { .on_success = to_events, .ctx = &events };
	enum pl_exit exit = begin(&exchange, cli, "GET", "/v1/events");
	if (exit == PL_EXIT_OK) {
		add_header(&exchange, "Accept: text/event-stream");
		if (last_id[0] != '\0')
			add_header(&exchange, pl_format("Last-Event-ID: %s", last_id));
		curl_easy_setopt(exchange.curl, CURLOPT_HTTPHEADER, exchange.headers);
		curl_easy_setopt(exchange.curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
		curl_easy_setopt(exchange.curl, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(exchange.curl, CURLOPT_HEADERDATA, &exchange);
		CURLcode code = curl_easy_perform(exchange.curl);
		if (events.is_stopped)
			exit = PL_EXIT_OK;
		else if (code == CURLE_OPERATION_TIMEDOUT)
			exit = PL_EXIT_TIMEOUT;
		else if (code == CURLE_OK && !is_success(&exchange))
			exit = report_status(&exchange);
		else
			exit = PL_EXIT_UNREACHABLE;
	}
	free(events.line.chars);
	free(events.data.chars);
	end(&exchange);
	return exit;
}

/* --- fields --- */

const char *pl_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

uint64_t pl_json_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));
	return number < 0 ? 0 : (uint64_t)number;
}

bool pl_json_time(const json_t *object, const char *key, int64_t *ms)
{
	return pl_time_read(pl_json_text(object, key), ms);
}

char *pl_json_join(const json_t *strings, const char *separator)
{
	char *joined = pl_format("%s", "");
	size_t i;
	json_t *string;
	json_array_foreach(strings, i, string)
		joined = pl_format("%s%s%s", joined, i > 0 ? separator : "", json_is_string(string) ? json_string_value(string) : "?");
	return joined;
}
