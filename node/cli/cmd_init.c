#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/papers.h"
#include "node/conf.h"

/* Each step makes what is missing and leaves alone what is there, so that an interrupted init is finished by the same command. */

struct folder {
	const char *dir;
	char *key, *pub, *conf, *charter;
	struct pl_public_key node;
	json_t *made; /* names of files */
	bool had_keys;
};

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static void note_made(const struct pl_cli *cli, struct folder *folder, const char *path, const char *what)
{
	json_array_append_new(folder->made, json_string(path));
	if (!cli->json && !cli->quiet)
		pl_out_field("made", "%s (%s)", path, what);
}

static enum pl_exit make_folder(const struct pl_cli *cli, const char *dir, bool *is_new)
{
	struct stat st;
	*is_new = mkdir(dir, 0700) == 0;
	if (*is_new)
		return PL_EXIT_OK;
	if (errno != EEXIST)
		return pl_error(cli, errno == ENOENT ? PL_EXIT_UNKNOWN : PL_EXIT_FAILED, errno == ENOENT ? "make the folders above it first" : NULL,
		                "%s: cannot be created: %s", dir, strerror(errno));
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is not a folder", dir);
	if ((st.st_mode & 022) != 0)
		return pl_error(cli, PL_EXIT_REFUSED, pl_format("chmod go-w %s", dir), "%s: others on this machine may write there (mode %03o)", dir,
		                (unsigned)st.st_mode & 0777);
	return PL_EXIT_OK;
}

static enum pl_exit make_keys(const struct pl_cli *cli, const struct pl_args *args, struct folder *folder)
{
	char why[PL_WHY_BYTES], *passphrase;
	const char *state = pl_args_get(args, "state"), *label = pl_args_get(args, "label");
	bool has_key = is_there(folder->key), has_pub = is_there(folder->pub);
	enum pl_err err = PL_OK;
	if (has_pub && !has_key)
		return pl_error(cli, PL_EXIT_REFUSED, "put the key back, or move the .pub away to make new keys",
		                "%s: stands there, but the secret that it belongs to, %s, is gone", folder->pub, folder->key);
	if (!has_key && state == NULL)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "%s has no keys yet; --state CODE says whose node this becomes", folder->dir);
	if (!has_key || !has_pub) {
		enum pl_exit exit = pl_ask_passphrase(cli, args, 0, folder->key, !has_key, &passphrase);
		if (exit != PL_EXIT_OK)
			return exit;
		if (!has_key) {
			err = pl_key_new_node(folder->key, label == NULL ? pl_format("%s-1", state) : label, passphrase,
			                      pl_paper_cost(args, PL_KEYFILE_COST_NODE), why, sizeof(why));
			if (err == PL_OK)
				note_made(cli, folder, folder->key, "the node's secret keys");
		} else {
			err = pl_key_public_of(folder->key, passphrase, &folder->node, why, sizeof(why));
			if (err == PL_OK)
				err = pl_key_write_public(&folder->node, folder->pub, why, sizeof(why));
		}
		pl_forget(passphrase);
		if (err == PL_OK)
			note_made(cli, folder, folder->pub, "their public part, for `parley key certify --node`");
	} else {
		folder->had_keys = true;
		pl_remark(cli, "%s stands there already and is kept", folder->key);
	}
	if (err == PL_OK)
		err = pl_key_read_public(folder->pub, &folder->node, why, sizeof(why));
	return err == PL_OK ? PL_EXIT_OK : pl_file_error(cli, err, why);
}

/* The passphrase file is named in the configuration, so that parleyd starts as this command ran; not a pipe, which is gone by then. NULL: none. */
static char *passphrase_line(const struct pl_args *args)
{
	const char *given = pl_args_get(args, "passphrase-file");
	struct stat st;
	char *path = given == NULL || stat(given, &st) != 0 || !S_ISREG(st.st_mode) ? NULL : realpath(given, NULL);
	char *line = path == NULL || strpbrk(path, "\"\\\n") != NULL ? NULL : pl_format("passphrase_file = \"%s\"", path);
	free(path);
	return line;
}

static char *with_passphrase_file(const struct pl_args *args, const char *text)
{
	static const char line[] = "#passphrase_file =";
	const char *at = strstr(text, line), *own = passphrase_line(args);
	return own == NULL || at == NULL ? pl_format("%s", text) : pl_format("%.*s%s%s", (int)(at - text), text, own, at + sizeof(line) - 1);
}

/* What is wrong with a value that goes into parley.conf, without what is said there of the file: "listen = foo: …; at most 4 lines". */
static char *complaint_of(const char *key, char *why)
{
	const char *at = strncmp(why, key, strlen(key)) == 0 && strncmp(why + strlen(key), " = ", 3) == 0 ? why + strlen(key) + 3 : why;
	char *end = strrchr(why, ';');
	if (end != NULL)
		*end = '\0';
	return pl_format("--%s %s", key, at);
}

/* Before anything is made. */
static enum pl_exit check_addresses(const struct pl_cli *cli, const struct pl_args *args)
{
	const char *listen = pl_args_get(args, "listen"), *peer;
	char why[PL_WHY_BYTES];
	for (size_t at = 0; (peer = pl_args_each(args, "peer", &at)) != NULL;)
		if (pl_conf_check("peer", peer, why, sizeof(why)) != PL_OK)
			return pl_error(cli, PL_EXIT_USAGE, "--peer 'CHE 192.0.2.7:7100'", "%s", complaint_of("peer", why));
	if (listen != NULL && pl_conf_check("listen", listen, why, sizeof(why)) != PL_OK)
		return pl_error(cli, PL_EXIT_USAGE, "--listen 0.0.0.0:7100", "%s", complaint_of("listen", why));
	return PL_EXIT_OK;
}

/* The member whose node this is by the charter that stands in the folder; NULL where none says it. */
static const char *owner_by_charter(const struct folder *folder)
{
	char why[PL_WHY_BYTES], at[PL_MEMBER_CODE_BYTES + 1] = "";
	struct pl_charter *charter = pl_alloc(sizeof(*charter));
	const char *code = NULL;
	uint8_t *bytes;
	size_t count;
	if (!is_there(folder->charter) || pl_file_read(folder->charter, PL_CHARTER_BYTES_MAX, &bytes, &count, why, sizeof(why)) != PL_OK)
		return NULL;
	if (pl_charter_read(bytes, count, charter, at) == PL_OK) {
		uint16_t node = pl_charter_find_node(charter, folder->node.public_key);
		code = node == PL_NODE_NONE ? NULL : pl_format("%s", charter->members[charter->nodes[node].member].code);
	}
	free(bytes);
	return code;
}

/* Whose the keys are that stand there a charter says for certain; without one the label, if it is one that they get where none is given. */
static enum pl_exit check_owner(const struct pl_cli *cli, const struct pl_args *args, const struct folder *folder)
{
	const char *state = pl_args_get(args, "state"), *label = folder->node.comment, *owner = owner_by_charter(folder);
	const bool tells = strlen(label) >= 5 && label[3] == '-' && pl_member_code_is_valid(label, 3);
	if (state == NULL)
		return PL_EXIT_OK;
	if (owner != NULL)
		return strcmp(owner, state) == 0 ? PL_EXIT_OK
		                                 : pl_error(cli, PL_EXIT_REFUSED, "give another --dir", "%s: by its charter it is a node of %s, not of %s",
		                                            folder->dir, owner, state);
	if (tells && strncmp(label, state, 3) != 0)
		return pl_error(cli, PL_EXIT_REFUSED, "give another --dir", "%s: holds the keys of \"%s\", not of %s", folder->dir, label, state);
	if (!tells && folder->had_keys)
		pl_remark(cli, "nothing here says yet whose the keys of \"%s\" are, and --state %s is not written anywhere", label, state);
	return PL_EXIT_OK;
}

/* What of this command goes into parley.conf, where there is one already, which is kept. */
static void say_not_written(const struct pl_cli *cli, const struct pl_args *args, const struct folder *folder)
{
	static const char *const names[] = { "listen", "peer", "passphrase-file" };
	char why[PL_WHY_BYTES], *list = pl_format("%s", ""), *line = passphrase_line(args);
	uint8_t *conf;
	size_t count;
	bool has_line = line == NULL;
	if (line != NULL && pl_file_read(folder->conf, PL_CHARTER_BYTES_MAX, &conf, &count, why, sizeof(why)) == PL_OK) {
		has_line = memmem(conf, count, line, strlen(line)) != NULL;
		free(conf);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (pl_args_has(args, names[i]) && !(i == 2 && has_line))
			list = pl_format("%s%s--%s", list, list[0] == '\0' ? "" : ", ", names[i]);
	if (list[0] != '\0')
		pl_remark(cli, "%s stands there already and is kept; not written into it: %s", folder->conf, list);
}

static enum pl_exit make_conf(const struct pl_cli *cli, const struct pl_args *args, struct folder *folder)
{
	const char *listen = pl_args_get(args, "listen"), *peer, *peers[PL_NODES_MAX];
	size_t peers_count = 0;
	char why[PL_WHY_BYTES];
	for (size_t at = 0; (peer = pl_args_each(args, "peer", &at)) != NULL && peers_count < PL_NODES_MAX;)
		peers[peers_count++] = peer;
	if (is_there(folder->conf)) {
		say_not_written(cli, args, folder);
		return PL_EXIT_OK;
	}
	char *text = pl_conf_template(listen, peers, peers_count);
	if (text == NULL)
		return pl_error(cli, PL_EXIT_FAILED, NULL, "out of memory");
	char *full = with_passphrase_file(args, text);
	free(text);
	enum pl_err err = pl_file_write_new(folder->conf, 0600, (const uint8_t *)full, strlen(full), why, sizeof(why));
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	note_made(cli, folder, folder->conf, "configuration, every key of it explained");
	return PL_EXIT_OK;
}

static enum pl_exit check_state(const struct pl_cli *cli, const struct pl_args *args, const char *path, const struct pl_charter *charter,
                                const struct folder *folder, char name[PL_NODE_NAME_BYTES])
{
	const char *state = pl_args_get(args, "state");
	uint16_t node = pl_charter_find_node(charter, folder->node.public_key);
	if (node == PL_NODE_NONE)
		return pl_error(cli, PL_EXIT_REFUSED,
		                pl_format("`parley key certify --node %s` puts it into its member's sheet, of which a charter is made", folder->pub),
		                "%s: the node of %s does not stand in this charter", path, folder->dir);
	pl_charter_node_name(charter, node, name);
	const char *member = charter->members[charter->nodes[node].member].code;
	if (state != NULL && strcmp(member, state) != 0)
		return pl_error(cli, PL_EXIT_REFUSED, NULL, "%s: in this charter, the node of %s belongs to %s, not to %s", path, folder->dir, member,
		                state);
	if (sodium_memcmp(charter->nodes[node].certificate.noise_public, folder->node.noise_public, 32) != 0)
		return pl_error(cli, PL_EXIT_REFUSED, NULL, "%s: the certificate of %s names another Noise key than %s", path, name, folder->pub);
	return PL_EXIT_OK;
}

static enum pl_exit install_charter(const struct pl_cli *cli, const struct pl_args *args, struct folder *folder,
                                    struct pl_charter **charter, char name[PL_NODE_NAME_BYTES])
{
	const char *path = pl_args_get(args, "charter");
	struct pl_bytes bytes, standing;
	char why[PL_WHY_BYTES];
	enum pl_exit exit = pl_paper_read_charter(cli, path, &bytes, charter, NULL);
	if (exit == PL_EXIT_OK)
		exit = check_state(cli, args, path, *charter, folder, name);
	if (exit != PL_EXIT_OK)
		return exit;
	if (is_there(folder->charter)) {
		exit = pl_paper_read(cli, folder->charter, PL_CHARTER_BYTES_MAX, &standing);
		if (exit != PL_EXIT_OK)
			return exit;
		if (standing.count == bytes.count && memcmp(standing.bytes, bytes.bytes, bytes.count) == 0)
			return PL_EXIT_OK;
		return pl_error(cli, PL_EXIT_REFUSED, "a node belongs to one network for good; make another folder for another network",
		                "%s: stands there already, and is another charter than %s", folder->charter, path);
	}
	enum pl_err err = pl_file_write_new(folder->charter, 0644, bytes.bytes, bytes.count, why, sizeof(why));
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	note_made(cli, folder, folder->charter, "the network's charter");
	return PL_EXIT_OK;
}

/* charter: NULL where none was given, and then name says nothing. */
static void print_made(const struct pl_cli *cli, const struct folder *folder, const struct pl_charter *charter, const char *name)
{
	if (cli->json) {
		json_t *document = json_pack("{s:s, s:s, s:s, s:O}", "dir", folder->dir, "node_id", pl_hex(folder->node.public_key, 32), "label",
		                             folder->node.comment, "made", folder->made);
		if (charter != NULL) {
			json_object_set_new(document, "name", json_string(name));
			json_object_set_new(document, "network_id", json_string(pl_hex(charter->network_id, PL_ID_BYTES)));
		}
		pl_out_json(document);
	} else if (!cli->quiet) {
		pl_out_field("node id", "%s", pl_hex_groups(folder->node.public_key, 32));
		if (charter != NULL)
			pl_out_field("node", "%s in \"%s\", network %s", name, charter->name, pl_hex_groups(charter->network_id, PL_ID_BYTES));
		else if (!is_there(folder->charter))
			pl_out_field("next", "`parley key certify --node %s` puts it into its member's sheet; then, once every founder has signed the charter, "
			             "`parley init --dir %s --charter FILE.plc`", folder->pub, folder->dir);
	}
}

static enum pl_exit run_init(struct pl_cli *cli, const struct pl_args *args)
{
	const char *state = pl_args_get(args, "state"), *label = pl_args_get(args, "label");
	if (!cli->dir_given)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "`parley init` needs --dir DIR (or $PARLEY_DIR): the folder to make the node in");
	enum pl_exit exit = state == NULL ? PL_EXIT_OK : pl_paper_check_code(cli, state);
	if (exit == PL_EXIT_OK && label != NULL)
		exit = pl_paper_check_name(cli, "label of a node", label);
	if (exit == PL_EXIT_OK)
		exit = check_addresses(cli, args);
	bool is_new = false;
	if (exit == PL_EXIT_OK)
		exit = make_folder(cli, cli->dir, &is_new);
	if (exit != PL_EXIT_OK)
		return exit;
	struct folder folder = {
		.dir = cli->dir, .key = pl_format("%s/node.key", cli->dir), .pub = pl_format("%s/node.pub", cli->dir),
		.conf = pl_format("%s/parley.conf", cli->dir), .charter = pl_format("%s/charter.plc", cli->dir), .made = json_array(),
	};
	struct pl_charter *charter = NULL;
	char name[PL_NODE_NAME_BYTES] = "";
	exit = make_keys(cli, args, &folder);
	if (exit == PL_EXIT_OK)
		exit = check_owner(cli, args, &folder);
	if (exit == PL_EXIT_OK)
		exit = make_conf(cli, args, &folder);
	if (exit == PL_EXIT_OK && pl_args_has(args, "charter"))
		exit = install_charter(cli, args, &folder, &charter, name);
	if (exit != PL_EXIT_OK) {
		if (is_new)
			(void)rmdir(cli->dir); /* if nothing came into it */
		json_decref(folder.made);
		return exit;
	}
	print_made(cli, &folder, charter, name);
	json_decref(folder.made);
	return PL_EXIT_OK;
}

static const struct pl_option init_options[] = {
	{ .name = "state", .value = PL_VALUE_TEXT, .value_name = "CODE", .help = "the member whose node this is: FIN; needed to make keys" },
	{ .name = "label", .value = PL_VALUE_TEXT, .value_name = "TEXT", .help = "what the member calls this node; CODE-1 if not given" },
	{ .name = "listen", .value = PL_VALUE_TEXT, .value_name = "HOST:PORT", .help = "where other nodes can reach this one" },
	{ .name = "peer", .value = PL_VALUE_TEXT, .value_name = "'NODE HOST:PORT'", .repeats = true,
	  .help = "where to dial another node, whatever the charter says" },
	{ .name = "charter", .value = PL_VALUE_FILE, .value_name = "FILE.plc", .help = "install this charter, once it is signed by all" },
	PL_OPTION_COST,
	PL_OPTION_PASSPHRASE_FILE,
	{ 0 },
};

const struct pl_command pl_commands_init[] = {
	{ .name = "init", .summary = "make the folder of a node, or complete it", .options = init_options, .run = run_init,
	  .details = "Makes node.key, node.pub and parley.conf in --dir DIR, and installs the charter when one is given, after verifying it and "
	             "checking that this node stands in it. What is there already is kept, never overwritten, so the command can be run again.\n"
	             "A --passphrase-file is entered into parley.conf, so that parleyd starts without asking.\n"
	             "    parley init --state FIN --dir /var/lib/parley --listen 192.0.2.7:7100\n"
	             "    parley init --dir /var/lib/parley --charter baltic.plc" },
	{ 0 },
};
