#include <string.h>

#include "proto/content_impl.h"
#include "proto/text.h"

/* Elements of a message at its largest: the token array on the stack holds so many and no more. */
#define MESSAGE_FIELDS 15
#define MESSAGE_TOKENS (1 + MESSAGE_FIELDS + 3 * PL_RECIPIENTS_MAX + 7 * PL_ATTACHMENTS_MAX)

static void take_code(struct pl_mp_cursor *cursor, char out[PL_MEMBER_CODE_BYTES + 1])
{
	struct pl_text text = pl_content_take_text(cursor, PL_MEMBER_CODE_BYTES);

	if (cursor->err == PL_OK && !pl_member_code_is_valid(text.chars, text.bytes))
		cursor->err = PL_ERR_FORMAT;
	if (cursor->err != PL_OK)
		text.bytes = 0;
	memcpy(out, text.chars, text.bytes);
	out[text.bytes] = 0;
}

static void put_code(struct pl_mp_writer *writer, const char code[PL_MEMBER_CODE_BYTES + 1])
{
	pl_mp_put_str(writer, code, PL_MEMBER_CODE_BYTES);
}

uint32_t pl_chunks_of(uint64_t attachment_bytes)
{
	return (uint32_t)(attachment_bytes / PL_CHUNK_BYTES + (attachment_bytes % PL_CHUNK_BYTES != 0));
}

static void take_recipients(struct pl_mp_cursor *cursor, struct pl_message *out)
{
	bool has_action = false;

	out->recipients_count = (uint16_t)pl_mp_enter_array(cursor, 1, PL_RECIPIENTS_MAX);
	for (uint16_t i = 0; i < out->recipients_count; i++) {
		struct pl_recipient *recipient = &out->recipients[i];

		pl_mp_enter_array(cursor, 2, 2);
		take_code(cursor, recipient->code);
		recipient->info = (uint8_t)pl_mp_take_uint(cursor, 1);
		has_action |= !recipient->info;
		if (i == 0 || cursor->err != PL_OK)
			continue;
		/* PROTOCOL: "Addressees are listed in ascending order of code, each once." */
		int order = strcmp(out->recipients[i - 1].code, recipient->code);
		if (order == 0)
			cursor->err = PL_ERR_EXISTS;
		else if (order > 0)
			cursor->err = PL_ERR_FORMAT;
	}
	/* PROTOCOL: "At least one addressee is to act." */
	if (cursor->err == PL_OK && !has_action)
		cursor->err = PL_ERR_FORMAT;
}

/* PROTOCOL: "A file name is a line of 1 to 255 bytes without slash or backslash, and neither . nor .. by itself." */
static bool is_file_name(struct pl_text name)
{
	if (name.bytes == 0 || (name.chars[0] == '.' && (name.bytes == 1 || (name.bytes == 2 && name.chars[1] == '.'))))
		return false;
	return !memchr(name.chars, '/', name.bytes) && !memchr(name.chars, '\\', name.bytes);
}

/* PROTOCOL: "A media type is printable ASCII with a slash in it." */
static bool is_media_type(struct pl_text type)
{
	for (size_t i = 0; i < type.bytes; i++)
		if (type.chars[i] < 0x20 || type.chars[i] > 0x7e)
			return false;
	return type.bytes > 0 && memchr(type.chars, '/', type.bytes);
}

static void take_attachments(struct pl_mp_cursor *cursor, struct pl_message *out)
{
	uint64_t left = PL_ATTACHMENT_BYTES_MAX;

	out->attachments_count = (uint8_t)pl_mp_enter_array(cursor, 0, PL_ATTACHMENTS_MAX);
	for (uint8_t i = 0; i < out->attachments_count; i++) {
		struct pl_attachment *attachment = &out->attachments[i];

		pl_mp_enter_array(cursor, 6, 6);
		pl_mp_take_fixed(cursor, attachment->id, sizeof(attachment->id));
		attachment->name = pl_content_take_line(cursor, PL_FILE_NAME_BYTES_MAX);
		attachment->media_type = pl_content_take_text(cursor, PL_MEDIA_TYPE_BYTES_MAX);
		/* PROTOCOL: "All attachments of a message together have at most 16 MiB." */
		attachment->bytes = pl_mp_take_uint(cursor, left);
		left -= attachment->bytes;
		pl_mp_take_fixed(cursor, attachment->sha256, sizeof(attachment->sha256));
		attachment->chunks = (uint32_t)pl_mp_take_uint(cursor, UINT32_MAX);
		if (cursor->err != PL_OK)
			return;
		/* PROTOCOL: "The number of chunks is the size divided by 49,152, rounded up." */
		if (!is_file_name(attachment->name) || !is_media_type(attachment->media_type) ||
		    attachment->chunks != pl_chunks_of(attachment->bytes))
			cursor->err = PL_ERR_FORMAT;
		/* PROTOCOL: "No two attachments of a message have one id." */
		for (uint8_t j = 0; j < i; j++)
			if (memcmp(out->attachments[j].id, attachment->id, sizeof(attachment->id)) == 0)
				cursor->err = PL_ERR_EXISTS;
	}
}

static void take_reply_to(struct pl_mp_cursor *cursor, struct pl_message *out)
{
	size_t count;
	const uint8_t *bytes = pl_mp_take_bin(cursor, 0, PL_MESSAGE_ID_BYTES, &count);

	/* PROTOCOL: "reply_to is a message id, or has no bytes." */
	if (count != 0 && count != PL_MESSAGE_ID_BYTES)
		cursor->err = PL_ERR_FORMAT;
	out->has_reply_to = cursor->err == PL_OK && count != 0;
	memset(out->reply_to, 0, sizeof(out->reply_to));
	if (out->has_reply_to)
		memcpy(out->reply_to, bytes, count);
}

enum pl_err pl_message_read(const uint8_t *bytes, size_t count, struct pl_message *out)
{
	struct pl_mp_token tokens[MESSAGE_TOKENS];
	struct pl_mp_cursor cursor;
	struct pl_message m;
	enum pl_err err = pl_content_start_read(&cursor, bytes, count, PL_ENVELOPE_PLAIN_BYTES_MAX, MESSAGE_FIELDS, tokens, MESSAGE_TOKENS);

	if (err != PL_OK)
		return err;
	pl_mp_take_fixed(&cursor, m.id, sizeof(m.id));
	/* PROTOCOL: "A precedence is 1 to 4; deferred (0) and override (5) are not sent." */
	m.precedence = (uint8_t)pl_content_take_between(&cursor, PL_ROUTINE, PL_FLASH);
	m.sent_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	m.expires_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	/* PROTOCOL: "A message that expires does so after it was sent." */
	if (cursor.err == PL_OK && m.expires_ms != 0 && m.expires_ms <= m.sent_ms)
		cursor.err = PL_ERR_FORMAT;
	take_code(&cursor, m.sender);
	m.operator_name = pl_content_take_line(&cursor, PL_NAME_BYTES_MAX);
	m.subject = pl_content_take_line(&cursor, PL_SUBJECT_BYTES_MAX);
	/* PROTOCOL: "The text of a FLASH has at most 3,072 bytes, of any other message 60,000." */
	m.text = pl_content_take_text(&cursor, m.precedence == PL_FLASH ? PL_FLASH_TEXT_BYTES_MAX : PL_TEXT_BYTES_MAX);
	take_reply_to(&cursor, &m);
	m.template_number = (uint32_t)pl_mp_take_uint(&cursor, UINT32_MAX);
	take_recipients(&cursor, &m);
	take_attachments(&cursor, &m);
	m.exercise = pl_mp_take_bool(&cursor);
	/* PROTOCOL: "The list of signatures is empty in this version." */
	pl_mp_enter_array(&cursor, 0, 0);
	err = pl_mp_finish(&cursor);
	if (err == PL_OK)
		*out = m;
	return err;
}

static void put_recipients(struct pl_mp_writer *writer, const struct pl_message *message)
{
	uint16_t order[PL_RECIPIENTS_MAX];

	for (uint16_t i = 0; i < message->recipients_count; i++) {
		const char *code = message->recipients[i].code;
		uint16_t place = i;

		for (; place > 0 && memcmp(message->recipients[order[place - 1]].code, code, PL_MEMBER_CODE_BYTES) > 0; place--)
			order[place] = order[place - 1];
		order[place] = i;
	}
	pl_mp_put_array(writer, message->recipients_count);
	for (uint16_t i = 0; i < message->recipients_count; i++) {
		pl_mp_put_array(writer, 2);
		put_code(writer, message->recipients[order[i]].code);
		pl_mp_put_uint(writer, message->recipients[order[i]].info);
	}
}

enum pl_err pl_message_write(const struct pl_message *message, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	struct pl_mp_writer writer;
	struct pl_message read;
	enum pl_err err;

	if (message->recipients_count > PL_RECIPIENTS_MAX || message->attachments_count > PL_ATTACHMENTS_MAX)
		return PL_ERR_LIMIT;
	pl_content_start_write(&writer, out, out_max, MESSAGE_FIELDS);
	pl_mp_put_bin(&writer, message->id, sizeof(message->id));
	pl_mp_put_uint(&writer, message->precedence);
	pl_mp_put_uint(&writer, message->sent_ms);
	pl_mp_put_uint(&writer, message->expires_ms);
	put_code(&writer, message->sender);
	pl_content_put_text(&writer, message->operator_name);
	pl_content_put_text(&writer, message->subject);
	pl_content_put_text(&writer, message->text);
	pl_mp_put_bin(&writer, message->reply_to, message->has_reply_to ? PL_MESSAGE_ID_BYTES : 0);
	pl_mp_put_uint(&writer, message->template_number);
	put_recipients(&writer, message);
	pl_mp_put_array(&writer, message->attachments_count);
	for (uint8_t i = 0; i < message->attachments_count; i++) {
		const struct pl_attachment *attachment = &message->attachments[i];

		pl_mp_put_array(&writer, 6);
		pl_mp_put_bin(&writer, attachment->id, sizeof(attachment->id));
		pl_content_put_text(&writer, attachment->name);
		pl_content_put_text(&writer, attachment->media_type);
		pl_mp_put_uint(&writer, attachment->bytes);
		pl_mp_put_bin(&writer, attachment->sha256, sizeof(attachment->sha256));
		pl_mp_put_uint(&writer, attachment->chunks);
	}
	pl_mp_put_bool(&writer, message->exercise);
	pl_mp_put_array(&writer, 0);
	err = writer.err == PL_OK ? pl_message_read(out, writer.count, &read) : writer.err;
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}
