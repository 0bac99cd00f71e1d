#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/messages.h"
#include "node/cli/papers.h"
#include "node/proof.h"

/* --- export --- */

static enum pl_exit run_export(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_get(args, "out");
	struct pl_sink *sink;
	enum pl_exit exit = pl_sink_open(cli, path, false, &sink);
	if (exit != PL_EXIT_OK)
		return exit;
	exit = pl_call_download(cli, pl_path("/v1/messages/%s/proof", pl_args_operand(args, 0)), sink, NULL);
	enum pl_exit closed = pl_sink_close(sink, exit == PL_EXIT_OK);
	exit = closed != PL_EXIT_OK ? closed : exit;
	if (exit == PL_EXIT_OK && strcmp(path, "-") != 0) {
		if (cli->json)
			pl_out_json(json_pack("{s:s, s:s}", "file", path, "sha256", pl_sink_sha256(sink)));
		else
			pl_say(cli, "%s: opens this one message for whoever has it; `parley verify %s` checks it anywhere", path, pl_quoted(path));
	}
	return exit;
}

/* --- verify --- */

static const char *finding_name(enum pl_proof_finding finding)
{
	switch (finding) {
	case PL_PROOF_NOT_REACHED: return "not_reached";
	case PL_PROOF_GOOD: return "good";
	case PL_PROOF_OPEN: return "open";
	case PL_PROOF_BAD: return "bad";
	}
	return "unknown";
}

static char *text_of(const struct pl_text *text)
{
	return pl_format("%.*s", (int)text->bytes, text->chars);
}

static char *author_of(const struct pl_proof_report *report)
{
	char name[PL_NODE_NAME_BYTES];
	pl_charter_node_name(report->charter, report->author, name);
	return pl_format("%s", name);
}

static char *ref_of(const struct pl_proof_report *report)
{
	return pl_format("%s/%u/%llu", author_of(report), (unsigned)report->header.lane, (unsigned long long)report->header.seq);
}

static json_t *recipients_json(const struct pl_message *message, uint8_t info)
{
	json_t *list = json_array();
	for (uint16_t i = 0; i < message->recipients_count; i++)
		if (message->recipients[i].info == info)
			json_array_append_new(list, json_string(message->recipients[i].code));
	return list;
}

static json_t *message_json(const struct pl_message *m)
{
	json_t *attachments = json_array(), *document;
	for (uint8_t i = 0; i < m->attachments_count; i++)
		json_array_append_new(attachments, json_pack("{s:i, s:s%, s:s%, s:I, s:s}", "n", i + 1, "name", m->attachments[i].name.chars,
		                                             m->attachments[i].name.bytes, "type", m->attachments[i].media_type.chars,
		                                             m->attachments[i].media_type.bytes, "bytes", (json_int_t)m->attachments[i].bytes, "sha256",
		                                             pl_hex(m->attachments[i].sha256, 32)));
	document = json_pack("{s:s, s:s, s:o, s:o, s:s, s:s%, s:s%, s:s%, s:s, s:b, s:o}", "id", pl_hex(m->id, PL_MESSAGE_ID_BYTES),
	                     "from", m->sender, "to", recipients_json(m, 0), "info", recipients_json(m, 1),
	                     "precedence", pl_precedence_name(m->precedence), "operator", m->operator_name.chars, m->operator_name.bytes,
	                     "subject", m->subject.chars, m->subject.bytes, "text", m->text.chars, m->text.bytes,
	                     "sent", pl_time_rfc3339((int64_t)m->sent_ms), "exercise", (int)m->exercise, "attachments", attachments);
	if (m->expires_ms > 0)
		json_object_set_new(document, "expires", json_string(pl_time_rfc3339((int64_t)m->expires_ms)));
	if (m->has_reply_to)
		json_object_set_new(document, "reply_to", json_string(pl_hex(m->reply_to, PL_MESSAGE_ID_BYTES)));
	return document;
}

/* All steps hold, except that nobody has said which network it has to be. */
static bool is_open(const struct pl_proof_report *report)
{
	return report->proven && report->steps[PL_PROOF_NETWORK].finding == PL_PROOF_OPEN;
}

static json_t *report_json(const struct pl_proof_report *report)
{
	json_t *steps = json_array(), *document;
	for (int step = 0; step < PL_PROOF_STEPS; step++)
		json_array_append_new(steps, json_pack("{s:s, s:s, s:s}", "step", pl_proof_step_name((enum pl_proof_step)step), "finding",
		                                       finding_name(report->steps[step].finding), "text", report->steps[step].text));
	document = json_pack("{s:o, s:o}", "proven", is_open(report) ? json_null() : json_boolean(report->proven), "steps", steps);
	if (report->charter != NULL)
		json_object_set_new(document, "network_id", json_string(pl_hex(report->charter->network_id, PL_ID_BYTES)));
	if (report->author != PL_NODE_NONE) {
		json_object_set_new(document, "ref", json_string(ref_of(report)));
		json_object_set_new(document, "author", json_string(author_of(report)));
		json_object_set_new(document, "entry_id", json_string(pl_hex(report->entry_id, PL_ID_BYTES)));
	}
	if (report->has_message)
		json_object_set_new(document, "message", message_json(&report->message));
	return document;
}

static void print_report(const struct pl_proof_report *report)
{
	for (int step = 0; step < PL_PROOF_STEPS; step++) {
		enum pl_proof_finding finding = report->steps[step].finding;
		pl_out_styled(finding == PL_PROOF_GOOD ? PL_GREEN : finding == PL_PROOF_BAD ? PL_RED : PL_YELLOW, "%-6s",
		              finding == PL_PROOF_GOOD ? "good" : finding == PL_PROOF_BAD ? "BAD" : finding == PL_PROOF_OPEN ? "open" : "-");
		pl_out("%-11s ", pl_proof_step_name((enum pl_proof_step)step));
		pl_out_rest(18, "%s", finding == PL_PROOF_NOT_REACHED ? "not looked at" : report->steps[step].text);
	}
}

static void print_message(const struct pl_proof_report *report)
{
	const struct pl_message *m = &report->message;
	json_t *to = recipients_json(m, 0), *info = recipients_json(m, 1);
	const char *precedence = pl_precedence_name(m->precedence);
	pl_out("\n");
	pl_out_styled(pl_precedence_style(precedence), "%s", pl_upper(precedence));
	pl_out("\n");
	if (m->exercise) {
		pl_out_styled(PL_YELLOW, "EXERCISE EXERCISE EXERCISE");
		pl_out("\n");
	}
	pl_out_field("FROM", "%s%s", m->sender, m->operator_name.bytes == 0 ? "" : pl_format(" (%s)", text_of(&m->operator_name)));
	pl_out_field("TO", "%s", pl_json_join(to, ", "));
	if (json_array_size(info) > 0)
		pl_out_field("INFO", "%s", pl_json_join(info, ", "));
	pl_out_field("SUBJECT", "%s", text_of(&m->subject));
	pl_out_field("NUMBER", "%s, message %s", ref_of(report), pl_hex(m->id, PL_MESSAGE_ID_BYTES));
	pl_out_field("DATE-TIME", "%s, as the sender's clock had it", pl_time_full((int64_t)m->sent_ms));
	if (m->has_reply_to)
		pl_out_field("REFERENCE", "message %s", pl_hex(m->reply_to, PL_MESSAGE_ID_BYTES));
	if (m->expires_ms > 0) /* of a text that is shown years later, "EXPIRED" would be true and say nothing */
		pl_out_field("EXPIRES", "%s", pl_time_full((int64_t)m->expires_ms));
	for (uint8_t i = 0; i < m->attachments_count; i++)
		pl_out_field("ATTACHMENT", "%d: \"%s\", %s, sha256 %s", i + 1, text_of(&m->attachments[i].name),
		             pl_bytes_text(m->attachments[i].bytes), pl_hex(m->attachments[i].sha256, 32));
	pl_out("\n");
	pl_out_text(m->text.chars, m->text.bytes);
	json_decref(to);
	json_decref(info);
}

static enum pl_exit report_proof(const struct pl_cli *cli, const char *path, const struct pl_bytes *bytes, const struct pl_proof_report *report)
{
	int bad = 0;
	while (bad < PL_PROOF_STEPS && report->steps[bad].finding != PL_PROOF_BAD)
		bad++;
	if (cli->json) {
		pl_out_json(report_json(report));
	} else if (bad != PL_PROOF_FORM && (!cli->quiet || !report->proven)) {
		print_report(report);
		if (report->has_message && report->proven)
			print_message(report);
	}
	if (is_open(report))
		return pl_error(cli, PL_EXIT_OPEN, "get the id from somebody you trust, another way, and give it with --network ID",
		                "%s: holds for network id %s, which was not compared", path, pl_hex_groups(report->charter->network_id, PL_ID_BYTES));
	if (report->proven)
		return PL_EXIT_OK;
	/* OPERATING.md, "Proofs": a file that is no proof at all is a bad input, 6; a proof of which a step fails ends with 7 */
	const char *kind = bad == PL_PROOF_FORM ? pl_paper_kind(bytes) : NULL;
	if (kind != NULL)
		return pl_error(cli, PL_EXIT_INPUT, "`parley export` makes a proof of a message", "%s: is %s, not a proof", path, kind);
	if (bad == PL_PROOF_FORM)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: %s", path, report->steps[bad].text);
	return pl_error(cli, PL_EXIT_UNVERIFIED, "nothing in it is shown to be true beyond that step",
	                "%s: does not prove the message; it fails at \"%s\"",
	                path, bad < PL_PROOF_STEPS ? pl_proof_step_name((enum pl_proof_step)bad) : "the end");
}

static enum pl_exit run_verify(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_operand(args, 0), *network = pl_args_get(args, "network"), *charter_path = pl_args_get(args, "charter");
	uint8_t network_id[PL_ID_BYTES];
	size_t id_bytes;
	struct pl_bytes bytes, charter_bytes;
	struct pl_charter *charter;
	enum pl_exit exit = PL_EXIT_OK;
	if (network != NULL && charter_path != NULL)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--network and --charter say the same thing; give one");
	if (network != NULL && (sodium_hex2bin(network_id, sizeof(network_id), network, strlen(network), " :", &id_bytes, NULL) != 0 ||
	                        id_bytes != sizeof(network_id)))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--network is an id of 64 hexadecimal digits, in groups or not; not \"%s\"", network);
	if (charter_path != NULL) {
		exit = pl_paper_read_charter(cli, charter_path, &charter_bytes, &charter, NULL);
		if (exit == PL_EXIT_OK)
			memcpy(network_id, charter->network_id, sizeof(network_id));
	}
	if (exit == PL_EXIT_OK)
		exit = pl_paper_read(cli, path, PL_PROOF_BYTES_MAX, &bytes);
	if (exit != PL_EXIT_OK)
		return exit;
	struct pl_proof_report *report;
	path = pl_input_name(path);
	enum pl_err err = pl_proof_verify(bytes.bytes, bytes.count, network != NULL || charter_path != NULL ? network_id : NULL, &report);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "%s: cannot be checked: %s", path, pl_err_str(err));
	exit = report_proof(cli, path, &bytes, report);
	pl_proof_report_free(report);
	return exit;
}

static const struct pl_option export_options[] = {
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "FILE", .required = true,
	  .help = "where the proof goes; - for stdout" },
	{ 0 },
};
static const struct pl_option verify_options[] = {
	{ .name = "network", .value = PL_VALUE_TEXT, .value_name = "ID", .help = "the network id to expect, as it came over another channel" },
	{ .name = "charter", .value = PL_VALUE_FILE, .value_name = "FILE.plc", .help = "the charter to expect, instead of its id" },
	{ 0 },
};

const struct pl_command pl_commands_proof[] = {
	{ .name = "export", .summary = "write a proof of one message: for someone who trusts nobody here", .options = export_options,
	  .run = run_export,
	  .operands = { { .name = "ID", .value = PL_VALUE_MESSAGE } },
	  .details = "The proof carries the charter, the signed entry, the headers around it and the key that opens this message and no other. "
	             "Whoever has the file can read the message." },
	{ .name = "verify", .summary = "check a proof, offline, with no access to any node", .options = verify_options, .run = run_verify,
	  .operands = { { .name = "FILE", .value = PL_VALUE_FILE } },
	  .details = "Each step stands on those before it: the file's form, the charter's signatures, the network, the author, the signature, "
	             "the body, the key, the text, the chain. Without --network or --charter, the network is left \"open\", \"proven\" is null in "
	             "JSON, and the command ends with 9: anyone can make keys and a charter, so compare the network id with one that came to you "
	             "another way. A file that is no proof at all, or not a whole one, gives 6, a proof of which a step fails 7." },
	{ 0 },
};
