/* Proofs over the API, in whole applications: who can make one, and that it holds. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/app_fixture.h"
#include "node/proof.h"

enum { CHE, FIN, SGP };

static struct pl_proof_report *prove(struct fix *fix, uint16_t node, const char *path, uint8_t **file)
{
	struct pl_proof_report *report;
	size_t count;
	cr_assert_eq(fix_call_bytes(fix, node, "GET", path, NULL, 0, file, &count), 200);
	cr_assert_eq(pl_proof_verify(*file, count, fix_charter(fix)->network_id, &report), PL_OK);
	return report;
}

Test(api_proof, sender_and_recipient_prove_the_same_and_a_relay_nothing)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	for (int i = 0; i < 3; i++) {
		char text[32];
		snprintf(text, sizeof(text), "message %d", i);
		json_decref(fix_call(fix, FIN, "POST", "/v1/messages",
		                     json_pack("{s[s] ss ss}", "to", "SGP", "text", text, "precedence", "immediate"), 201));
	}
	fix_settle(fix);
	for (uint16_t node = FIN; node <= SGP; node++) {
		uint8_t *file;
		struct pl_proof_report *report = prove(fix, node, "/v1/messages/FIN%2F0%2F3/proof", &file);
		cr_assert(report->proven);
		cr_assert_eq(report->message.text.bytes, strlen("message 1"));
		cr_assert_arr_eq(report->message.text.chars, "message 1", strlen("message 1"));
		cr_assert_eq(report->proof.preceding_count, 2, "the epoch key and the message before");
		cr_assert_eq(report->proof.following_count, 1);
		pl_proof_report_free(report);
		free(file);
	}
	json_t *refused = fix_call(fix, CHE, "GET", "/v1/messages/FIN%2F0%2F3/proof", NULL, 403);
	fix_expect(refused, "error.code", "not_a_recipient");
	json_decref(refused);
	json_decref(fix_call(fix, SGP, "GET", "/v1/messages/FIN%2F0%2F9/proof", NULL, 404));
	json_decref(fix_call(fix, SGP, "GET", "/v1/messages/nonsense/proof", NULL, 400));
	fix_free(fix);
}

/* Channel roots and items with the real epoch keys; indicator_test has the rest with stand-ins. */
Test(api_proof, indicators_arrive_under_real_epoch_keys)
{
	static const char bundle[] =
		"{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":["
		"{ \"type\":\"ipv4-addr\", \"id\":\"ipv4-addr--11111111-2222-4333-8444-555555555555\", \"value\":\"192.0.2.1\" }]}";
	static const char object[] =
		"{ \"type\":\"ipv4-addr\", \"id\":\"ipv4-addr--11111111-2222-4333-8444-555555555555\", \"value\":\"192.0.2.1\" }";
	struct fix *fix = fix_new(3, 1);
	uint8_t *reply;
	size_t count;
	fix_start_all(fix, 2);
	cr_assert_eq(fix_call_bytes(fix, FIN, "POST", "/v1/indicators?tlp=green", bundle, strlen(bundle), &reply, &count), 201);
	free(reply);
	fix_start(fix, SGP); /* later than the import: it is sent the root when its key has come by */
	fix_await(fix, SGP, "SELECT count(*) FROM indicator", 1);
	fix_await(fix, CHE, "SELECT count(*) FROM indicator", 1);
	for (uint16_t node = CHE; node <= SGP; node++) {
		cr_assert_eq(fix_call_bytes(fix, node, "GET", "/v1/indicators/ipv4-addr--11111111-2222-4333-8444-555555555555", NULL, 0,
		                            &reply, &count),
		             200);
		cr_assert_eq(count, strlen(object));
		cr_assert_arr_eq(reply, object, count);
		free(reply);
	}
	cr_assert(!fix_on_disk(fix, SGP, "192.0.2.1", 9));
	fix_free(fix);
}
