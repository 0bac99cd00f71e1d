#include <sodium.h>

#include "node/folder_fixture.h"
#include "node/keys.h"

#define CHEAP ((struct pl_keyfile_cost){ 1, 64 })

static void set_up(void)
{
	folder_make();
	cr_assert_geq(sodium_init(), 0);
}

TestSuite(keys, .init = set_up, .fini = folder_remove, .timeout = 30);

Test(keys, a_signing_key_comes_back_as_it_was_made)
{
	struct pl_signing_key key;
	struct pl_public_key pub;
	enum pl_err err = pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, "Finland, vault 1", "correct horse", CHEAP, why, sizeof(why));
	cr_assert_eq(err, PL_OK, "%s", why);
	cr_assert_eq(pl_key_read_signing(in_dir("a.key"), "correct horse", &key, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_key_read_public(in_dir("a.pub"), &pub, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(key.role, PL_KEY_ROOT);
	cr_assert_eq(pub.role, PL_KEY_ROOT);
	cr_assert_str_eq(key.comment, "Finland, vault 1");
	cr_assert_str_eq(pub.comment, "Finland, vault 1");
	cr_assert_arr_eq(key.public_key, pub.public_key, 32);
	cr_assert_arr_eq(key.secret + 32, pub.public_key, 32);
	cr_assert_eq(mode_of(in_dir("a.key")), 0600);
	cr_assert_eq(files_in_dir(), 2);

	const struct pl_part part = { (const uint8_t *)"text", 4 };
	uint8_t signature[PL_SIGN_BYTES];
	pl_sign("label", sizeof("label"), &part, 1, key.secret, signature);
	cr_assert_eq(pl_sign_verify("label", sizeof("label"), &part, 1, pub.public_key, signature), PL_OK);
}

Test(keys, a_node_has_three_secrets_and_two_public_keys)
{
	struct pl_node_keys one, two;
	struct pl_public_key pub;
	uint8_t noise_public[32];
	cr_assert_eq(pl_key_new_node(in_dir("node.key"), "helsinki-1", "correct horse", CHEAP, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_key_new_node(in_dir("other.key"), "", "correct horse", CHEAP, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_key_read_node(in_dir("node.key"), "correct horse", &one, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_key_read_node(in_dir("other.key"), "correct horse", &two, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_key_read_public(in_dir("node.pub"), &pub, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_str_eq(one.comment, "helsinki-1");
	cr_assert_arr_eq(one.node_id, pub.public_key, 32);
	cr_assert_arr_eq(one.sign_secret + 32, pub.public_key, 32);
	cr_assert_arr_eq(one.noise_public, pub.noise_public, 32);
	crypto_scalarmult_base(noise_public, one.noise_secret);
	cr_assert_arr_eq(noise_public, pub.noise_public, 32);
	cr_assert_arr_neq(one.node_id, two.node_id, 32);
	cr_assert_arr_neq(one.noise_secret, two.noise_secret, 32);
	cr_assert_arr_neq(one.store_key, two.store_key, 32);
	cr_assert_arr_neq(one.store_key, one.noise_secret, 32);
}

Test(keys, a_key_of_one_kind_is_not_read_as_another)
{
	struct pl_node_keys node;
	struct pl_signing_key key;
	cr_assert_eq(pl_key_new_node(in_dir("n.key"), "n", "correct horse", CHEAP, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_new_signing(in_dir("r.key"), PL_KEY_ROOT, "r", "correct horse", CHEAP, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_read_node(in_dir("r.key"), "correct horse", &node, why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_not_null(strstr(why, "root"));
	cr_assert_eq(pl_key_read_signing(in_dir("n.key"), "correct horse", &key, why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_eq(pl_key_new_signing(in_dir("x.key"), PL_KEY_NODE, "x", "correct horse", CHEAP, why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_eq(access(in_dir("x.key"), F_OK), -1);
}

Test(keys, a_wrong_passphrase_and_a_damaged_file_are_refused)
{
	struct pl_signing_key key;
	uint8_t *file;
	size_t count;
	cr_assert_eq(pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, "a", "correct horse", CHEAP, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_read_signing(in_dir("a.key"), "correct hors", &key, why, sizeof(why)), PL_ERR_DECRYPT);
	cr_assert_not_null(strstr(why, "wrong passphrase"));
	cr_assert_not_null(strstr(why, "a.key"));
	cr_assert_eq(pl_file_read(in_dir("a.key"), 65536, &file, &count, why, sizeof(why)), PL_OK);
	for (size_t length = 0; length < count; length++) {
		put(in_dir("cut.key"), 0600, file, length);
		cr_assert_neq(pl_key_read_signing(in_dir("cut.key"), "correct horse", &key, why, sizeof(why)), PL_OK, "cut to %zu bytes", length);
	}
	for (size_t i = 0; i < count; i++) {
		/* not the cost: a flipped bit there may ask for gigabytes; the tests of crypto/keyfile.c see to it */
		if (i >= 6 && i < 12)
			continue;
		file[i] ^= 1;
		put(in_dir("flip.key"), 0600, file, count);
		file[i] ^= 1;
		cr_assert_neq(pl_key_read_signing(in_dir("flip.key"), "correct horse", &key, why, sizeof(why)), PL_OK, "bit of byte %zu", i);
	}
	free(file);
}

Test(keys, a_secret_that_others_can_open_is_refused)
{
	struct pl_signing_key key;
	cr_assert_eq(pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, "a", "correct horse", CHEAP, why, sizeof(why)), PL_OK);
	static const unsigned modes[] = { 0604, 0640, 0644, 0660, 0666 };
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(chmod(in_dir("a.key"), modes[i]), 0);
		cr_assert_eq(pl_key_read_signing(in_dir("a.key"), "correct horse", &key, why, sizeof(why)), PL_ERR_REFUSED);
		cr_assert_not_null(strstr(why, "chmod 600"));
	}
	cr_assert_eq(pl_key_read_signing(in_dir("a.pub"), "correct horse", &key, why, sizeof(why)), PL_ERR_FORMAT, "a public key is none");
	cr_assert_not_null(strstr(why, "is not a key file"));
	cr_assert_eq(chmod(in_dir("a.key"), 0400), 0);
	cr_assert_eq(pl_key_read_signing(in_dir("a.key"), "correct horse", &key, why, sizeof(why)), PL_OK);
}

Test(keys, nothing_is_ever_overwritten)
{
	put(in_dir("a.key"), 0600, "mine", 4);
	cr_assert_eq(pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, "a", "correct horse", CHEAP, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert_eq(access(in_dir("a.pub"), F_OK), -1, "a public part without its secret");
	put(in_dir("b.pub"), 0644, "mine", 4);
	cr_assert_eq(pl_key_new_node(in_dir("b.key"), "b", "correct horse", CHEAP, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert_eq(access(in_dir("b.key"), F_OK), -1, "a secret without its public part");
	cr_assert_eq(pl_file_write_new(in_dir("a.key"), 0600, (const uint8_t *)"new", 3, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert_eq(symlink("nowhere", in_dir("link")), 0);
	cr_assert_eq(pl_file_write_new(in_dir("link"), 0600, (const uint8_t *)"new", 3, why, sizeof(why)), PL_ERR_EXISTS);
	uint8_t *bytes;
	size_t count;
	cr_assert_eq(pl_file_read(in_dir("a.key"), 16, &bytes, &count, why, sizeof(why)), PL_OK);
	cr_assert(count == 4 && memcmp(bytes, "mine", 4) == 0);
	free(bytes);
	cr_assert_eq(files_in_dir(), 3, "a temporary file was left");
}

Test(keys, the_public_part_is_made_again_from_the_secret)
{
	struct pl_public_key before, again;
	cr_assert_eq(pl_key_new_node(in_dir("n.key"), "helsinki-1", "correct horse", CHEAP, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_read_public(in_dir("n.pub"), &before, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_public_of(in_dir("n.key"), "correct horse", &again, why, sizeof(why)), PL_OK);
	cr_assert_eq(memcmp(&before, &again, sizeof(before)), 0);
	cr_assert_eq(pl_key_write_public(&again, in_dir("n.pub"), why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert_eq(pl_key_write_public(&again, in_dir("n2.pub"), why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_read_public(in_dir("n2.pub"), &again, why, sizeof(why)), PL_OK);
	cr_assert_eq(memcmp(&before, &again, sizeof(before)), 0);
}

Test(keys, what_is_not_a_public_part_is_told_apart)
{
	struct pl_public_key pub;
	uint8_t *bytes, long_file[600] = { 0 };
	size_t count;
	cr_assert_eq(pl_key_new_node(in_dir("n.key"), "n", "correct horse", CHEAP, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_key_read_public(in_dir("n.key"), &pub, why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_not_null(strstr(why, "secret"));
	cr_assert_eq(pl_key_read_public(in_dir("none.pub"), &pub, why, sizeof(why)), PL_ERR_UNKNOWN);
	cr_assert_eq(pl_key_read_public(dir, &pub, why, sizeof(why)), PL_ERR_FORMAT);
	put(in_dir("long.pub"), 0644, long_file, sizeof(long_file));
	cr_assert_eq(pl_key_read_public(in_dir("long.pub"), &pub, why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_eq(pl_file_read(in_dir("n.pub"), 4096, &bytes, &count, why, sizeof(why)), PL_OK);
	for (size_t length = 0; length < count; length++) {
		put(in_dir("cut.pub"), 0644, bytes, length);
		cr_assert_neq(pl_key_read_public(in_dir("cut.pub"), &pub, why, sizeof(why)), PL_OK, "cut to %zu bytes", length);
	}
	bytes[1] = 2;
	put(in_dir("newer.pub"), 0644, bytes, count);
	cr_assert_eq(pl_key_read_public(in_dir("newer.pub"), &pub, why, sizeof(why)), PL_ERR_VERSION);
	free(bytes);
}

Test(keys, bad_requests_for_keys_leave_nothing_behind)
{
	char comment[PL_NAME_BYTES_MAX + 2];
	memset(comment, 'x', sizeof(comment));
	comment[sizeof(comment) - 1] = '\0';
	cr_assert_eq(pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, comment, "correct horse", CHEAP, why, sizeof(why)), PL_ERR_LIMIT);
	cr_assert_eq(pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, "\xff", "correct horse", CHEAP, why, sizeof(why)), PL_ERR_FORMAT);
	cr_assert_eq(pl_key_new_signing(in_dir("a.key"), PL_KEY_ROOT, "a", "", CHEAP, why, sizeof(why)), PL_ERR_REFUSED);
	cr_assert_eq(pl_key_new_signing(in_dir("no/a.key"), PL_KEY_ROOT, "a", "correct horse", CHEAP, why, sizeof(why)), PL_ERR_UNKNOWN);
	cr_assert_eq(files_in_dir(), 0);
}
