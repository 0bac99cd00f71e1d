/* The configuration file. What must hold: a refusal names the file, a line that exists and a reason, with nothing in it that acts on a terminal;
 * what is taken is within the ranges of the table of keys, and is the same when it is read again. */
#include "fuzz.h"
#include "node/conf.h"
#include "node/visible.h"

static void check_sentence(const char *why)
{
	size_t length = strlen(why);
	PL_FUZZ_CHECK(pl_utf8_is_valid(why, length) || length == 511);
	for (size_t i = 0; i < length; i++)
		PL_FUZZ_CHECK((unsigned char)why[i] >= ' ' && why[i] != 0x7f);
}

static enum pl_err parse(struct pl_conf *conf, const uint8_t *data, size_t size, char why[512])
{
	char *text = malloc(size + 1); /* of this size: a sanitizer sees what goes beyond it */
	PL_FUZZ_CHECK(text);
	memcpy(text, data, size);
	why[0] = '\0';
	enum pl_err err = pl_conf_parse(conf, "/node", "F", text, size, why, 512);
	free(text);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pl_conf conf, again;
	char why[512], why_again[512];
	if (size > 65536)
		return 0;
	enum pl_err err = parse(&conf, data, size, why);
	PL_FUZZ_CHECK(parse(&again, data, size, why_again) == err && strcmp(why, why_again) == 0);
	if (err) {
		unsigned long line = strtoul(why + 2, NULL, 10), lines = 1;
		for (size_t i = 0; i < size; i++)
			lines += data[i] == '\n';
		PL_FUZZ_CHECK(err == PL_ERR_FORMAT && strncmp(why, "F:", 2) == 0 && line >= 1 && line <= lines && strstr(why, ": "));
		check_sentence(why);
		return 0;
	}
	PL_FUZZ_CHECK(conf.peers_count <= PL_NODES_MAX && conf.peers_count == again.peers_count);
	PL_FUZZ_CHECK(memcmp(conf.peers, again.peers, conf.peers_count * sizeof(*conf.peers)) == 0);
	PL_FUZZ_CHECK(conf.links_max >= 1 && conf.links_max <= PL_LINKS_MAX && conf.listen_count <= PL_LISTEN_MAX);
	PL_FUZZ_CHECK(conf.log_level <= PL_LOG_DEBUG && conf.flash_burst >= 1 && conf.flash_per_minute >= 1);
	for (unsigned lane = 0; lane < PL_LANES; lane++) {
		PL_FUZZ_CHECK(conf.quota[lane].bytes_burst >= PL_BODY_BYTES_MAX && conf.quota[lane].bytes_burst <= UINT64_C(1) << 40);
		PL_FUZZ_CHECK(conf.quota[lane].bytes_per_s >= 1024 && conf.quota[lane].bytes_per_s <= UINT64_C(1) << 40);
	}
	for (unsigned i = 0; i < conf.listen_count; i++) {
		char host[PL_ADDRESS_BYTES_MAX + 1];
		uint16_t port;
		PL_FUZZ_CHECK(pl_address_split(conf.listen[i], host, sizeof(host), &port) == PL_OK && port != 0 && *host);
	}
	for (unsigned i = 0; i < conf.peers_count; i++) {
		PL_FUZZ_CHECK(strlen(conf.peers[i].node_name) == 3 || strlen(conf.peers[i].node_name) == 5);
		PL_FUZZ_CHECK(conf.peers[i].courier_key_file[0] == '\0' || conf.peers[i].courier_key_file[0] == '/');
	}
	PL_FUZZ_CHECK(conf.key_file[0] == '/' && conf.store_file[0] == '/' && conf.charter_file[0] == '/');
	PL_FUZZ_CHECK(conf.socket_path[0] == '/' && strlen(conf.socket_path) <= 107);
	return 0;
}
