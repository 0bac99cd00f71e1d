#include "node/conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "node/store/room.h"
#include "node/visible.h"

#define FILE_NAME "parley.conf"
#define FILE_BYTES_MAX (1u << 20) /* 768 peers with addresses and keys take 200 KiB */
#define LINE_BYTES_MAX 4096
#define SHOWN_BYTES 80            /* of a value in an error */
#define BLANK " \t"

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

enum type { TYPE_PATH, TYPE_SOCKET, TYPE_LISTEN, TYPE_PEER, TYPE_DIAL, TYPE_LEVEL, TYPE_FORMAT, TYPE_U16, TYPE_U32, TYPE_U64 };

static const char form_path[] = "a path, relative to the node's directory";
static const char form_optional_path[] = "a path, relative to the node's directory, or nothing";

struct key {
	struct pl_conf_key about;
	enum type type;
	size_t offset;
};

#define KEY(key_type, field, ...) { .type = (key_type), .offset = offsetof(struct pl_conf, field), .about = { __VA_ARGS__ } }
/* A burst below the largest entry would keep that entry waiting for ever. */
#define QUOTA(lane, what) \
	KEY(TYPE_U64, quota[lane].bytes_per_s, .name = "quota_lane" #lane "_bytes_per_s", \
	    .summary = "Bytes a second that one author may send on lane " #lane " (" what "), on average.", \
	    .default_text = TEXT_OF(PL_LANE##lane##_BYTES_PER_S), .min = 1024, .max = UINT64_C(1) << 40), \
	KEY(TYPE_U64, quota[lane].bytes_burst, .name = "quota_lane" #lane "_bytes_burst", \
	    .summary = "Bytes that one author may send on lane " #lane " at once, after a silence.", \
	    .default_text = TEXT_OF(PL_LANE##lane##_BYTES_BURST), .min = PL_ENTRY_HEADER_BYTES + PL_BODY_BYTES_MAX, .max = UINT64_C(1) << 40)

static const struct key keys[] = {
	KEY(TYPE_LISTEN, listen, .name = "listen", .form = "host:port or [IPv6 address]:port; at most 4 lines", .repeats = true, .default_text = "",
	    .summary = "Address to accept links from other nodes on. None: this node only dials out."),
	KEY(TYPE_PEER, peers, .name = "peer", .form = "NODE host:port [courier=FILE]; a further line for a node adds an address", .repeats = true,
	    .default_text = "",
	    .summary = "Dial this node there, whatever the charter says. courier=FILE names the key carried by hand between the two members."),
	KEY(TYPE_DIAL, dial_charter, .name = "dial", .form = "charter or configured", .default_text = "charter",
	    .summary = "Which nodes to dial: every one with an address in the charter, or those of the peer lines alone."),
	KEY(TYPE_PATH, charter_file, .name = "charter", .form = form_path, .default_text = "charter.plc",
	    .summary = "The charter of the network."),
	KEY(TYPE_PATH, key_file, .name = "key", .form = form_path, .default_text = "node.key", .summary = "The node's secret keys."),
	KEY(TYPE_PATH, passphrase_file, .name = "passphrase_file", .form = form_optional_path, .default_text = "",
	    .summary = "File whose first line is the passphrase of the keys. Without it the passphrase comes from the systemd credential "
	               "\"passphrase\", from $PARLEY_PASSPHRASE, or from the terminal."),
	KEY(TYPE_PATH, store_file, .name = "store", .form = form_path, .default_text = "store.db", .summary = "The database."),
	KEY(TYPE_SOCKET, socket_path, .name = "socket", .form = form_path, .default_text = "parley.sock",
	    .summary = "The Unix socket of the control API. The whole path has at most 107 bytes."),
	KEY(TYPE_LEVEL, log_level, .name = "log_level", .form = "error, warning, info or debug", .default_text = "info",
	    .summary = "The least important lines that are logged."),
	KEY(TYPE_FORMAT, log_json, .name = "log_format", .form = "text or json", .default_text = "text",
	    .summary = "Log lines for people, or one JSON object a line."),
	KEY(TYPE_U64, reserve_bytes, .name = "reserve_bytes", .default_text = TEXT_OF(PL_ROOM_RESERVE_BYTES), .min = 0, .max = UINT64_C(1) << 50,
	    .summary = "Room on the disk that bulk may not use: with less left, indicators and attachments wait; with half of it, all but urgent "
	               "messages. At most a tenth of the file system is kept so."),
	KEY(TYPE_U16, links_max, .name = "links_max", .default_text = TEXT_OF(PL_LINKS_MAX), .min = 1, .max = PL_LINKS_MAX,
	    .summary = "Links to other nodes at once. Memory grows with it."),
	KEY(TYPE_U32, flash_per_minute, .name = "quota_flash_per_minute", .default_text = TEXT_OF(PL_FLASH_PER_MINUTE), .min = 1, .max = 6000,
	    .summary = "FLASH messages a minute that one author may send with FLASH's right of way, on average."),
	KEY(TYPE_U32, flash_burst, .name = "quota_flash_burst", .default_text = TEXT_OF(PL_FLASH_BURST), .min = 1, .max = 6000,
	    .summary = "FLASH messages that one author may send at once, after a silence."),
	QUOTA(0, "control and urgent messages"),
	QUOTA(1, "other messages"),
	QUOTA(2, "indicators and attachments"),
};
#define KEYS_COUNT (sizeof keys / sizeof *keys)

const struct pl_conf_key *pl_conf_key(size_t index)
{
	return index < KEYS_COUNT ? &keys[index].about : NULL;
}

/* What is being read, for error sentences: "FILE:LINE: ", or nothing for a single value. */
struct reader {
	struct pl_conf *conf;
	const char *file;
	unsigned line;
	char *why;
	size_t why_max;
	unsigned seen[KEYS_COUNT]; /* line of the key's first appearance */
};

__attribute__((format(printf, 2, 3))) static enum pl_err fail(struct reader *reader, const char *format, ...)
{
	int length = 0;
	if (reader->file)
		length = snprintf(reader->why, reader->why_max, "%s:%u: ", reader->file, reader->line);
	if (length >= 0 && (size_t)length < reader->why_max) {
		va_list args;
		va_start(args, format);
		vsnprintf(reader->why + length, reader->why_max - (size_t)length, format, args);
		va_end(args);
	}
	return PL_ERR_FORMAT;
}

struct shown { char text[SHOWN_BYTES]; };
static struct shown show(const char *text)
{
	struct shown shown;
	pl_visible(text, strlen(text), shown.text, sizeof shown.text);
	return shown;
}

static enum pl_err fail_value(struct reader *reader, const struct key *key, const char *value)
{
	if (key->about.form)
		return fail(reader, "%s = %s: expected %s", key->about.name, show(value).text, key->about.form);
	return fail(reader, "%s = %s: expected a whole number from %" PRIu64 " to %" PRIu64, key->about.name, show(value).text, key->about.min,
	            key->about.max);
}

/* --- addresses --- */

static bool host_is_name(const char *host)
{
	size_t length = strlen(host);
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr("-._", host[i]))
			return false;
	return length > 0 && host[0] != '.' && host[0] != '-';
}

enum pl_err pl_address_split(const char *address, char *host, size_t host_max, uint16_t *port)
{
	const char *colon = strrchr(address, ':');
	if (!colon || strlen(address) > PL_ADDRESS_BYTES_MAX)
		return PL_ERR_FORMAT;
	const char *start = address, *end = colon;
	bool bracketed = address[0] == '[';
	if (bracketed) {
		start++;
		end--;
		if (end < start || *end != ']')
			return PL_ERR_FORMAT;
	}
	size_t length = (size_t)(end - start);
	char name[PL_ADDRESS_BYTES_MAX + 1];
	if (length == 0 || length >= host_max)
		return PL_ERR_FORMAT;
	memcpy(name, start, length);
	name[length] = '\0';
	struct in6_addr v6;
	if (bracketed ? inet_pton(AF_INET6, name, &v6) != 1 : !host_is_name(name))
		return PL_ERR_FORMAT;

	const char *digits = colon + 1;
	size_t digits_count = strlen(digits);
	if (digits_count == 0 || digits_count > 5 || strspn(digits, "0123456789") != digits_count)
		return PL_ERR_FORMAT;
	unsigned long number = strtoul(digits, NULL, 10);
	if (number > 65535)
		return PL_ERR_FORMAT;
	memcpy(host, name, length + 1);
	*port = (uint16_t)number;
	return PL_OK;
}

static bool address_is_good(const char *address)
{
	char host[PL_ADDRESS_BYTES_MAX + 1];
	uint16_t port;
	return pl_address_split(address, host, sizeof host, &port) == PL_OK && port != 0;
}

/* --- values --- */

/* Takes the quotes off "…" with \" and \\ inside, in place. false, and text as it was, where it is not exactly one quoted text, or a plain one
 * with a quote in it. */
static bool unquote(char *text)
{
	if (*text != '"')
		return !strchr(text, '"');
	char *from = text + 1, *to = text;
	while (*from && *from != '"') {
		if (*from == '\\' && *++from != '"' && *from != '\\')
			return false;
		from++;
	}
	if (from[0] != '"' || from[1] != '\0')
		return false;
	for (from = text + 1; *from != '"'; from++) {
		if (*from == '\\')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return true;
}

/* Ends the value where a comment starts (a # after a blank, outside quotes) and takes trailing blanks off. */
static void end_value(char *value)
{
	bool quoted = false;
	char *at = value;
	for (; *at; at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (quoted && *at == '\\' && at[1])
			at++;
		else if (!quoted && *at == '#' && (at == value || strchr(BLANK, at[-1])))
			break;
	}
	while (at > value && strchr(BLANK, at[-1]))
		at--;
	*at = '\0';
}

/* The next word of a value, ended in place; *rest moves on. Quotes hold a word together. NULL: no more. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, BLANK), *at = word;
	bool quoted = false;
	if (*word == '\0')
		return NULL;
	for (; *at && (quoted || !strchr(BLANK, *at)); at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (quoted && *at == '\\' && at[1])
			at++;
	}
	*rest = at + (*at != '\0');
	*at = '\0';
	return word;
}

static bool join(const char *dir, const char *path, char out[PL_PATH_BYTES_MAX])
{
	int length = path[0] == '/' || path[0] == '\0' ? snprintf(out, PL_PATH_BYTES_MAX, "%s", path)
	                                               : snprintf(out, PL_PATH_BYTES_MAX, "%s/%s", dir, path);
	return length >= 0 && length < PL_PATH_BYTES_MAX;
}

static enum pl_err set_path(struct reader *reader, const struct key *key, char *value, char *out)
{
	if (!unquote(value))
		return fail(reader, "%s = %s: quotes stand around the whole value, with \\\" and \\\\ inside", key->about.name, show(value).text);
	if (*value == '\0' && key->about.form != form_optional_path)
		return fail_value(reader, key, value);
	char path[PL_PATH_BYTES_MAX];
	if (!join(reader->conf->dir, value, path))
		return fail(reader, "%s = %s: with the directory in front this path has more than %d bytes", key->about.name, show(value).text,
		            PL_PATH_BYTES_MAX - 1);
	struct sockaddr_un address;
	if (key->type == TYPE_SOCKET && reader->file && strlen(path) >= sizeof address.sun_path)
		return fail(reader, "%s = %s: with the directory in front this path has %zu bytes, and a Unix socket's has at most %zu; expected a shorter one",
		            key->about.name, show(value).text, strlen(path), sizeof address.sun_path - 1);
	strcpy(out, path);
	return PL_OK;
}

static enum pl_err set_listen(struct reader *reader, const struct key *key, const char *value)
{
	struct pl_conf *conf = reader->conf;
	if (!address_is_good(value))
		return fail_value(reader, key, value);
	for (unsigned i = 0; i < conf->listen_count; i++)
		if (strcmp(conf->listen[i], value) == 0)
			return fail(reader, "listen = %s: stands twice", value);
	if (conf->listen_count == PL_LISTEN_MAX)
		return fail(reader, "listen = %s: more than %d addresses to listen on", value, PL_LISTEN_MAX);
	strcpy(conf->listen[conf->listen_count++], value);
	return PL_OK;
}

/* FIN, FIN.2, FIN.3: whether the charter has it shows when it is read. */
static bool node_name_is_good(const char *name)
{
	for (unsigned i = 0; i < 3; i++)
		if (!isupper((unsigned char)name[i]))
			return false;
	return name[3] == '\0' || (name[3] == '.' && name[4] >= '2' && name[4] <= '0' + PL_NODES_PER_MEMBER_MAX && name[5] == '\0');
}

static enum pl_err set_peer(struct reader *reader, const struct key *key, char *value)
{
	static const char courier_word[] = "courier=";
	struct pl_conf *conf = reader->conf;
	char whole[LINE_BYTES_MAX + 1];
	strcpy(whole, value);
	char *rest = value, *name = next_word(&rest), *address = next_word(&rest), *courier = next_word(&rest);
	if (!name || !address || next_word(&rest))
		return fail_value(reader, key, whole);
	if (!node_name_is_good(name))
		return fail(reader, "peer = %s: %s is not a node's name; expected one like CHE or CHE.2", show(whole).text, show(name).text);
	if (!address_is_good(address))
		return fail(reader, "peer = %s: %s is not an address; expected host:port or [IPv6 address]:port", show(whole).text, show(address).text);

	char courier_file[PL_PATH_BYTES_MAX] = "";
	if (courier) {
		char *file = courier + sizeof courier_word - 1;
		if (strncmp(courier, courier_word, sizeof courier_word - 1) != 0 || !unquote(file) || *file == '\0')
			return fail(reader, "peer = %s: expected courier=FILE after the address", show(whole).text);
		if (!join(conf->dir, file, courier_file))
			return fail(reader, "peer = %s: the courier key's path is too long", show(whole).text);
	}
	for (unsigned i = 0; i < conf->peers_count; i++) {
		const struct pl_peer_conf *other = &conf->peers[i];
		if (strcmp(other->node_name, name) != 0)
			continue;
		if (strcmp(other->address, address) == 0)
			return fail(reader, "peer = %s: this node stands with this address twice", show(whole).text);
		if (*courier_file && *other->courier_key_file && strcmp(other->courier_key_file, courier_file) != 0)
			return fail(reader, "peer = %s: two different courier keys for one node", show(whole).text);
	}
	if (conf->peers_count == PL_NODES_MAX)
		return fail(reader, "peer = %s: more than %d peer lines", show(whole).text, PL_NODES_MAX);
	struct pl_peer_conf *peer = &conf->peers[conf->peers_count++];
	memset(peer, 0, sizeof *peer);
	strcpy(peer->node_name, name);
	strcpy(peer->address, address);
	strcpy(peer->courier_key_file, courier_file);
	return PL_OK;
}

static bool read_number(const char *value, uint64_t *number)
{
	uint64_t n = 0;
	if (*value == '\0')
		return false;
	for (; *value; value++) {
		if (!isdigit((unsigned char)*value) || n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(*value - '0');
	}
	*number = n;
	return true;
}

static enum pl_err set(struct reader *reader, const struct key *key, char *value)
{
	struct pl_conf *conf = reader->conf;
	void *field = (char *)conf + key->offset;
	uint64_t number = 0;
	switch (key->type) {
	case TYPE_PATH:
	case TYPE_SOCKET:
		return set_path(reader, key, value, field);
	case TYPE_LISTEN:
		return set_listen(reader, key, value);
	case TYPE_PEER:
		return set_peer(reader, key, value);
	case TYPE_DIAL:
		conf->dial_charter = strcmp(value, "charter") == 0;
		return conf->dial_charter || strcmp(value, "configured") == 0 ? PL_OK : fail_value(reader, key, value);
	case TYPE_FORMAT:
		conf->log_json = strcmp(value, "json") == 0;
		return conf->log_json || strcmp(value, "text") == 0 ? PL_OK : fail_value(reader, key, value);
	case TYPE_LEVEL:
		for (enum pl_log_level level = PL_LOG_ERROR; level <= PL_LOG_DEBUG; level++) {
			if (strcmp(value, pl_log_level_name(level)) == 0) {
				conf->log_level = level;
				return PL_OK;
			}
		}
		return fail_value(reader, key, value);
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_U64:
		break;
	}
	if (!read_number(value, &number) || number < key->about.min || number > key->about.max)
		return fail_value(reader, key, value);
	if (key->type == TYPE_U16)
		*(uint16_t *)field = (uint16_t)number;
	else if (key->type == TYPE_U32)
		*(uint32_t *)field = (uint32_t)number;
	else
		*(uint64_t *)field = number;
	return PL_OK;
}

enum pl_err pl_conf_default(struct pl_conf *conf, const char *dir)
{
	memset(conf, 0, offsetof(struct pl_conf, peers));
	memset((char *)conf + offsetof(struct pl_conf, log_level), 0, sizeof *conf - offsetof(struct pl_conf, log_level));
	int length = snprintf(conf->dir, sizeof conf->dir, "%s", dir);
	if (length < 0 || (size_t)length >= sizeof conf->dir)
		return PL_ERR_LIMIT;
	char why[256];
	struct reader reader = { .conf = conf, .why = why, .why_max = sizeof why };
	for (size_t i = 0; i < KEYS_COUNT; i++) {
		char value[64];
		if (keys[i].about.repeats)
			continue;
		strcpy(value, keys[i].about.default_text);
		if (set(&reader, &keys[i], value) != PL_OK)
			return PL_ERR_LIMIT; /* the paths that the directory makes are too long */
	}
	return PL_OK;
}

/* --- the file --- */

/* Edit distance, for "did you mean"; names are short. */
static unsigned distance(const char *a, const char *b)
{
	enum { NAME_MAX_BYTES = 40 };
	size_t a_count = strlen(a), b_count = strlen(b);
	if (a_count > NAME_MAX_BYTES || b_count > NAME_MAX_BYTES)
		return UINT32_MAX;
	unsigned row[NAME_MAX_BYTES + 1];
	for (size_t j = 0; j <= b_count; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_count; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_count; j++) {
			unsigned best = diagonal + (tolower((unsigned char)a[i - 1]) != b[j - 1] && !(a[i - 1] == '-' && b[j - 1] == '_'));
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_count];
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < KEYS_COUNT; i++)
		if (strcmp(keys[i].about.name, name) == 0)
			return &keys[i];
	return NULL;
}

static enum pl_err fail_unknown(struct reader *reader, const char *name)
{
	const struct key *nearest = NULL;
	unsigned least = UINT32_MAX;
	for (size_t i = 0; i < KEYS_COUNT; i++) {
		unsigned d = distance(name, keys[i].about.name);
		if (d < least) {
			least = d;
			nearest = &keys[i];
		}
	}
	if (nearest && least <= 1 + strlen(nearest->about.name) / 4)
		fail(reader, "%s is not a key; did you mean %s?", show(name).text, nearest->about.name);
	else
		fail(reader, "%s is not a key; OPERATING.md, \"Configuration\", lists them", show(name).text);
	return PL_ERR_UNKNOWN;
}

static enum pl_err read_line(struct reader *reader, char *line, size_t length)
{
	if (length > 0 && line[length - 1] == '\r')
		line[--length] = '\0';
	if (length > LINE_BYTES_MAX)
		return fail(reader, "this line has %zu bytes; at most %d are read", length, LINE_BYTES_MAX);
	if (!pl_utf8_is_valid(line, length))
		return fail(reader, "not UTF-8");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
			return fail(reader, "a control character (\\x%02x) in column %zu", (unsigned)line[i], i + 1);

	char *name = line + strspn(line, BLANK);
	if (*name == '\0' || *name == '#')
		return PL_OK;
	char *equals = strchr(name, '=');
	if (!equals)
		return fail(reader, "%s: expected key = value", show(name).text);
	char *value = equals + 1 + strspn(equals + 1, BLANK);
	while (equals > name && strchr(BLANK, equals[-1]))
		equals--;
	*equals = '\0';

	const struct key *key = find_key(name);
	if (!key) {
		(void)fail_unknown(reader, name);
		return PL_ERR_FORMAT;
	}
	unsigned *seen = &reader->seen[key - keys];
	if (*seen && !key->about.repeats)
		return fail(reader, "%s stands here and in line %u; expected it once", key->about.name, *seen);
	*seen = reader->line;
	end_value(value);
	return set(reader, key, value);
}

static enum pl_err read_text(struct reader *reader, char *text, size_t count)
{
	static const char mark[] = "\xef\xbb\xbf"; /* what some editors put in front of UTF-8 */
	char *end = text + count;
	if (count >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0)
		text += sizeof mark - 1;
	while (text < end) {
		char *line_end = memchr(text, '\n', (size_t)(end - text));
		if (!line_end)
			line_end = end;
		*line_end = '\0';
		reader->line++;
		enum pl_err err = read_line(reader, text, (size_t)(line_end - text));
		if (err)
			return err;
		text = line_end + 1;
	}
	return PL_OK;
}

enum pl_err pl_conf_parse(struct pl_conf *conf, const char *dir, const char *file, char *text, size_t count, char *why, size_t why_max)
{
	if (pl_conf_default(conf, dir) != PL_OK) {
		snprintf(why, why_max, "the path of the node's directory has more than %d bytes", PL_PATH_BYTES_MAX - 64);
		return PL_ERR_FORMAT;
	}
	struct reader reader = { .conf = conf, .file = file, .why = why, .why_max = why_max };
	return read_text(&reader, text, count);
}

enum pl_err pl_conf_read(struct pl_conf *conf, const char *dir, char *why, size_t why_max)
{
	char path[PL_PATH_BYTES_MAX];
	if (!join(dir, FILE_NAME, path)) {
		snprintf(why, why_max, "the path of the node's directory is too long");
		return PL_ERR_FORMAT;
	}
	enum pl_err err = PL_OK;
	char *text = NULL;
	size_t count;
	FILE *file = fopen(path, "re");
	if (!file) {
		snprintf(why, why_max, "%s: %s%s", path, strerror(errno), errno == ENOENT ? "; `parley init` makes a node's directory" : "");
		return PL_ERR_IO;
	}
	text = malloc(FILE_BYTES_MAX + 2); /* a byte more than allowed, and a NUL */
	if (!text) {
		snprintf(why, why_max, "%s: out of memory", path);
		err = PL_ERR_MEMORY;
		goto done;
	}
	count = fread(text, 1, FILE_BYTES_MAX + 1, file);
	if (ferror(file)) {
		snprintf(why, why_max, "%s: %s", path, strerror(errno));
		err = PL_ERR_IO;
		goto done;
	}
	if (count > FILE_BYTES_MAX) {
		snprintf(why, why_max, "%s: over %u bytes", path, FILE_BYTES_MAX);
		err = PL_ERR_FORMAT;
		goto done;
	}
	err = pl_conf_parse(conf, dir, path, text, count, why, why_max);
done:
	free(text);
	fclose(file);
	return err;
}

enum pl_err pl_conf_check(const char *key_name, const char *value, char *why, size_t why_max)
{
	struct pl_conf *conf = malloc(sizeof *conf);
	if (!conf) {
		snprintf(why, why_max, "out of memory");
		return PL_ERR_MEMORY;
	}
	struct reader reader = { .conf = conf, .why = why, .why_max = why_max };
	const struct key *key = find_key(key_name);
	enum pl_err err;
	char text[LINE_BYTES_MAX + 1];
	size_t length = strlen(value);
	if (!key) {
		err = fail_unknown(&reader, key_name);
	} else if (length > LINE_BYTES_MAX / 2 || !pl_utf8_is_valid(value, length) || strcspn(value, "\n\r") != length) {
		err = fail_value(&reader, key, value);
	} else {
		err = pl_conf_default(conf, ".");
		strcpy(text, value);
		end_value(text);
		if (!err && strcmp(text, value) != 0) /* it would be read as something else */
			err = fail_value(&reader, key, value);
		if (!err)
			err = set(&reader, key, text);
	}
	free(conf);
	return err;
}

/* --- the template --- */

static void write_comment(FILE *out, const char *text)
{
	enum { COLUMNS = 100 };
	size_t column = 0;
	while (*text) {
		size_t word = strcspn(text, " ");
		if (column > 0 && column + 1 + word > COLUMNS) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : "# ", (int)word, text);
		text += word + (text[word] == ' ');
	}
	fputc('\n', out);
}

char *pl_conf_template(const char *listen, const char *const *peers, size_t peers_count)
{
	char why[16];
	if (listen && pl_conf_check("listen", listen, why, sizeof why) != PL_OK)
		return NULL;
	for (size_t i = 0; i < peers_count; i++)
		if (pl_conf_check("peer", peers[i], why, sizeof why) != PL_OK)
			return NULL;

	char *text = NULL;
	size_t count = 0;
	FILE *out = open_memstream(&text, &count);
	if (!out)
		return NULL;
	fputs("# Configuration of a Parley node. Lines that start with # are comments; the values in them are the defaults.\n"
	      "# Paths are relative to this directory. Quotes keep blanks and # in a value: key = \"my key #1.key\"\n"
	      "# node/OPERATING.md, \"Configuration\", says more.\n", out);
	for (size_t i = 0; i < KEYS_COUNT; i++) {
		const struct pl_conf_key *key = &keys[i].about;
		fputc('\n', out);
		write_comment(out, key->summary);
		if (key->form)
			fprintf(out, "# Value: %s\n", key->form);
		else
			fprintf(out, "# Value: %" PRIu64 " to %" PRIu64 "\n", key->min, key->max);
		if (keys[i].type == TYPE_LISTEN && listen)
			fprintf(out, "listen = %s\n", listen);
		else if (keys[i].type == TYPE_LISTEN)
			fputs("#listen = 0.0.0.0:7100\n", out);
		else if (keys[i].type == TYPE_PEER && peers_count)
			for (size_t j = 0; j < peers_count; j++)
				fprintf(out, "peer = %s\n", peers[j]);
		else if (keys[i].type == TYPE_PEER)
			fputs("#peer = CHE 192.0.2.7:7100\n", out);
		else
			fprintf(out, "#%s =%s%s\n", key->name, *key->default_text ? " " : "", key->default_text);
	}
	bool failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
