#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/messages.h"
#include "node/cli/papers.h"
#include "proto/content.h"
#include "proto/text.h"

#define DELIVERY_S 30 /* how long parleyd may take, if nothing else is said */
#define ID_BYTES 16
#define EXPIRY_MS_MAX 253402300799999 /* the end of the year 9999, the last that a time of the API can name */

/* --- what is sent, checked before anything is --- */

static bool is_listed(const json_t *strings, const char *one)
{
	size_t i;
	json_t *item;
	json_array_foreach(strings, i, item)
		if (strcmp(json_string_value(item), one) == 0)
			return true;
	return false;
}

/* "SGP, CHE", in either case, several times; one that is named twice counts once. */
static enum pl_exit take_members(const struct pl_cli *cli, const struct pl_args *args, const char *option, json_t *out)
{
	const char *value;
	for (size_t at = 0; (value = pl_args_each(args, option, &at)) != NULL;) {
		for (const char *code = value; *code != '\0';) {
			code += strspn(code, " ");
			size_t count = strcspn(code, ", ");
			char *one = pl_upper(pl_format("%.*s", (int)count, code));
			enum pl_exit exit = pl_paper_check_code(cli, one);
			if (exit != PL_EXIT_OK)
				return exit;
			if (!is_listed(out, one))
				json_array_append_new(out, json_string(one));
			code += count;
			code += strspn(code, " ");
			code += *code == ',';
		}
	}
	return PL_EXIT_OK;
}

static enum pl_exit check_text(const struct pl_cli *cli, const char *path, const struct pl_bytes *text, size_t bytes_max)
{
	const char *attach = "send it as a file: --attach FILE";
	const char *name = path == NULL || strcmp(path, "-") == 0 ? "stdin" : path;
	if (text->count > bytes_max)
		return pl_error(cli, PL_EXIT_INPUT, attach, "%s: the text has more than the %s bytes that %s", name, pl_count_text(bytes_max),
		                bytes_max == PL_FLASH_TEXT_BYTES_MAX ? "a FLASH message takes" : "a message takes");
	const uint8_t *zero = memchr(text->bytes, 0, text->count);
	if (zero != NULL)
		return pl_error(cli, PL_EXIT_INPUT, attach, "%s: is not text: byte %s is zero", name,
		                pl_count_text((uint64_t)(zero - text->bytes) + 1));
	for (size_t at = 0; at < text->count;) {
		uint32_t c;
		size_t length = pl_utf8_decode((const char *)text->bytes + at, text->count - at, &c);
		if (length == 0)
			return pl_error(cli, PL_EXIT_INPUT, attach, "%s: is not text in UTF-8: byte %s, \\x%02x", name, pl_count_text(at + 1),
			                (unsigned)text->bytes[at]);
		at += length;
	}
	return PL_EXIT_OK;
}

static enum pl_exit read_text(const struct pl_cli *cli, const char *path, size_t bytes_max, struct pl_bytes *out)
{
	if (path != NULL && strcmp(path, "-") != 0) {
		struct stat st;
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > bytes_max) {
			*out = (struct pl_bytes){ (const uint8_t *)"", (size_t)st.st_size };
			return check_text(cli, path, out, bytes_max);
		}
		enum pl_exit exit = pl_paper_read(cli, path, bytes_max, out);
		if (exit == PL_EXIT_OK && out->count == 0)
			pl_remark(cli, "%s is empty: only what else is given goes", path);
		return exit != PL_EXIT_OK ? exit : check_text(cli, path, out, bytes_max);
	}
	if (isatty(STDIN_FILENO))
		pl_remark(cli, "type the text; Ctrl-D on an empty line ends it, Ctrl-C sends nothing");
	uint8_t *bytes = pl_alloc(bytes_max + 1);
	size_t count = fread(bytes, 1, bytes_max + 1, stdin);
	if (ferror(stdin))
		return pl_error(cli, PL_EXIT_FAILED, NULL, "stdin: cannot be read: %s", strerror(errno));
	*out = (struct pl_bytes){ bytes, count };
	if (count == 0)
		pl_remark(cli, "there is no text: only what else is given goes");
	return check_text(cli, path, out, bytes_max);
}

static enum pl_exit take_expiry(const struct pl_cli *cli, const char *given, json_t *out)
{
	int64_t ms, now = pl_now_ms();
	uint64_t lasts_ms;
	if (pl_duration_read(given, &lasts_ms))
		ms = now + (int64_t)lasts_ms;
	else if (!pl_time_read(given, &ms))
		return pl_error(cli, PL_EXIT_USAGE, "a time like 2026-11-24T12:00:00Z, or from now: 45s 30m 2h 7d", "--expires cannot be \"%s\"", given);
	if (ms > EXPIRY_MS_MAX)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--expires %s: that is after the year 9999", given);
	if (ms <= now)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--expires %s: that is over already", given);
	json_object_set_new(out, "expires", json_string(pl_time_rfc3339(ms)));
	return PL_EXIT_OK;
}

static enum pl_exit take_line(const struct pl_cli *cli, const char *option, const char *text, size_t bytes_max, json_t *out,
                              const char *key)
{
	if (strlen(text) > bytes_max)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--%s has %zu bytes; at most %zu are possible", option, strlen(text), bytes_max);
	if (!pl_text_is_line(text, strlen(text)))
		return pl_error(cli, PL_EXIT_USAGE, NULL,
		                "--%s is one line of UTF-8, without control characters or marks that turn the writing direction: %s",
		                option, text);
	json_object_set_new(out, key, json_string(text));
	return PL_EXIT_OK;
}

/* --- attachments --- */

static const char *media_type(const char *name)
{
	static const char *const types[][2] = {
		{ "txt", "text/plain" }, { "log", "text/plain" }, { "csv", "text/csv" }, { "html", "text/html" }, { "md", "text/markdown" },
		{ "pdf", "application/pdf" }, { "json", "application/json" }, { "xml", "application/xml" }, { "zip", "application/zip" },
		{ "gz", "application/gzip" }, { "xz", "application/x-xz" }, { "pcap", "application/vnd.tcpdump.pcap" }, { "png", "image/png" },
		{ "jpg", "image/jpeg" }, { "jpeg", "image/jpeg" }, { "svg", "image/svg+xml" }, { "eml", "message/rfc822" },
		{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
		{ "odt", "application/vnd.oasis.opendocument.text" },
	};
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(*types); i++)
		if (strcasecmp(dot + 1, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? path : slash + 1;
}

/* Before the first octet moves: are they all there, and do they fit. */
static enum pl_exit check_attachments(const struct pl_cli *cli, const struct pl_args *args)
{
	const char *path;
	uint64_t total = 0;
	size_t count = 0;
	for (size_t at = 0; (path = pl_args_each(args, "attach", &at)) != NULL; count++) {
		struct stat st;
		if (count == PL_ATTACHMENTS_MAX)
			return pl_error(cli, PL_EXIT_INPUT, "put them into one archive", "a message has at most %d attachments", PL_ATTACHMENTS_MAX);
		if (stat(path, &st) != 0)
			return pl_error(cli, errno == ENOENT ? PL_EXIT_UNKNOWN : PL_EXIT_FAILED, NULL, "%s: cannot be read: %s", path, strerror(errno));
		if (!S_ISREG(st.st_mode))
			return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is not a file", path);
		if (!pl_text_is_line(base_name(path), strlen(base_name(path))))
			return pl_error(cli, PL_EXIT_INPUT, "rename it", "%s: its name is not one line of UTF-8, without control characters or marks that turn the writing direction",
			                path);
		total += (uint64_t)st.st_size;
		if (total > PL_ATTACHMENT_BYTES_MAX)
			return pl_error(cli, PL_EXIT_INPUT, "send them in several messages, or make them smaller",
			                "%s: with it the attachments have %s bytes; a message takes %s, which is %s bytes", path, pl_count_text(total),
			                pl_bytes_text(PL_ATTACHMENT_BYTES_MAX), pl_count_text(PL_ATTACHMENT_BYTES_MAX));
	}
	return PL_EXIT_OK;
}

static enum pl_exit hand_over_attachments(struct pl_delivery *delivery, const struct pl_args *args, json_t *tokens)
{
	const char *path;
	for (size_t at = 0; (path = pl_args_each(args, "attach", &at)) != NULL;) {
		struct pl_bytes bytes;
		json_t *reply;
		enum pl_exit exit = pl_paper_read(delivery->cli, path, PL_ATTACHMENT_BYTES_MAX, &bytes);
		if (exit == PL_EXIT_OK)
			exit = pl_delivery_attach(delivery, base_name(path), media_type(path), bytes.bytes, bytes.count, &reply);
		if (exit != PL_EXIT_OK)
			return exit;
		json_array_append(tokens, json_object_get(reply, "token"));
		json_decref(reply);
	}
	return PL_EXIT_OK;
}

static void print_attached(const struct pl_args *args)
{
	const char *path;
	unsigned n = 1;
	for (size_t at = 0; (path = pl_args_each(args, "attach", &at)) != NULL; n++) {
		struct stat st;
		const char *size = stat(path, &st) == 0 ? pl_bytes_text((uint64_t)st.st_size) : "?";
		pl_out_field("attached", "%u: \"%s\", %s; it follows the message", n, base_name(path), size);
	}
}

/* --- send --- */

/* The id under which it is sent once, however often it is asked for: the caller's, or a new one. */
static enum pl_exit take_id(const struct pl_cli *cli, const char *given, json_t *out)
{
	uint8_t id[ID_BYTES];
	if (given != NULL && (strlen(given) != 2 * ID_BYTES || strspn(given, "0123456789abcdef") != 2 * ID_BYTES))
		return pl_error(cli, PL_EXIT_USAGE, "as `parley send` has named it, or 32 hex digits of your own, chosen at random",
		                "--id cannot be \"%s\"", given);
	randombytes_buf(id, sizeof(id));
	json_object_set_new(out, "id", json_string(given != NULL ? given : pl_hex(id, sizeof(id))));
	return PL_EXIT_OK;
}

/* "Re: ", once, and what of the subject there is room for. */
static char *reply_subject(const char *subject)
{
	char *line = strncasecmp(subject, "Re: ", 4) == 0 ? pl_format("%s", subject) : pl_format("Re: %s", subject);
	if (strlen(line) > PL_SUBJECT_BYTES_MAX) {
		size_t end = PL_SUBJECT_BYTES_MAX;
		while (end > 0 && ((unsigned char)line[end] & 0xc0) == 0x80) /* not in the middle of a character */
			end--;
		line[end] = '\0';
	}
	return line;
}

/* What an answer takes from the message that it answers; the rest is as with others. */
static enum pl_exit take_answered(const struct pl_cli *cli, const struct pl_args *args, const json_t *answered, json_t *message)
{
	const char *subject = pl_args_get(args, "subject");
	if (strcmp(pl_json_text(answered, "box"), "in") != 0)
		return pl_error(cli, PL_EXIT_REFUSED, "`parley send --reply-to` goes on from it to whom you name", "%s is a message of this node's own member",
		                pl_json_text(answered, "ref"));
	json_array_append_new(json_object_get(message, "to"), json_string(pl_json_text(answered, "from")));
	if (subject == NULL)
		json_object_set_new(message, "subject", json_string(reply_subject(pl_json_text(answered, "subject"))));
	json_object_set_new(message, "reply_to", json_string(pl_json_text(answered, "ref")));
	if (json_is_true(json_object_get(answered, "exercise")))
		json_object_set_new(message, "exercise", json_true());
	return PL_EXIT_OK;
}

/* answered: of a reply; or NULL. */
static enum pl_exit compose(struct pl_delivery *delivery, const struct pl_args *args, const json_t *answered, json_t *message)
{
	struct pl_cli *cli = delivery->cli;
	const char *precedence = pl_args_get(args, "precedence"), *expires = pl_args_get(args, "expires"), *subject = pl_args_get(args, "subject"),
	           *reply_to = pl_args_get(args, "reply-to"), *operator_name = pl_args_get(args, "operator");
	json_t *to = json_array(), *info = json_array(), *tokens = json_array();
	struct pl_bytes text;
	if (precedence == NULL)
		precedence = answered == NULL ? "routine" : pl_json_text(answered, "precedence");
	json_object_set_new(message, "to", to);
	json_object_set_new(message, "info", info);
	json_object_set_new(message, "precedence", json_string(precedence));
	if (pl_args_has(args, "exercise"))
		json_object_set_new(message, "exercise", json_true());
	enum pl_exit exit = take_id(cli, pl_args_get(args, "id"), message);
	if (exit == PL_EXIT_OK)
		exit = answered == NULL ? take_members(cli, args, "to", to) : take_answered(cli, args, answered, message);
	if (exit == PL_EXIT_OK)
		exit = take_members(cli, args, "info", info);
	if (exit == PL_EXIT_OK && subject != NULL)
		exit = take_line(cli, "subject", subject, PL_SUBJECT_BYTES_MAX, message, "subject");
	if (exit == PL_EXIT_OK && operator_name != NULL)
		exit = take_line(cli, "operator", operator_name, PL_NAME_BYTES_MAX, message, "operator");
	if (exit == PL_EXIT_OK && reply_to != NULL)
		exit = take_line(cli, "reply-to", reply_to, PL_NAME_BYTES_MAX, message, "reply_to");
	if (exit == PL_EXIT_OK && expires != NULL)
		exit = take_expiry(cli, expires, message);
	if (exit == PL_EXIT_OK)
		exit = check_attachments(cli, args);
	if (exit == PL_EXIT_OK)
		exit = read_text(cli, pl_args_operand(args, answered == NULL ? 0 : 1),
		                 strcmp(precedence, "flash") == 0 ? PL_FLASH_TEXT_BYTES_MAX : PL_TEXT_BYTES_MAX, &text);
	if (exit == PL_EXIT_OK)
		exit = hand_over_attachments(delivery, args, tokens);
	if (exit == PL_EXIT_OK) {
		json_object_set_new(message, "text", json_stringn((const char *)text.bytes, text.count));
		if (json_array_size(tokens) > 0)
			json_object_set(message, "attachments", tokens);
	}
	json_decref(tokens);
	return exit;
}

static void print_sent(const struct pl_args *args, const json_t *sent)
{
	pl_out_field("sent", "%s to %s, message %s", pl_json_text(sent, "ref"), pl_json_join(json_object_get(sent, "to"), ", "),
	             pl_json_text(sent, "id"));
	pl_out_field("", "%s on this node's disk; it goes on by itself", pl_bytes_text(pl_json_number(sent, "bytes")));
	print_attached(args);
}

static enum pl_exit deliver(struct pl_cli *cli, const struct pl_args *args, const json_t *answered)
{
	json_t *message = json_object(), *sent = NULL, *receipts = NULL;
	struct pl_delivery delivery;
	pl_delivery_begin(&delivery, cli, pl_args_number(args, "timeout", DELIVERY_S));
	enum pl_exit exit = compose(&delivery, args, answered, message);
	if (exit == PL_EXIT_OK)
		exit = pl_delivery_send(&delivery, message, &sent);
	json_decref(message);
	if (exit != PL_EXIT_OK)
		return exit;
	if (cli->quiet && !cli->json)
		pl_out("%s\n", pl_json_text(sent, "ref"));
	else if (!cli->json)
		print_sent(args, sent);
	if (json_array_size(json_object_get(sent, "no_key")) > 0)
		pl_remark(cli, "not sealed to %s, which cannot read it: no key is known of it that is valid now",
		          pl_json_join(json_object_get(sent, "no_key"), ", "));
	if (json_is_false(json_object_get(sent, "listed")))
		pl_remark(cli, "this node's disk is full: it is sent, and shows in the outbox once there is room; do not send it again");
	if (fflush(stdout) == 0 && pl_args_has(args, "wait"))
		exit = pl_delivery_wait(cli, args, sent, &receipts);
	if (cli->json) {
		if (receipts != NULL)
			json_object_set(sent, "receipts", receipts);
		pl_out_json(json_incref(sent));
	} else if (receipts != NULL && !cli->quiet) {
		pl_print_receipts(receipts);
	}
	if (exit == PL_EXIT_OK && (fflush(stdout) != 0 || ferror(stdout)))
		exit = pl_error(cli, PL_EXIT_FAILED, "do not send it again", "it is sent, as %s; only the output cannot be written: %s",
		                pl_json_text(sent, "ref"), strerror(errno));
	json_decref(sent);
	json_decref(receipts);
	return exit;
}

enum pl_exit pl_run_send(struct pl_cli *cli, const struct pl_args *args)
{
	return deliver(cli, args, NULL);
}

enum pl_exit pl_run_reply(struct pl_cli *cli, const struct pl_args *args)
{
	json_t *answered;
	enum pl_exit exit = pl_call(cli, "GET", pl_path("/v1/messages/%s", pl_args_operand(args, 0)), NULL, &answered);
	if (exit != PL_EXIT_OK)
		return exit;
	exit = deliver(cli, args, answered);
	json_decref(answered);
	return exit;
}

/* What both have. */
#define OPTION_INFO \
	{ .name = "info", .value = PL_VALUE_MEMBER, .value_name = "CODE[,CODE]", .repeats = true, .help = "members who get it for information" }
#define OPTIONS_OF_CONTENT \
	{ .name = "attach", .letter = 'a', .value = PL_VALUE_FILE, .value_name = "FILE", .repeats = true, \
	  .help = "a file that goes with it; 16 MiB all together" }, \
	{ .name = "expires", .value = PL_VALUE_TEXT, .value_name = "TIME", \
	  .help = "when it loses its meaning: 2026-11-24T12:00:00Z, or 2h from now" }
#define OPTIONS_OF_SENDING \
	{ .name = "exercise", .help = "mark it as part of an exercise" }, \
	{ .name = "wait", .value = PL_VALUE_CHOICE, .value_name = "RECEIPT", .choices = "stored|decrypted|read|accepted", \
	  .help = "end when every recipient has sent this receipt" }, \
	{ .name = "timeout", .value = PL_VALUE_NUMBER, .value_name = "SECONDS", .min = 1, .max = 604800, \
	  .help = "how long to wait: for parleyd, 30 if not given; with --wait for receipts too, 600; then exit code 8, and the message " \
	          "still goes on" }, \
	{ .name = "id", .value = PL_VALUE_TEXT, .value_name = "ID", \
	  .help = "send under this message id; what was sent under it is not sent again" }

const struct pl_option pl_send_options[] = {
	{ .name = "to", .letter = 't', .value = PL_VALUE_MEMBER, .value_name = "CODE[,CODE]", .required = true, .repeats = true,
	  .help = "members who are to act on it" },
	OPTION_INFO,
	{ .name = "precedence", .letter = 'p', .value = PL_VALUE_CHOICE, .value_name = "P", .choices = "routine|priority|immediate|flash",
	  .help = "how urgent it is; routine if not given" },
	{ .name = "subject", .letter = 's', .value = PL_VALUE_TEXT, .value_name = "TEXT", .required = true, .help = "one line" },
	OPTIONS_OF_CONTENT,
	{ .name = "reply-to", .value = PL_VALUE_MESSAGE, .value_name = "ID", .help = "the message that this answers" },
	OPTIONS_OF_SENDING,
	PL_OPTION_OPERATOR,
	{ 0 },
};

const struct pl_option pl_reply_options[] = {
	OPTION_INFO,
	{ .name = "precedence", .letter = 'p', .value = PL_VALUE_CHOICE, .value_name = "P", .choices = "routine|priority|immediate|flash",
	  .help = "how urgent it is; as the message if not given" },
	{ .name = "subject", .letter = 's', .value = PL_VALUE_TEXT, .value_name = "TEXT", .help = "one line; Re: and the subject of the message if not given" },
	OPTIONS_OF_CONTENT,
	OPTIONS_OF_SENDING,
	PL_OPTION_OPERATOR,
	{ 0 },
};
