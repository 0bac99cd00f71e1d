#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/conf.h"
#include "node/store/store.h"

static char dir[64];
static struct pl_conf *conf;
static char why[512];

static void setup(void)
{
	strcpy(dir, "/tmp/pl-conf-XXXXXX");
	cr_assert(mkdtemp(dir));
	conf = calloc(1, sizeof(*conf));
	cr_assert(conf);
}

static void teardown(void)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/parley.conf", dir);
	unlink(path);
	rmdir(dir);
	free(conf);
}

static enum pl_err read_bytes(const char *text, size_t count)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/parley.conf", dir);
	FILE *file = fopen(path, "w");
	cr_assert(file);
	cr_assert_eq(fwrite(text, 1, count, file), count);
	fclose(file);
	strcpy(why, "");
	return pl_conf_read(conf, dir, why, sizeof(why));
}
static enum pl_err read_text(const char *text) { return read_bytes(text, strlen(text)); }

/* What why says after "FILE:LINE: ", which has to name this line. */
static const char *complaint(const char *text, unsigned line)
{
	char prefix[128];
	cr_assert_eq(read_text(text), PL_ERR_FORMAT, "accepted: %s", text);
	int length = snprintf(prefix, sizeof(prefix), "%s/parley.conf:%u: ", dir, line);
	cr_assert(strncmp(why, prefix, (size_t)length) == 0, "%s", why);
	return why + length;
}

static const char *in_dir(const char *path)
{
	static char joined[256];
	snprintf(joined, sizeof(joined), "%s/%s", dir, path);
	return joined;
}

TestSuite(conf, .init = setup, .fini = teardown);

Test(conf, an_empty_file_gives_the_defaults)
{
	cr_assert_eq(read_text(""), PL_OK, "%s", why);
	cr_assert_str_eq(conf->dir, dir);
	cr_assert_str_eq(conf->charter_file, in_dir("charter.plc"));
	cr_assert_str_eq(conf->key_file, in_dir("node.key"));
	cr_assert_str_eq(conf->store_file, in_dir("store.db"));
	cr_assert_str_eq(conf->socket_path, in_dir("parley.sock"));
	cr_assert_str_eq(conf->passphrase_file, "");
	cr_assert_eq(conf->listen_count, 0);
	cr_assert_eq(conf->peers_count, 0);
	cr_assert(conf->dial_charter);
	cr_assert_eq(conf->log_level, PL_LOG_INFO);
	cr_assert(!conf->log_json);
	cr_assert_eq(conf->scrub_bytes_per_s, PL_STORE_SCRUB_BYTES_PER_S);
	cr_assert_eq(conf->links_max, PL_LINKS_MAX);
	cr_assert_eq(conf->flash_per_minute, PL_FLASH_PER_MINUTE);
	cr_assert_eq(conf->flash_burst, PL_FLASH_BURST);
	cr_assert_eq(conf->quota[0].bytes_per_s, PL_LANE0_BYTES_PER_S);
	cr_assert_eq(conf->quota[0].bytes_burst, PL_LANE0_BYTES_BURST);
	cr_assert_eq(conf->quota[1].bytes_per_s, PL_LANE1_BYTES_PER_S);
	cr_assert_eq(conf->quota[1].bytes_burst, PL_LANE1_BYTES_BURST);
	cr_assert_eq(conf->quota[2].bytes_per_s, PL_LANE2_BYTES_PER_S);
	cr_assert_eq(conf->quota[2].bytes_burst, PL_LANE2_BYTES_BURST);
}

Test(conf, every_key_is_read_into_its_place)
{
	cr_assert_eq(read_text("charter = net.plc\n"
	                       "key=/etc/parley/node.key\n"
	                       "  passphrase_file\t=  pass  \n"
	                       "store = big disk/store.db\r\n"
	                       "socket = s\n"
	                       "listen = 127.0.0.1:7101\nlisten = [::1]:7101\n"
	                       "dial = configured\n"
	                       "peer = CHE 192.0.2.7:7100\n"
	                       "peer = CHE che.example:7100 courier=\"pouch 1.key\"  # by hand\n"
	                       "peer = SGP.2 [2001:db8::7]:7100\n"
	                       "log_level = debug\nlog_format = json\nlinks_max = 8\nscrub_bytes_per_s = 0\n"
	                       "quota_flash_per_minute = 3\nquota_flash_burst = 4\n"
	                       "quota_lane0_bytes_per_s = 1024\nquota_lane1_bytes_per_s = 1099511627776\n"
	                       "quota_lane2_bytes_burst = 147688"), PL_OK, "%s", why);
	cr_assert_str_eq(conf->charter_file, in_dir("net.plc"));
	cr_assert_str_eq(conf->key_file, "/etc/parley/node.key");
	cr_assert_str_eq(conf->passphrase_file, in_dir("pass"));
	cr_assert_str_eq(conf->store_file, in_dir("big disk/store.db"));
	cr_assert_str_eq(conf->socket_path, in_dir("s"));
	cr_assert_eq(conf->listen_count, 2);
	cr_assert_str_eq(conf->listen[0], "127.0.0.1:7101");
	cr_assert_str_eq(conf->listen[1], "[::1]:7101");
	cr_assert(!conf->dial_charter);
	cr_assert_eq(conf->peers_count, 3);
	cr_assert_str_eq(conf->peers[0].node_name, "CHE");
	cr_assert_str_eq(conf->peers[0].address, "192.0.2.7:7100");
	cr_assert_str_eq(conf->peers[0].courier_key_file, "");
	cr_assert_str_eq(conf->peers[1].address, "che.example:7100");
	cr_assert_str_eq(conf->peers[1].courier_key_file, in_dir("pouch 1.key"));
	cr_assert_str_eq(conf->peers[2].node_name, "SGP.2");
	cr_assert_str_eq(conf->peers[2].address, "[2001:db8::7]:7100");
	cr_assert_eq(conf->log_level, PL_LOG_DEBUG);
	cr_assert(conf->log_json);
	cr_assert_eq(conf->links_max, 8);
	cr_assert_eq(conf->scrub_bytes_per_s, 0);
	cr_assert_eq(conf->flash_per_minute, 3);
	cr_assert_eq(conf->flash_burst, 4);
	cr_assert_eq(conf->quota[0].bytes_per_s, 1024);
	cr_assert_eq(conf->quota[1].bytes_per_s, UINT64_C(1) << 40);
	cr_assert_eq(conf->quota[2].bytes_burst, 147688);
}

Test(conf, comments_quotes_and_line_ends)
{
	cr_assert_eq(read_text("\xef\xbb\xbf# a mark in front, CRLF\r\n\r\n \t \n   # indented\nkey = a#b # c\n"), PL_OK, "%s", why);
	cr_assert_str_eq(conf->key_file, in_dir("a#b"));
	cr_assert_eq(read_text("key = \"a #b \\\"c\\\" \\\\ \"# not part of it"), PL_ERR_FORMAT); /* a comment needs a blank before it */
	cr_assert_eq(read_text("key = \"a #b \\\"c\\\" \\\\ \" # not part of it"), PL_OK, "%s", why);
	cr_assert_str_eq(conf->key_file, in_dir("a #b \"c\" \\ "));
	cr_assert_eq(read_text("key = käse schlüssel.key"), PL_OK);
	cr_assert_str_eq(conf->key_file, in_dir("käse schlüssel.key"));
	cr_assert_eq(read_text("passphrase_file ="), PL_OK);
	cr_assert_str_eq(conf->passphrase_file, "");
	cr_assert_eq(read_text("passphrase_file = # none"), PL_OK);
	cr_assert_str_eq(conf->passphrase_file, "");
}

Test(conf, errors_name_file_line_and_what_was_expected)
{
	cr_assert_str_eq(complaint("\n\nlisten 127.0.0.1:1\n", 3), "listen 127.0.0.1:1: expected key = value");
	cr_assert_str_eq(complaint("lisen = 127.0.0.1:1\n", 1), "lisen is not a key; did you mean listen?");
	cr_assert_str_eq(complaint("Log-Level = info\n", 1), "Log-Level is not a key; did you mean log_level?");
	cr_assert_str_eq(complaint("quota_lane3_bytes_burst = 5\n", 1), "quota_lane3_bytes_burst is not a key; did you mean quota_lane0_bytes_burst?");
	cr_assert_str_eq(complaint("\x7f\xe2\x80\xae = 5\n", 1), "\\x7f\\u{202e} is not a key; OPERATING.md, \"Configuration\", lists them");
	cr_assert_str_eq(complaint("= 5", 1), "there is no key in front of the =; expected key = value");
	cr_assert_str_eq(complaint("dial = charter\n#\ndial = charter", 3), "dial stands here and in line 1; expected it once");
	cr_assert_str_eq(complaint("dial = all", 1), "dial = all: expected charter or configured");
	cr_assert_str_eq(complaint("log_level = loud", 1), "log_level = loud: expected error, warning, info or debug");
	cr_assert_str_eq(complaint("log_format = xml", 1), "log_format = xml: expected text or json");
	cr_assert_str_eq(complaint("key =", 1), "key = : expected a path, relative to the node's directory");
	cr_assert_str_eq(complaint("key = \"a\"b", 1), "key = \"a\"b: quotes stand around the whole value, with \\\" and \\\\ inside");
	cr_assert_str_eq(complaint("key = a\"b", 1), "key = a\"b: quotes stand around the whole value, with \\\" and \\\\ inside");
	cr_assert_str_eq(complaint("key = \"a\\n\"", 1), "key = \"a\\\\n\": quotes stand around the whole value, with \\\" and \\\\ inside");
	cr_assert_str_eq(complaint("key = a\x01" "b", 1), "a control character (\\x01) in column 8");
	cr_assert_str_eq(complaint("key = \xff", 1), "not UTF-8");
}

Test(conf, numbers_have_their_range)
{
	static const char *const bad[] = { "0", "65", "-1", "+1", "1.5", "0x10", "8 9", "", "99999999999999999999999999", "18446744073709551616", "8k" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char text[64], expected[96];
		snprintf(text, sizeof(text), "links_max = %s", bad[i]);
		snprintf(expected, sizeof(expected), "links_max = %s: expected a whole number from 1 to 64", bad[i]);
		cr_assert_str_eq(complaint(text, 1), expected);
	}
	for (size_t i = 0; pl_conf_key(i); i++) {
		const struct pl_conf_key *key = pl_conf_key(i);
		if (key->form)
			continue;
		char value[32];
		const uint64_t good[] = { key->min, key->max }, over[] = { key->min - 1, key->max + 1 };
		for (unsigned j = 0; j < 2; j++) {
			snprintf(value, sizeof(value), "%" PRIu64, good[j]);
			cr_assert_eq(pl_conf_check(key->name, value, why, sizeof(why)), PL_OK, "%s", why);
			snprintf(value, sizeof(value), "%" PRIu64, over[j]);
			cr_assert_eq(pl_conf_check(key->name, value, why, sizeof(why)), PL_ERR_FORMAT, "%s", key->name);
		}
	}
}

Test(conf, peers_and_addresses_are_checked)
{
	cr_assert(strstr(complaint("peer = CHE", 1), "peer = CHE: expected NODE host:port"));
	cr_assert(strstr(complaint("peer = che 1.2.3.4:5", 1), "che is not a node's name"));
	cr_assert(strstr(complaint("peer = CHE.1 1.2.3.4:5", 1), "CHE.1 is not a node's name"));
	cr_assert(strstr(complaint("peer = CHE.4 1.2.3.4:5", 1), "CHE.4 is not a node's name"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4", 1), "1.2.3.4 is not an address"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4:0", 1), "1.2.3.4:0 is not an address"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4:5 pouch.key", 1), "expected courier=FILE after the address"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4:5 courier=", 1), "expected courier=FILE after the address"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4:5 courier=a b", 1), "expected NODE host:port"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4:5\npeer = CHE 1.2.3.4:5", 2), "stands with this address twice"));
	cr_assert(strstr(complaint("peer = CHE 1.2.3.4:5 courier=a\npeer = CHE 1.2.3.4:6 courier=b", 2), "two different courier keys"));
	cr_assert_eq(read_text("peer = CHE 1.2.3.4:5 courier=a\npeer = CHE 1.2.3.4:6\npeer = FIN 1.2.3.4:5 courier=b"), PL_OK);
	/* it dials, and we do not */
	cr_assert_eq(read_text("peer = CHE courier=pouch.key"), PL_OK);
	cr_assert_str_eq(conf->peers[0].address, "");
	cr_assert_str_eq(conf->peers[0].courier_key_file, in_dir("pouch.key"));
	cr_assert(strstr(complaint("peer = CHE courier=", 1), "expected courier=FILE"));
	cr_assert(strstr(complaint("peer = CHE courier=a 1.2.3.4:5", 1), "courier=a is not an address"));
	cr_assert(strstr(complaint("peer = CHE courier=a\npeer = CHE 1.2.3.4:6 courier=b", 2), "two different courier keys"));
	cr_assert(strstr(complaint("listen = 7100", 1), "listen = 7100: expected host:port"));
	cr_assert(strstr(complaint("listen = ::1:7100", 1), "expected host:port"));
	cr_assert(strstr(complaint("listen = 1.2.3.4:5\nlisten = 1.2.3.4:5", 2), "stands twice"));
	cr_assert(strstr(complaint("listen = a:1\nlisten = a:2\nlisten = a:3\nlisten = a:4\nlisten = a:5", 5), "more than 4"));
}

Test(conf, as_many_peers_as_a_network_can_have)
{
	char *text = malloc(1 << 16);
	size_t length = 0;
	for (unsigned i = 0; i < PL_NODES_MAX; i++)
		length += (size_t)sprintf(text + length, "peer = %c%c%c 1.2.3.4:7100\n", 'A' + i / 676, 'A' + i / 26 % 26, 'A' + i % 26);
	cr_assert_eq(read_text(text), PL_OK, "%s", why);
	cr_assert_eq(conf->peers_count, PL_NODES_MAX);
	strcpy(text + length, "peer = ZZZ 1.2.3.4:7100\n");
	cr_assert(strstr(complaint(text, PL_NODES_MAX + 1), "more than 768 peer lines"));
	free(text);
}

Test(conf, files_that_are_no_text_are_refused)
{
	cr_assert_eq(read_bytes("key = a\0b\n", 10), PL_ERR_FORMAT);
	cr_assert(strstr(why, ":1: a control character (\\x00) in column 8"), "%s", why);

	char *big = malloc((1 << 20) + 1);
	memset(big, 'x', (1 << 20) + 1);
	memcpy(big, "key = ", 6);
	cr_assert_eq(read_bytes(big, 4096), PL_ERR_FORMAT);
	cr_assert(strstr(why, ":1: key = xxx"), "%s", why);
	cr_assert(strstr(why, "more than 1023 bytes"), "%s", why);
	cr_assert_eq(read_bytes(big, 4097), PL_ERR_FORMAT);
	cr_assert(strstr(why, ":1: this line has 4097 bytes; at most 4096 are read"), "%s", why);
	big[0] = '#';
	cr_assert_eq(read_bytes(big, 4096), PL_OK);
	memset(big, '\n', (1 << 20) + 1);
	cr_assert_eq(read_bytes(big, 1 << 20), PL_OK);
	cr_assert_eq(read_bytes(big, (1 << 20) + 1), PL_ERR_FORMAT);
	cr_assert(strstr(why, "over 1048576 bytes"), "%s", why);
	free(big);
}

Test(conf, a_missing_file_or_an_endless_path_is_an_error)
{
	cr_assert_eq(pl_conf_read(conf, dir, why, sizeof(why)), PL_ERR_IO);
	cr_assert(strstr(why, "/parley.conf: No such file or directory; `parley init` makes a node's directory"), "%s", why);
	char path[2000];
	memset(path, 'd', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	cr_assert_eq(pl_conf_read(conf, path, why, sizeof(why)), PL_ERR_FORMAT);
	path[PL_PATH_BYTES_MAX - 5] = '\0'; /* the directory fits, its files do not */
	cr_assert_eq(pl_conf_default(conf, path), PL_ERR_LIMIT);
	path[100] = '\0'; /* a Unix socket's path is shorter than others */
	cr_assert(strstr(complaint("socket = sssssssss/sssssssss/sssssssss/sssssssss/sssssssss/sssssssss/sssssssss/sssssssss/sssssssss/sssssssss", 1),
	                 "and a Unix socket's has at most 107; expected a shorter one"), "%s", why);
}

Test(conf, the_template_says_what_holds_without_it)
{
	char *text = pl_conf_template(NULL, NULL, 0);
	cr_assert(text);
	struct pl_conf *plain = calloc(1, sizeof(*plain));
	cr_assert_eq(pl_conf_default(plain, dir), PL_OK);
	cr_assert_eq(read_text(text), PL_OK, "%s", why);
	cr_assert_arr_eq(conf, plain, sizeof(*conf));

	/* every commented default is one that can be taken in */
	unsigned taken = 0;
	char *live = malloc(strlen(text) + 1), *to = live;
	for (char *line = text; *line;) {
		char *end = strchr(line, '\n') + 1;
		char *from = line[0] == '#' && line[1] != ' ' ? line + 1 : line;
		taken += from != line;
		memcpy(to, from, (size_t)(end - from));
		to += end - from;
		line = end;
	}
	*to = '\0';
	cr_assert_eq(read_text(live), PL_OK, "%s\n%s", why, live);
	cr_assert_eq(conf->listen_count, 1);
	cr_assert_eq(conf->peers_count, 1);
	memcpy(conf->listen, plain->listen, sizeof(conf->listen));
	memset(conf->peers, 0, sizeof(conf->peers));
	conf->listen_count = conf->peers_count = 0;
	cr_assert_arr_eq(conf, plain, sizeof(*conf));
	for (size_t i = 0; pl_conf_key(i); i++)
		taken--;
	cr_assert_eq(taken, 0, "keys and lines of the template differ in number");
	free(live);
	free(plain);
	free(text);
}

Test(conf, the_template_carries_the_given_values)
{
	const char *const peers[] = { "CHE 127.0.0.1:7102", "SGP 127.0.0.1:7103 courier=\"a b\"" };
	char *text = pl_conf_template("127.0.0.1:7101", peers, 2);
	cr_assert_eq(read_text(text), PL_OK, "%s", why);
	cr_assert_str_eq(conf->listen[0], "127.0.0.1:7101");
	cr_assert_eq(conf->peers_count, 2);
	cr_assert_str_eq(conf->peers[0].node_name, "CHE");
	cr_assert_str_eq(conf->peers[1].courier_key_file, in_dir("a b"));
	free(text);
	const char *const forged[] = { "CHE 127.0.0.1:7102\nkey = /tmp/theirs" };
	cr_assert_null(pl_conf_template(NULL, forged, 1));
	cr_assert_null(pl_conf_template("7101", NULL, 0));
}

Test(conf, single_values_are_checked_as_in_the_file)
{
	cr_assert_eq(pl_conf_check("peer", "CHE 127.0.0.1:7102", why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_conf_check("peer", "CHE 127.0.0.1:7102 # x", why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_eq(pl_conf_check("peer", "CHE", why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_str_eq(why, "peer = CHE: expected NODE host:port [courier=FILE] or NODE courier=FILE; a further line for a node adds an address");
	cr_assert_eq(pl_conf_check("listen", "a:1\nkey = b", why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_eq(pl_conf_check("lissen", "a:1", why, sizeof(why)), PL_ERR_UNKNOWN);
	cr_assert_str_eq(why, "lissen is not a key; did you mean listen?");
}

Test(conf, addresses_are_split)
{
	static const struct { const char *address, *host; uint16_t port; } good[] = {
		{ "127.0.0.1:7100", "127.0.0.1", 7100 }, { "che-1.example.ch:65535", "che-1.example.ch", 65535 }, { "[::]:1", "::", 1 },
		{ "[2001:db8::1]:7100", "2001:db8::1", 7100 }, { "localhost:0", "localhost", 0 },
	};
	static const char *const bad[] = {
		"", ":", "a", "a:", ":1", "a:65536", "a:-1", "a:1 ", " a:1", "a b:1", "[::1]", "[::1:1", "::1:1", "[]:1", "[a]:1", "a:1:2", "[127.0.0.1]:1",
		"a:000001", "a/b:1", "[:1", "]:1", ".a:1", "-a:1", "a\xc3\xa4:1",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
	};
	char host[PL_ADDRESS_BYTES_MAX + 1];
	uint16_t port;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		cr_assert_eq(pl_address_split(good[i].address, host, sizeof(host), &port), PL_OK, "%s", good[i].address);
		cr_assert_str_eq(host, good[i].host);
		cr_assert_eq(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert_eq(pl_address_split(bad[i], host, sizeof(host), &port), PL_ERR_FORMAT, "%s", bad[i]);
	cr_assert_eq(pl_address_split("localhost:1", host, 9, &port), PL_ERR_FORMAT); /* no room for the NUL */
	cr_assert_eq(pl_address_split("localhost:1", host, 10, &port), PL_OK);
}

/* --- OPERATING.md, "Configuration" --- */

/* The next cell of a table's row, blanks and backticks taken off. */
static const char *cell(char **rest)
{
	char *start = *rest + strspn(*rest, " `"), *end = strchr(start, '|');
	cr_assert(end, "a row without an end: %s", *rest);
	*rest = end + 1;
	while (end > start && strchr(" `", end[-1]))
		end--;
	*end = '\0';
	return start;
}

Test(conf, table_and_document_agree)
{
	FILE *document = fopen(PL_SRC_DIR "/node/OPERATING.md", "r");
	cr_assert(document, PL_SRC_DIR "/node/OPERATING.md is missing");
	char line[1024];
	bool inside = false;
	size_t index = 0;
	while (fgets(line, sizeof(line), document)) {
		if (strncmp(line, "## ", 3) == 0)
			inside = strcmp(line, "## Configuration\n") == 0;
		if (!inside || strncmp(line, "| `", 3) != 0)
			continue;
		const struct pl_conf_key *key = pl_conf_key(index++);
		char *rest = line + 1;
		const char *name = cell(&rest);
		cr_assert(key, "%s stands in the document, but is not a key", name);
		cr_assert_str_eq(name, key->name, "the document has %s where the table has %s", name, key->name);
		cr_assert_gt(strlen(cell(&rest)), 20, "%s wants an explanation", name);
		cr_assert_str_eq(cell(&rest), *key->default_text ? key->default_text : "none", "default of %s", name);
		char range[128];
		snprintf(range, sizeof(range), "%" PRIu64 " to %" PRIu64, key->min, key->max);
		cr_assert_str_eq(cell(&rest), key->form ? key->form : range, "range of %s", name);
	}
	fclose(document);
	cr_assert_null(pl_conf_key(index), "%s is not in the document", pl_conf_key(index)->name);
}
