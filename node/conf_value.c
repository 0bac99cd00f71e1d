#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "node/conf_impl.h"
#include "node/visible.h"

enum pl_err pl_conf_fail(struct pl_conf_reader *reader, const char *format, ...)
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

struct pl_conf_shown pl_conf_show(const char *text)
{
	struct pl_conf_shown shown;
	pl_visible(text, strlen(text), shown.text, sizeof(shown.text));
	return shown;
}

enum pl_err pl_conf_fail_value(struct pl_conf_reader *reader, const struct pl_conf_entry *key, const char *value)
{
	if (key->about.form)
		return pl_conf_fail(reader, "%s = %s: expected %s", key->about.name, pl_conf_show(value).text, key->about.form);
	return pl_conf_fail(reader, "%s = %s: expected a whole number from %" PRIu64 " to %" PRIu64, key->about.name, pl_conf_show(value).text,
	                    key->about.min,
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
	return pl_address_split(address, host, sizeof(host), &port) == PL_OK && port != 0;
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

/* The next word of a value, ended in place; *rest moves on. Quotes hold a word together. NULL: no more. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, PL_CONF_BLANK), *at = word;
	bool quoted = false;
	if (*word == '\0')
		return NULL;
	for (; *at && (quoted || !strchr(PL_CONF_BLANK, *at)); at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (quoted && *at == '\\' && at[1])
			at++;
	}
	*rest = at + (*at != '\0');
	*at = '\0';
	return word;
}

bool pl_conf_join(const char *dir, const char *path, char out[PL_PATH_BYTES_MAX])
{
	int length = path[0] == '/' || path[0] == '\0' ? snprintf(out, PL_PATH_BYTES_MAX, "%s", path)
	                                               : snprintf(out, PL_PATH_BYTES_MAX, "%s/%s", dir, path);
	return length >= 0 && length < PL_PATH_BYTES_MAX;
}

static enum pl_err set_path(struct pl_conf_reader *reader, const struct pl_conf_entry *key, char *value, char *out)
{
	if (!unquote(value))
		return pl_conf_fail(reader, "%s = %s: quotes stand around the whole value, with \\\" and \\\\ inside", key->about.name,
		                    pl_conf_show(value).text);
	if (*value == '\0' && key->type != PL_CONF_OPTIONAL_PATH)
		return pl_conf_fail_value(reader, key, value);
	char path[PL_PATH_BYTES_MAX];
	if (!pl_conf_join(reader->conf->dir, value, path))
		return pl_conf_fail(reader, "%s = %s: with the directory in front this path has more than %d bytes", key->about.name,
		                    pl_conf_show(value).text,
		                    PL_PATH_BYTES_MAX - 1);
	struct sockaddr_un address;
	if (key->type == PL_CONF_SOCKET && reader->file && strlen(path) >= sizeof(address.sun_path))
		return pl_conf_fail(reader,
		                    "%s = %s: with the directory in front this path has %zu bytes, and a Unix socket's has at most %zu;"
		                    " expected a shorter one",
		                    key->about.name, pl_conf_show(value).text, strlen(path), sizeof(address.sun_path) - 1);
	strcpy(out, path);
	return PL_OK;
}

static enum pl_err set_listen(struct pl_conf_reader *reader, const struct pl_conf_entry *key, const char *value)
{
	struct pl_conf *conf = reader->conf;
	if (!address_is_good(value))
		return pl_conf_fail_value(reader, key, value);
	for (unsigned i = 0; i < conf->listen_count; i++)
		if (strcmp(conf->listen[i], value) == 0)
			return pl_conf_fail(reader, "listen = %s: stands twice", value);
	if (conf->listen_count == PL_LISTEN_MAX)
		return pl_conf_fail(reader, "listen = %s: more than %d addresses to listen on", value, PL_LISTEN_MAX);
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

static enum pl_err set_peer(struct pl_conf_reader *reader, const struct pl_conf_entry *key, char *value)
{
	static const char courier_word[] = "courier=";
	struct pl_conf *conf = reader->conf;
	char whole[PL_CONF_LINE_BYTES_MAX + 1];
	strcpy(whole, value);
	char *rest = value, *name = next_word(&rest), *address = next_word(&rest), *courier = next_word(&rest);
	if (!name || !address || next_word(&rest))
		return pl_conf_fail_value(reader, key, whole);
	/* Who only listens to a node may share a key with it. */
	if (!courier && strncmp(address, courier_word, sizeof(courier_word) - 1) == 0) {
		courier = address;
		address = NULL;
	}
	if (!node_name_is_good(name))
		return pl_conf_fail(reader, "peer = %s: %s is not a node's name; expected one like CHE or CHE.2", pl_conf_show(whole).text,
		                    pl_conf_show(name).text);
	if (address && !address_is_good(address))
		return pl_conf_fail(reader, "peer = %s: %s is not an address; expected host:port or [IPv6 address]:port", pl_conf_show(whole).text,
		                    pl_conf_show(address).text);

	char courier_file[PL_PATH_BYTES_MAX] = "";
	if (courier) {
		char *file = courier + sizeof(courier_word) - 1;
		if (strncmp(courier, courier_word, sizeof(courier_word) - 1) != 0 || !unquote(file) || *file == '\0')
			return pl_conf_fail(reader, "peer = %s: expected courier=FILE after the address", pl_conf_show(whole).text);
		if (!pl_conf_join(conf->dir, file, courier_file))
			return pl_conf_fail(reader, "peer = %s: the courier key's path is too long", pl_conf_show(whole).text);
	}
	for (unsigned i = 0; i < conf->peers_count; i++) {
		const struct pl_peer_conf *other = &conf->peers[i];
		if (strcmp(other->node_name, name) != 0)
			continue;
		if (strcmp(other->address, address ? address : "") == 0)
			return pl_conf_fail(reader, "peer = %s: this node stands with this address twice", pl_conf_show(whole).text);
		if (*courier_file && *other->courier_key_file && strcmp(other->courier_key_file, courier_file) != 0)
			return pl_conf_fail(reader, "peer = %s: two different courier keys for one node", pl_conf_show(whole).text);
	}
	if (conf->peers_count == PL_NODES_MAX)
		return pl_conf_fail(reader, "peer = %s: more than %d peer lines", pl_conf_show(whole).text, PL_NODES_MAX);
	struct pl_peer_conf *peer = &conf->peers[conf->peers_count++];
	memset(peer, 0, sizeof(*peer));
	peer->line = reader->line;
	strcpy(peer->node_name, name);
	strcpy(peer->address, address ? address : "");
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

enum pl_err pl_conf_set(struct pl_conf_reader *reader, const struct pl_conf_entry *key, char *value)
{
	struct pl_conf *conf = reader->conf;
	void *field = (char *)conf + key->offset;
	uint64_t number = 0;
	switch (key->type) {
	case PL_CONF_PATH:
	case PL_CONF_OPTIONAL_PATH:
	case PL_CONF_SOCKET:
		return set_path(reader, key, value, field);
	case PL_CONF_LISTEN:
		return set_listen(reader, key, value);
	case PL_CONF_PEER:
		return set_peer(reader, key, value);
	case PL_CONF_DIAL:
		conf->dial_charter = strcmp(value, "charter") == 0;
		return conf->dial_charter || strcmp(value, "configured") == 0 ? PL_OK : pl_conf_fail_value(reader, key, value);
	case PL_CONF_FORMAT:
		conf->log_json = strcmp(value, "json") == 0;
		return conf->log_json || strcmp(value, "text") == 0 ? PL_OK : pl_conf_fail_value(reader, key, value);
	case PL_CONF_LEVEL:
		for (enum pl_log_level level = PL_LOG_ERROR; level <= PL_LOG_DEBUG; level++) {
			if (strcmp(value, pl_log_level_name(level)) == 0) {
				conf->log_level = level;
				return PL_OK;
			}
		}
		return pl_conf_fail_value(reader, key, value);
	case PL_CONF_U16:
	case PL_CONF_U32:
	case PL_CONF_U64:
		break;
	}
	if (!read_number(value, &number) || number < key->about.min || number > key->about.max)
		return pl_conf_fail_value(reader, key, value);
	if (key->type == PL_CONF_U16)
		*(uint16_t *)field = (uint16_t)number;
	else if (key->type == PL_CONF_U32)
		*(uint32_t *)field = (uint32_t)number;
	else
		*(uint64_t *)field = number;
	return PL_OK;
}
