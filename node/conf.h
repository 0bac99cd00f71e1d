/* The configuration file, DIR/parley.conf: "key = value" lines, # comments. OPERATING.md, "Configuration", documents every key; conf.c's
 * table is the one place that knows them, and a test holds the two together. A new key is a line in that table, a field here and a row
 * there. conf_value.c reads values of each type, conf_template.c writes the file that `parley init` makes.
 *
 * An unknown key, a key that stands twice where once is right, or a bad value is an error with file, line and what was expected.
 */
#ifndef PL_NODE_CONF_H
#define PL_NODE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "node/log.h"
#include "proto/engine.h"
#include "proto/limits.h"

#define PL_PATH_BYTES_MAX 1024
#define PL_LISTEN_MAX 4

struct pl_peer_conf { /* peer = CHE 192.0.2.7:7100: dial this node there, whatever the charter says; a second line adds an address */
	char node_name[8];
	unsigned line; /* of the file */
	char address[PL_ADDRESS_BYTES_MAX + 1];
	char courier_key_file[PL_PATH_BYTES_MAX]; /* peer = CHE 192.0.2.7:7100 courier=FILE; empty: none */
};

struct pl_conf {
	char dir[PL_PATH_BYTES_MAX];
	bool new_store; /* not of the file: `parleyd --new-store` */
	/* paths in the file are relative to dir */
	char charter_file[PL_PATH_BYTES_MAX];    /* charter = charter.plc */
	char key_file[PL_PATH_BYTES_MAX];        /* key = node.key */
	char passphrase_file[PL_PATH_BYTES_MAX]; /* passphrase_file =: empty: systemd credential "passphrase", $PARLEY_PASSPHRASE, or the terminal */
	char store_file[PL_PATH_BYTES_MAX];      /* store = store.db */
	char socket_path[PL_PATH_BYTES_MAX];     /* socket = parley.sock */
	uint8_t listen_count;
	char listen[PL_LISTEN_MAX][PL_ADDRESS_BYTES_MAX + 1]; /* listen = 127.0.0.1:7100 */
	bool dial_charter;                       /* dial = charter | configured: dial every address in the charter, or the peer lines only */
	uint16_t peers_count;
	struct pl_peer_conf peers[PL_NODES_MAX];
	enum pl_log_level log_level;             /* log_level = error|warning|info|debug */
	bool log_json;                           /* log_format = text|json */
	uint64_t reserve_bytes;                  /* reserve_bytes = 268435456 */
	uint16_t member_percent;                 /* member_percent = 20 */
	uint64_t scrub_bytes_per_s;              /* scrub_bytes_per_s = 262144 */
	uint16_t links_max;                      /* links_max = 64 */
	uint32_t flash_per_minute, flash_burst;  /* quota_flash_per_minute, quota_flash_burst */
	struct pl_quota quota[PL_LANES];         /* quota_lane0_bytes_per_s, quota_lane0_bytes_burst, … */
};

/* PL_ERR_LIMIT: dir is too long a path. Of peers only the first peers_count are ever touched. */
PL_MUST_CHECK enum pl_err pl_conf_default(struct pl_conf *conf, const char *dir);
/* Reads DIR/parley.conf over the defaults. On error why holds "FILE:LINE: what is wrong; what was expected". PL_ERR_FORMAT, PL_ERR_IO,
 * PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_conf_read(struct pl_conf *conf, const char *dir, char *why, size_t why_max);
/* The same of the text of a file, which has room for a NUL at text[count] and is written over. file stands in errors. */
PL_MUST_CHECK enum pl_err pl_conf_parse(struct pl_conf *conf, const char *dir, const char *file, char *text, size_t count, char *why,
                                        size_t why_max);
/* Whether this key takes this value, as it would stand in the file: for what comes from a command line. PL_ERR_FORMAT, PL_ERR_UNKNOWN (key). */
PL_MUST_CHECK enum pl_err pl_conf_check(const char *key, const char *value, char *why, size_t why_max);
/* A commented file with the defaults, as `parley init` writes it; given values are set, NULL ones stand commented out. malloc'd. NULL: out of
 * memory, or a value that pl_conf_check() refuses. */
char *pl_conf_template(const char *listen, const char *const *peers, size_t peers_count);

/* The table of keys, in the order of the file; NULL past the end. */
struct pl_conf_key {
	const char *name;
	const char *summary;      /* one sentence */
	const char *default_text; /* as it would stand in the file; empty: none */
	const char *form;         /* what a value has to be; NULL: a whole number, min to max */
	uint64_t min, max;
	bool repeats;             /* may stand on several lines */
};
const struct pl_conf_key *pl_conf_key(size_t index);

/* Splits "host:port", "[v6]:port". The host is a name or an IPv4 address, or an IPv6 address in brackets, which are taken off; the port is
 * 0..65535. PL_ERR_FORMAT. */
PL_MUST_CHECK enum pl_err pl_address_split(const char *address, char *host, size_t host_max, uint16_t *port);

#endif
