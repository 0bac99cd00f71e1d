#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/conf_impl.h"
#include "node/nearest.h"
#include "node/store/room.h"
#include "node/store/store.h"
#include "node/visible.h"

#define FILE_NAME "parley.conf"
#define FILE_BYTES_MAX (1u << 20) /* 768 peers with addresses and keys take 200 KiB */

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

static const char form_path[] = "a path, relative to the node's directory";

#define KEY(key_type, field, ...) { .type = (key_type), .offset = offsetof(struct pl_conf, field), .about = { __VA_ARGS__ } }
/* A burst below the largest entry would keep that entry waiting for ever. */
#define QUOTA(lane, what) \
	KEY(PL_CONF_U64, quota[lane].bytes_per_s, .name = "quota_lane" #lane "_bytes_per_s", \
	    .summary = "Bytes a second that one author may send on lane " #lane " (" what "), on average.", \
	    .default_text = TEXT_OF(PL_LANE##lane##_BYTES_PER_S), .min = 1024, .max = UINT64_C(1) << 40), \
	KEY(PL_CONF_U64, quota[lane].bytes_burst, .name = "quota_lane" #lane "_bytes_burst", \
	    .summary = "Bytes that one author may send on lane " #lane " at once, after a silence.", \
	    .default_text = TEXT_OF(PL_LANE##lane##_BYTES_BURST), .min = PL_ENTRY_HEADER_BYTES + PL_BODY_BYTES_MAX, .max = UINT64_C(1) << 40)

static const struct pl_conf_entry keys[] = {
	KEY(PL_CONF_LISTEN, listen, .name = "listen", .form = "host:port or [IPv6 address]:port; at most 4 lines", .repeats = true,
	    .default_text = "",
	    .summary = "Address to accept links from other nodes on. None: this node only dials out."),
	KEY(PL_CONF_PEER, peers, .name = "peer", .form = "NODE host:port [courier=FILE] or NODE courier=FILE; a further line for a node adds an address",
	    .repeats = true,
	    .default_text = "",
	    .summary = "Dial this node there, whatever the charter says. courier=FILE names the key carried by hand between the two members."),
	KEY(PL_CONF_DIAL, dial_charter, .name = "dial", .form = "charter or configured", .default_text = "charter",
	    .summary = "Which nodes to dial: every one with an address in the charter, or those of the peer lines alone."),
	KEY(PL_CONF_PATH, charter_file, .name = "charter", .form = form_path, .default_text = "charter.plc",
	    .summary = "The charter of the network."),
	KEY(PL_CONF_PATH, key_file, .name = "key", .form = form_path, .default_text = "node.key", .summary = "The node's secret keys."),
	KEY(PL_CONF_OPTIONAL_PATH, passphrase_file, .name = "passphrase_file", .form = "a path, relative to the node's directory, or nothing",
	    .default_text = "",
	    .summary = "File whose first line is the passphrase of the keys. Without it the passphrase comes from the systemd credential "
	               "\"passphrase\", from $PARLEY_PASSPHRASE, or from the terminal."),
	KEY(PL_CONF_PATH, store_file, .name = "store", .form = form_path, .default_text = "store.db", .summary = "The database."),
	KEY(PL_CONF_SOCKET, socket_path, .name = "socket", .form = form_path, .default_text = "parley.sock",
	    .summary = "The Unix socket of the control API. The whole path has at most 107 bytes."),
	KEY(PL_CONF_LEVEL, log_level, .name = "log_level", .form = "error, warning, info or debug", .default_text = "info",
	    .summary = "The least important lines that are logged."),
	KEY(PL_CONF_FORMAT, log_json, .name = "log_format", .form = "text or json", .default_text = "text",
	    .summary = "Log lines for people, or one JSON object a line."),
	KEY(PL_CONF_U64, reserve_bytes, .name = "reserve_bytes", .default_text = TEXT_OF(PL_ROOM_RESERVE_BYTES), .min = 0,
	    .max = UINT64_C(1) << 50,
	    .summary = "Room on the disk that bulk may not use: with less left, indicators and attachments wait; with half of it, all but urgent "
	               "messages. At most a tenth of the file system is kept so."),
	KEY(PL_CONF_U16, member_percent, .name = "member_percent", .default_text = TEXT_OF(PL_ROOM_MEMBER_PERCENT), .min = 1, .max = 100,
	    .summary = "The most of the disk, less what is reserved, that the entries of one member may take in each lane; more of them waits with "
	               "those who hold them. 100: no limit."),
	KEY(PL_CONF_U64, scrub_bytes_per_s, .name = "scrub_bytes_per_s", .default_text = TEXT_OF(PL_STORE_SCRUB_BYTES_PER_S), .min = 0,
	    .max = UINT64_C(1) << 30,
	    .summary = "How fast the store is read in search of damage, about once a day, while nothing else is to be done. 0: not at all."),
	KEY(PL_CONF_U16, links_max, .name = "links_max", .default_text = TEXT_OF(PL_LINKS_MAX), .min = 1, .max = PL_LINKS_MAX,
	    .summary = "Links to other nodes at once. Memory grows with it."),
	KEY(PL_CONF_U32, flash_per_minute, .name = "quota_flash_per_minute", .default_text = TEXT_OF(PL_FLASH_PER_MINUTE), .min = 1,
	    .max = 6000,
	    .summary = "FLASH messages a minute that one author may send with FLASH's right of way, on average."),
	KEY(PL_CONF_U32, flash_burst, .name = "quota_flash_burst", .default_text = TEXT_OF(PL_FLASH_BURST), .min = 1, .max = 6000,
	    .summary = "FLASH messages that one author may send at once, after a silence."),
	QUOTA(0, "control and urgent messages"),
	QUOTA(1, "other messages"),
	QUOTA(2, "indicators and attachments"),
};
#define KEYS_COUNT (sizeof(keys) / sizeof(*keys))

const struct pl_conf_key *pl_conf_key(size_t index)
{
	return index < KEYS_COUNT ? &keys[index].about : NULL;
}

enum pl_err pl_conf_default(struct pl_conf *conf, const char *dir)
{
	memset(conf, 0, offsetof(struct pl_conf, peers));
	memset((char *)conf + offsetof(struct pl_conf, log_level), 0, sizeof(*conf) - offsetof(struct pl_conf, log_level));
	int length = snprintf(conf->dir, sizeof(conf->dir), "%s", dir);
	if (length < 0 || (size_t)length >= sizeof(conf->dir))
		return PL_ERR_LIMIT;
	char why[256];
	struct pl_conf_reader reader = { .conf = conf, .why = why, .why_max = sizeof(why) };
	for (size_t i = 0; i < KEYS_COUNT; i++) {
		char value[64];
		if (keys[i].about.repeats)
			continue;
		strcpy(value, keys[i].about.default_text);
		if (pl_conf_set(&reader, &keys[i], value) != PL_OK)
			return PL_ERR_LIMIT; /* the paths that the directory makes are too long */
	}
	return PL_OK;
}

/* --- the file --- */

static const struct pl_conf_entry *find_key(const char *name)
{
	for (size_t i = 0; i < KEYS_COUNT; i++)
		if (strcmp(keys[i].about.name, name) == 0)
			return &keys[i];
	return NULL;
}

static enum pl_err fail_unknown(struct pl_conf_reader *reader, const char *name)
{
	const char *names[KEYS_COUNT];
	for (size_t i = 0; i < KEYS_COUNT; i++)
		names[i] = keys[i].about.name;
	const char *nearest = pl_nearest(name, names, KEYS_COUNT);
	if (nearest)
		pl_conf_fail(reader, "%s is not a key; did you mean %s?", pl_conf_show(name).text, nearest);
	else
		pl_conf_fail(reader, "%s is not a key; OPERATING.md, \"Configuration\", lists them", pl_conf_show(name).text);
	return PL_ERR_UNKNOWN;
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
		else if (!quoted && *at == '#' && (at == value || strchr(PL_CONF_BLANK, at[-1])))
			break;
	}
	while (at > value && strchr(PL_CONF_BLANK, at[-1]))
		at--;
	*at = '\0';
}

static enum pl_err read_line(struct pl_conf_reader *reader, char *line, size_t length)
{
	if (length > 0 && line[length - 1] == '\r')
		line[--length] = '\0';
	if (length > PL_CONF_LINE_BYTES_MAX)
		return pl_conf_fail(reader, "this line has %zu bytes; at most %d are read", length, PL_CONF_LINE_BYTES_MAX);
	if (!pl_utf8_is_valid(line, length))
		return pl_conf_fail(reader, "not UTF-8");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
			return pl_conf_fail(reader, "a control character (\\x%02x) in column %zu", (unsigned)line[i], i + 1);

	char *name = line + strspn(line, PL_CONF_BLANK);
	if (*name == '\0' || *name == '#')
		return PL_OK;
	char *equals = strchr(name, '=');
	if (!equals)
		return pl_conf_fail(reader, "%s: expected key = value", pl_conf_show(name).text);
	char *value = equals + 1 + strspn(equals + 1, PL_CONF_BLANK);
	while (equals > name && strchr(PL_CONF_BLANK, equals[-1]))
		equals--;
	*equals = '\0';

	if (*name == '\0')
		return pl_conf_fail(reader, "there is no key in front of the =; expected key = value");
	const struct pl_conf_entry *key = find_key(name);
	if (!key) {
		(void)fail_unknown(reader, name);
		return PL_ERR_FORMAT;
	}
	unsigned *seen = &reader->seen[key - keys];
	if (*seen && !key->about.repeats)
		return pl_conf_fail(reader, "%s stands here and in line %u; expected it once", key->about.name, *seen);
	*seen = reader->line;
	end_value(value);
	return pl_conf_set(reader, key, value);
}

static enum pl_err read_text(struct pl_conf_reader *reader, char *text, size_t count)
{
	static const char mark[] = "\xef\xbb\xbf"; /* what some editors put in front of UTF-8 */
	char *end = text + count;
	if (count >= sizeof(mark) - 1 && memcmp(text, mark, sizeof(mark) - 1) == 0)
		text += sizeof(mark) - 1;
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
	unsigned seen[KEYS_COUNT] = { 0 };
	struct pl_conf_reader reader = { .conf = conf, .file = file, .why = why, .why_max = why_max, .seen = seen };
	return read_text(&reader, text, count);
}

enum pl_err pl_conf_read(struct pl_conf *conf, const char *dir, char *why, size_t why_max)
{
	char path[PL_PATH_BYTES_MAX];
	if (!pl_conf_join(dir, FILE_NAME, path)) {
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
	struct pl_conf *conf = malloc(sizeof(*conf));
	if (!conf) {
		snprintf(why, why_max, "out of memory");
		return PL_ERR_MEMORY;
	}
	struct pl_conf_reader reader = { .conf = conf, .why = why, .why_max = why_max };
	const struct pl_conf_entry *key = find_key(key_name);
	enum pl_err err;
	char text[PL_CONF_LINE_BYTES_MAX + 1];
	size_t length = strlen(value);
	if (!key) {
		err = fail_unknown(&reader, key_name);
	} else if (length > PL_CONF_LINE_BYTES_MAX / 2 || !pl_utf8_is_valid(value, length) || strcspn(value, "\n\r") != length) {
		err = pl_conf_fail_value(&reader, key, value);
	} else {
		err = pl_conf_default(conf, ".");
		strcpy(text, value);
		end_value(text);
		if (!err && strcmp(text, value) != 0) /* it would be read as something else */
			err = pl_conf_fail_value(&reader, key, value);
		if (!err)
			err = pl_conf_set(&reader, key, text);
	}
	free(conf);
	return err;
}
