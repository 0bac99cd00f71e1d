#include "node/indicator/stix.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/content.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define BUNDLE(objects) "{\"type\":\"bundle\",\"id\":\"bundle--" UUID "\",\"objects\":[" objects "]}"
#define TIMES "\"created\":\"2026-11-01T10:00:00.000Z\",\"modified\":\"2026-11-02T10:00:00.000Z\""
#define IDENTITY "{\"type\":\"identity\",\"spec_version\":\"2.1\",\"id\":\"identity--" UUID "\"," TIMES ",\"name\":\"A\"}"
#define MARKED(rest) "{\"type\":\"identity\",\"spec_version\":\"2.1\",\"id\":\"identity--" UUID "\"," TIMES "," rest "}"

struct tally {
	size_t good, rejected;
	enum pl_err err;
	char why[200], reason[PL_STIX_REASON_BYTES], id[PL_STIX_ID_BYTES_MAX + 1];
	uint8_t tlp;
};

/* Walks a copy of exactly this size, so that a sanitizer sees a byte too many. */
static struct tally walk_bytes(const void *text, size_t count)
{
	struct tally tally = { 0 };
	uint8_t *bytes = malloc(count > 0 ? count : 1);
	memcpy(bytes, text, count);
	struct pl_stix_walk walk;
	struct pl_stix_item *item = malloc(sizeof(*item));
	tally.err = pl_stix_walk_begin(&walk, bytes, count, tally.why, sizeof(tally.why));
	while (tally.err == PL_OK) {
		size_t before = walk.at;
		tally.err = pl_stix_walk_next(&walk, item, tally.why, sizeof(tally.why));
		if (tally.err != PL_OK || item->found == PL_STIX_END)
			break;
		cr_assert_eq(item->index, tally.good + tally.rejected);
		cr_assert_gt(walk.at, before);
		cr_assert(item->object.bytes >= bytes && item->object.bytes + item->object.count <= bytes + count);
		if (item->found == PL_STIX_OBJECT) {
			tally.good++;
			tally.tlp = item->object.tlp;
		} else {
			tally.rejected++;
			snprintf(tally.reason, sizeof(tally.reason), "%s", item->reason);
			snprintf(tally.id, sizeof(tally.id), "%s", item->object.id);
		}
	}
	if (tally.err == PL_OK)
		cr_assert_eq(walk.at, count, "a finished walk has done all bytes");
	free(item);
	free(bytes);
	return tally;
}

static struct tally walk(const char *text)
{
	return walk_bytes(text, strlen(text));
}

static uint8_t *read_file(const char *path, size_t *count)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return NULL;
	fseek(file, 0, SEEK_END);
	*count = (size_t)ftell(file);
	rewind(file);
	uint8_t *bytes = malloc(*count + 1);
	cr_assert_eq(fread(bytes, 1, *count, file), *count);
	fclose(file);
	return bytes;
}

Test(stix, every_object_of_the_sample_is_good)
{
	size_t count;
	uint8_t *bytes = read_file(PL_SAMPLES_DIR "/tidegate.json", &count);
	cr_assert_not_null(bytes, "the sample is missing: %s", PL_SAMPLES_DIR);
	struct tally tally = walk_bytes(bytes, count);
	cr_assert_eq(tally.err, PL_OK, "%s", tally.why);
	cr_assert_eq(tally.rejected, 0, "%s", tally.reason);
	cr_assert_eq(tally.good, 57);
	free(bytes);
}

Test(stix, an_object_is_given_byte_for_byte_and_described)
{
	static const char object[] =
		"{ \"name\" : \"caf\\u00e9\\u0007\",\t\"type\":\"malware\", \"spec_version\":\"2.1\",\n"
		"\"id\":\"malware--" UUID "\", \"created\":\"2026-11-01T10:00:00Z\", \"modified\":\"2026-11-02T10:00:00.5Z\" }";
	char text[1024], why[200];
	snprintf(text, sizeof(text), "\xef\xbb\xbf \n{\"objects\":\t[ %s \r\n], \"x\": [1.50, null], \"id\":\"bundle--" UUID
	                             "\", \"t\\u0079pe\":\"bundle\", \"spec_version\":\"2.1\"} \n", object);
	struct pl_stix_walk w;
	struct pl_stix_item item;
	cr_assert_eq(pl_stix_walk_begin(&w, (const uint8_t *)text, strlen(text), why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_stix_walk_next(&w, &item, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(item.found, PL_STIX_OBJECT, "%s", item.reason);
	cr_assert_eq(item.object.count, strlen(object));
	cr_assert_arr_eq(item.object.bytes, object, strlen(object));
	cr_assert_str_eq(item.object.type, "malware");
	cr_assert_str_eq(item.object.id, "malware--" UUID);
	cr_assert_str_eq(item.object.modified, "2026-11-02T10:00:00.5Z");
	cr_assert_eq(item.object.modified_us, INT64_C(1793613600500000));
	cr_assert_str_eq(item.object.name, "caf\xc3\xa9\x07", "who shows it makes it harmless");
	cr_assert_eq(item.object.tlp, 0);
	cr_assert_eq(pl_stix_walk_next(&w, &item, why, sizeof(why)), PL_OK);
	cr_assert_eq(item.found, PL_STIX_END);
	cr_assert_eq(pl_stix_walk_next(&w, &item, why, sizeof(why)), PL_OK);
	cr_assert_eq(item.found, PL_STIX_END, "the end stays the end");
}

Test(stix, what_is_no_bundle_is_refused_with_a_sentence)
{
	static const struct {
		const char *text;
		enum pl_err err;
		const char *words;
	} cases[] = {
		{ "", PL_ERR_FORMAT, "empty" },
		{ " \n\t ", PL_ERR_FORMAT, "empty" },
		{ "indicator,value\n", PL_ERR_FORMAT, "not JSON" },
		{ "\xff\xfe{", PL_ERR_FORMAT, "not JSON" },
		{ "{", PL_ERR_FORMAT, "brackets open" },
		{ "{]", PL_ERR_FORMAT, "another kind" },
		{ "{} {}", PL_ERR_FORMAT, "follows after the end" },
		{ "{\"a\":\"b}", PL_ERR_FORMAT, "string" },
		{ "{\"a\\", PL_ERR_FORMAT, "string" },
		{ "{\"a\"}", PL_ERR_FORMAT, "missing" },
		{ "{\"a\":}", PL_ERR_FORMAT, "missing" },
		{ "{\"a\":1,}", PL_ERR_FORMAT, "missing" },
		{ "{\"a\":1 \"b\":2}", PL_ERR_FORMAT, "missing" },
		{ "{\"a\":nul}", PL_ERR_FORMAT, "invalid token" },
		{ "[]", PL_ERR_FORMAT, "a list" },
		{ "{}", PL_ERR_FORMAT, "not a STIX bundle" },
		{ "{\"type\":\"indicator\"}", PL_ERR_FORMAT, "\"indicator\"" },
		{ "{\"type\":3}", PL_ERR_FORMAT, "not a STIX bundle" },
		{ "{\"type\":\"bundle\",\"type\":\"bundle\"}", PL_ERR_FORMAT, "twice" },
		{ "{\"type\":\"bundle\",\"id\":\"bundle--1\"}", PL_ERR_FORMAT, "bundle--UUID" },
		{ "{\"type\":\"bundle\",\"objects\":[]}", PL_ERR_FORMAT, "bundle--UUID" },
		{ "{\"type\":\"bundle\",\"id\":\"bundle--" UUID "\",\"objects\":{}}", PL_ERR_FORMAT, "not a list" },
		{ "{\"type\":\"bundle\",\"spec_version\":\"2.0\",\"id\":\"bundle--" UUID "\",\"objects\":[]}", PL_ERR_VERSION, "STIX 2.0" },
		{ "{\"type\":\"bundle\",\"spec_version\":\"3.0\",\"id\":\"bundle--" UUID "\",\"objects\":[]}", PL_ERR_VERSION, "2.1" },
		{ BUNDLE(IDENTITY ",,"), PL_ERR_FORMAT, "an object is missing" },
		{ BUNDLE(IDENTITY " " IDENTITY), PL_ERR_FORMAT, "comma" },
		{ BUNDLE(IDENTITY ","), PL_ERR_FORMAT, "an object is missing" },
		{ BUNDLE(IDENTITY ",{\"type\":\"identity\",}"), PL_ERR_FORMAT, "not JSON" },
		{ BUNDLE("{\"a\":\"\xc3\x28\"}"), PL_ERR_FORMAT, "not JSON" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tally tally = walk(cases[i].text);
		cr_expect_eq(tally.err, cases[i].err, "case %zu: %s", i, pl_err_str(tally.err));
		cr_expect_not_null(strstr(tally.why, cases[i].words), "case %zu says: %s", i, tally.why);
	}
}

Test(stix, a_fault_has_line_and_place)
{
	struct tally tally = walk("{\"type\":\"bundle\",\n \"id\":\"bundle--" UUID "\",\n\"objects\":[\n  {\"type\": bad}]}");
	cr_assert_eq(tally.err, PL_ERR_FORMAT);
	cr_assert_not_null(strstr(tally.why, "line 4, byte "), "%s", tally.why);
}

Test(stix, objects_that_break_a_rule_are_rejected_and_the_others_go_on)
{
#define BAD(id_type, rest) "{\"id\":\"" id_type "--" UUID "\"" rest "}"
	static const struct {
		const char *object, *reason;
		bool has_id;
	} cases[] = {
		{ "7", "is a number, not an object", false },
		{ "\"identity\"", "is a string, not an object", false },
		{ "[{}]", "is a list, not an object", false },
		{ "null", "is null, not an object", false },
		{ "{}", "has no type", false },
		{ BAD("identity", ""), "has no type", true },
		{ BAD("identity", ",\"type\":\"Identity\""), "has a type", true },
		{ BAD("identity", ",\"type\":[]"), "has a type", true },
		{ "{\"type\":\"identity\"}", "has no id", false },
		{ "{\"type\":\"identity\",\"id\":\"identity-1\"}", "type--UUID", false },
		{ "{\"type\":\"identity\",\"id\":\"identity--" UUID "0\"}", "type--UUID", false },
		{ "{\"type\":\"identity\",\"id\":\"identity--1111111122224333844455555555555555555\"}", "type--UUID", false },
		{ "{\"type\":\"identity\",\"id\":\"identity--" UUID "\\u0000\"}", "type--UUID", false },
		{ BAD("malware", ",\"type\":\"identity\""), "id of another type", true },
		{ BAD("bundle", ",\"type\":\"bundle\""), "is a bundle", true },
		{ BAD("identity", ",\"type\":\"identity\"," TIMES), "no spec_version", true },
		{ BAD("identity", ",\"type\":\"identity\",\"spec_version\":\"2.0\"," TIMES), "other than \"2.1\"", true },
		{ BAD("identity", ",\"type\":\"identity\",\"spec_version\":2.1," TIMES), "other than \"2.1\"", true },
		{ BAD("x-gadget", ",\"type\":\"x-gadget\"," TIMES), "no spec_version", true },
		{ BAD("identity", ",\"type\":\"identity\",\"spec_version\":\"2.1\""), "has no created time", true },
		{ BAD("identity", ",\"type\":\"identity\",\"spec_version\":\"2.1\",\"created\":\"2026-11-01T10:00:00Z\""),
		  "has no modified time", true },
		{ BAD("identity", ",\"type\":\"identity\",\"spec_version\":\"2.1\",\"created\":\"2026-11-01T10:00:00Z\",\"modified\":"
		                  "\"2026-10-01T10:00:00Z\""),
		  "modified before", true },
		{ BAD("marking-definition", ",\"type\":\"marking-definition\",\"spec_version\":\"2.1\""), "has no created time", true },
		{ BAD("identity", ",\"type\":\"identity\",\"type\":\"identity\""), "duplicate", true },
		{ BAD("identity", ",\"type\":\"identity\",\"confidence\":123456789012345678901234567890"), "too big", true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048];
		snprintf(text, sizeof(text), BUNDLE(IDENTITY ", %s ," IDENTITY), cases[i].object);
		struct tally tally = walk(text);
		cr_expect_eq(tally.err, PL_OK, "case %zu: %s", i, tally.why);
		cr_expect(tally.good == 2 && tally.rejected == 1, "case %zu: %zu good, %zu rejected", i, tally.good, tally.rejected);
		cr_expect_not_null(strstr(tally.reason, cases[i].reason), "case %zu says: %s", i, tally.reason);
		cr_expect_eq(tally.id[0] != '\0', cases[i].has_id, "case %zu names %s", i, tally.id);
	}
}

Test(stix, observables_and_markings_need_less)
{
	static const char *const objects[] = {
		"{\"type\":\"ipv4-addr\",\"id\":\"ipv4-addr--" UUID "\",\"value\":\"192.0.2.1\"}",
		"{\"type\":\"ipv4-addr\",\"spec_version\":\"2.1\",\"id\":\"ipv4-addr--" UUID "\",\"value\":\"192.0.2.1\"}",
		"{\"type\":\"x-gauge\",\"id\":\"x-gauge--" UUID "\"}",
		"{\"type\":\"marking-definition\",\"spec_version\":\"2.1\",\"id\":\"marking-definition--" UUID
		"\",\"created\":\"2026-11-01T10:00:00Z\"}",
		"{\"type\":\"identity\",\"spec_version\":\"2.1\",\"id\":\"identity--AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE\"," TIMES "}",
	};
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		struct pl_stix_object object;
		char reason[PL_STIX_REASON_BYTES];
		cr_expect_eq(pl_stix_object_read((const uint8_t *)objects[i], strlen(objects[i]), &object, reason), PL_OK, "%zu: %s", i,
		             reason);
	}
}

Test(stix, times_are_rfc_3339_in_utc)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: no time */
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2000-02-29T12:34:56.789Z", INT64_C(951827696789000) },
		{ "2024-02-29T00:00:00.000001Z", INT64_C(1709164800000001) },
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800000000) },
		{ "9999-12-31T23:59:59.999999999Z", INT64_C(253402300799999999) },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "1900-02-29T00:00:00Z", -1 },
		{ "2026-13-01T00:00:00Z", -1 },
		{ "2026-00-01T00:00:00Z", -1 },
		{ "2026-11-31T00:00:00Z", -1 },
		{ "2026-11-01T24:00:00Z", -1 },
		{ "2026-11-01T00:60:00Z", -1 },
		{ "2026-11-01T00:00:61Z", -1 },
		{ "2026-11-01T00:00:00.Z", -1 },
		{ "2026-11-01T00:00:00", -1 },
		{ "2026-11-01T00:00:00+00:00", -1 },
		{ "2026-11-01t00:00:00z", -1 },
		{ "2026-11-01 00:00:00Z", -1 },
		{ "2026-11-01T00:00:00Z ", -1 },
		{ "2026-11-01", -1 },
		{ "", -1 },
		{ "2026-11-01T00:00:00.00000000000000000000000000Z", -1 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512], reason[PL_STIX_REASON_BYTES];
		struct pl_stix_object object;
		snprintf(text, sizeof(text), "{\"type\":\"marking-definition\",\"spec_version\":\"2.1\",\"id\":\"marking-definition--" UUID
		                             "\",\"created\":\"%s\"}", cases[i].text);
		enum pl_err err = pl_stix_object_read((const uint8_t *)text, strlen(text), &object, reason);
		cr_expect_eq(err == PL_OK, cases[i].us >= 0, "%s", cases[i].text);
		if (err == PL_OK)
			cr_expect_eq(object.modified_us, cases[i].us, "%s is %lld", cases[i].text, (long long)object.modified_us);
		else
			cr_expect_not_null(strstr(reason, "RFC 3339"), "%s", reason);
	}
}

Test(stix, the_narrowest_marking_counts)
{
	static const struct {
		const char *rest;
		uint8_t tlp;
	} cases[] = {
		{ "\"name\":\"unmarked\"", 0 },
		{ "\"object_marking_refs\":[\"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487\"]", PL_TLP_CLEAR },
		{ "\"object_marking_refs\":[\"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb\"]", PL_TLP_GREEN },
		{ "\"object_marking_refs\":[\"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421\"]", PL_TLP_AMBER },
		{ "\"object_marking_refs\":[\"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003\"]", PL_TLP_AMBER_STRICT },
		{ "\"object_marking_refs\":[\"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1\"]", PL_TLP_RED },
		{ "\"object_marking_refs\":[\"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9\"]", PL_TLP_CLEAR },
		{ "\"object_marking_refs\":[\"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da\"]", PL_TLP_GREEN },
		{ "\"object_marking_refs\":[\"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82\"]", PL_TLP_AMBER },
		{ "\"object_marking_refs\":[\"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed\"]", PL_TLP_RED },
		{ "\"object_marking_refs\":[\"marking-definition--5E57C739-391A-4EB3-B6BE-7D15CA92D5ED\"]", PL_TLP_RED },
		{ "\"object_marking_refs\":[\"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487\","
		  "\"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1\",\"marking-definition--" UUID "\"]",
		  PL_TLP_RED },
		{ "\"granular_markings\":[{\"marking_ref\":\"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1\",\"selectors\":["
		  "\"name\"]}]",
		  PL_TLP_RED },
		{ "\"labels\":[\"ransomware\",\"TLP:AMBER\"]", PL_TLP_AMBER },
		{ "\"labels\":[\"TLP:White\",\"red\"]", PL_TLP_CLEAR },
		{ "\"labels\":[\"red\",\"amber\",\"a tlp:red\",\"\"]", 0 },
		{ "\"object_marking_refs\":[],\"granular_markings\":[],\"labels\":[]", 0 },
		{ "\"granular_markings\":[{\"lang\":\"fr\",\"selectors\":[\"name\"]}]", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		snprintf(text, sizeof(text), BUNDLE(MARKED("%s")), cases[i].rest);
		struct tally tally = walk(text);
		cr_expect_eq(tally.good, 1, "%s %s", tally.why, tally.reason);
		cr_expect_eq(tally.tlp, cases[i].tlp, "case %zu is %u", i, tally.tlp);
	}
}

/* Were they taken for unmarked, the author's mistake would show to all what was meant for few. */
Test(stix, a_marking_that_cannot_be_read_is_refused)
{
#define RED "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
	static const struct {
		const char *rest, *field;
	} cases[] = {
		{ "\"object_marking_refs\":\"" RED "\"", "object_marking_refs that are a string, not a list" },
		{ "\"object_marking_refs\":null", "object_marking_refs that are null" },
		{ "\"object_marking_refs\":{\"0\":\"" RED "\"}", "object_marking_refs that are an object" },
		{ "\"object_marking_refs\":[[\"" RED "\"]]", "object_marking_refs with a marking" },
		{ "\"object_marking_refs\":[\" " RED "\"]", "object_marking_refs with a marking" },
		{ "\"object_marking_refs\":[\"" RED "\\u0000\"]", "object_marking_refs with a marking" },
		{ "\"object_marking_refs\":[\"identity--" UUID "\"]", "object_marking_refs with a marking" },
		{ "\"object_marking_refs\":[\"TLP:RED\"]", "object_marking_refs with a marking" },
		{ "\"object_marking_refs\":[7]", "object_marking_refs with a marking" },
		{ "\"granular_markings\":{\"marking_ref\":\"" RED "\",\"selectors\":[\"name\"]}", "granular_markings that are an object" },
		{ "\"granular_markings\":[{\"marking_ref\":[\"" RED "\"],\"selectors\":[\"name\"]}]", "granular_markings with a marking" },
		{ "\"granular_markings\":[{\"marking_refs\":\"" RED "\",\"selectors\":[\"name\"]}]", "granular_markings with an element" },
		{ "\"granular_markings\":[\"" RED "\"]", "granular_markings with an element" },
		{ "\"labels\":\"tlp:red\"", "labels that are a string" },
		{ "\"labels\":[[\"tlp:red\"]]", "labels with an element" },
		{ "\"labels\":[\"tlp:red\\u0000\"]", "labels with an element" },
		{ "\"labels\":[\"TLP: RED\"]", "labels with one that begins with tlp" },
		{ "\"labels\":[\"tlp-red\"]", "labels with one that begins with tlp" },
		{ "\"labels\":[\"tlp:clear\",\"tlpred\"]", "labels with one that begins with tlp" },
		{ "\"labels\":[\"tlp:amber+strict \"]", "labels with one that begins with tlp" },
		{ "\"labels\":[\" tlp:red\"]", "labels with one that begins with tlp" },
		{ "\"labels\":[\"Tlp\"]", "labels with one that begins with tlp" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		snprintf(text, sizeof(text), BUNDLE(MARKED("%s")), cases[i].rest);
		struct tally tally = walk(text);
		cr_expect(tally.good == 0 && tally.rejected == 1, "%s is taken", cases[i].rest);
		cr_expect_not_null(strstr(tally.reason, cases[i].field), "%s says: %s", cases[i].rest, tally.reason);
		cr_expect_str_eq(tally.id, "identity--" UUID);
	}
}

Test(stix, names_are_what_people_know_an_object_by)
{
	static const struct {
		const char *type, *rest, *name;
	} cases[] = {
		{ "ipv4-addr", "\"value\":\"192.0.2.1\"", "192.0.2.1" },
		{ "indicator", "\"pattern\":\"[url:value = 'x']\"", "[url:value = 'x']" },
		{ "relationship", "\"source_ref\":\"malware--1\",\"relationship_type\":\"uses\",\"target_ref\":\"tool--2\"",
		  "malware uses tool" },
		{ "sighting", "\"sighting_of_ref\":\"indicator--1\"", "sighting of indicator" },
		{ "file", "\"hashes\":{\"MD5\":\"0123\"}", "0123" },
		{ "identity", "\"name\":7", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512], reason[PL_STIX_REASON_BYTES];
		struct pl_stix_object object;
		snprintf(text, sizeof(text), "{\"type\":\"%s\",\"spec_version\":\"2.1\",\"id\":\"%s--" UUID "\"," TIMES ",%s}",
		         cases[i].type, cases[i].type, cases[i].rest);
		cr_assert_eq(pl_stix_object_read((const uint8_t *)text, strlen(text), &object, reason), PL_OK, "%s", reason);
		cr_expect_str_eq(object.name, cases[i].name);
	}

	/* a long name ends between characters */
	char name[600] = "", text[1024], reason[PL_STIX_REASON_BYTES];
	for (int i = 0; i < 100; i++)
		strcat(name, "\xe2\x82\xac");
	struct pl_stix_object object;
	snprintf(text, sizeof(text), MARKED("\"name\":\"%s\""), name);
	cr_assert_eq(pl_stix_object_read((const uint8_t *)text, strlen(text), &object, reason), PL_OK, "%s", reason);
	cr_assert_eq(strlen(object.name), PL_STIX_NAME_BYTES_MAX / 3 * 3);
}

Test(stix, what_is_too_deep_is_refused_before_anything_recurses)
{
	for (size_t depth = PL_STIX_DEPTH_MAX - 3; depth <= 10000; depth = depth < PL_STIX_DEPTH_MAX ? depth + 1 : depth * 10) {
		char *nest = malloc(2 * depth + 1);
		memset(nest, '[', depth);
		memset(nest + depth, ']', depth);
		nest[2 * depth] = '\0';
		size_t text_max = 2 * depth + 512;
		char *text = malloc(text_max);
		snprintf(text, text_max, BUNDLE(MARKED("\"x\":%s")), nest);
		struct tally tally = walk(text);
		bool fits = depth + 3 <= PL_STIX_DEPTH_MAX;
		cr_expect_eq(tally.err, fits ? PL_OK : PL_ERR_LIMIT, "depth %zu: %s", depth, tally.why);
		if (!fits)
			cr_expect_not_null(strstr(tally.why, "nested more than 64 deep, at line 1"), "%s", tally.why);

		snprintf(text, text_max, MARKED("\"x\":%s"), nest);
		struct pl_stix_object object;
		char reason[PL_STIX_REASON_BYTES];
		cr_expect_eq(pl_stix_object_read((const uint8_t *)text, strlen(text), &object, reason), fits ? PL_OK : PL_ERR_LIMIT);

		struct tally bare = walk(nest);
		cr_expect_eq(bare.err, depth <= PL_STIX_DEPTH_MAX ? PL_ERR_FORMAT : PL_ERR_LIMIT, "%s", bare.why);
		free(text);
		free(nest);
	}
}

Test(stix, an_object_of_one_byte_too_many_is_rejected_by_name)
{
	for (size_t count = PL_OBJECT_BYTES_MAX - 1; count <= PL_OBJECT_BYTES_MAX + 1; count++) {
		char *text = malloc(count + 512), *object = malloc(count + 1);
		int used = snprintf(object, count, "%s", MARKED("\"x\":\""));
		memset(object + used - 1, 'x', count - (size_t)used + 1);
		memcpy(object + count - 2, "\"}", 3);
		sprintf(text, BUNDLE(IDENTITY ",%s"), object);
		struct tally tally = walk(text);
		cr_expect_eq(tally.err, PL_OK, "%s", tally.why);
		cr_expect_eq(tally.good, count <= PL_OBJECT_BYTES_MAX ? 2 : 1);
		if (count > PL_OBJECT_BYTES_MAX) {
			cr_expect_str_eq(tally.id, "identity--" UUID);
			cr_expect_not_null(strstr(tally.reason, "131041 bytes"), "%s", tally.reason);
		}
		free(object);
		free(text);
	}
}

Test(stix, a_file_that_is_too_large_is_refused_by_its_size_alone)
{
	struct pl_stix_walk w;
	char why[200];
	/* no byte of it is there to read */
	cr_assert_eq(pl_stix_walk_begin(&w, NULL, (size_t)200 << 20, why, sizeof(why)), PL_ERR_LIMIT);
	cr_assert_not_null(strstr(why, "100 MiB"), "%s", why);
}

Test(stix, more_objects_than_the_limit_are_refused)
{
	size_t count = 2 * (size_t)PL_STIX_OBJECTS_MAX + 256;
	char *text = malloc(count);
	size_t at = (size_t)sprintf(text, "{\"type\":\"bundle\",\"id\":\"bundle--" UUID "\",\"objects\":[0");
	for (int i = 0; i < PL_STIX_OBJECTS_MAX; i++, at += 2)
		memcpy(text + at, ",0", 2);
	memcpy(text + at, "]}", 2);
	struct tally tally = walk_bytes(text, at + 2);
	cr_assert_eq(tally.err, PL_ERR_LIMIT);
	cr_assert_not_null(strstr(tally.why, "1000000 objects"), "%s", tally.why);
	free(text);
}

Test(stix, a_truncated_bundle_is_never_taken)
{
	static const char text[] = BUNDLE(IDENTITY ", " IDENTITY);
	for (size_t count = 0; count < sizeof(text) - 1; count++) {
		struct tally tally = walk_bytes(text, count);
		cr_assert_neq(tally.err, PL_OK, "%zu bytes were taken", count);
	}
	cr_assert_eq(walk(text).good, 2);
	static const char object[] = IDENTITY;
	for (size_t count = 0; count < sizeof(object) - 1; count++) {
		uint8_t *bytes = malloc(count > 0 ? count : 1);
		memcpy(bytes, object, count);
		struct pl_stix_object out;
		char reason[PL_STIX_REASON_BYTES];
		cr_assert_neq(pl_stix_object_read(bytes, count, &out, reason), PL_OK);
		free(bytes);
	}
}

Test(stix, a_bundle_that_is_written_reads_back)
{
	char text[1024];
	uint8_t random[16];
	memset(random, 0xff, sizeof(random));
	size_t at = pl_stix_bundle_head(random, text);
	cr_assert_lt(at, PL_STIX_BUNDLE_HEAD_BYTES);
	cr_assert_eq(at, strlen(text));
	cr_assert_not_null(strstr(text, "bundle--ffffffff-ffff-4fff-bfff-ffffffffffff"));
	strcat(text, IDENTITY "," IDENTITY PL_STIX_BUNDLE_TAIL);
	cr_assert_eq(walk(text).good, 2);
	at = pl_stix_bundle_head(random, text);
	strcpy(text + at, PL_STIX_BUNDLE_TAIL);
	struct tally tally = walk(text);
	cr_assert(tally.err == PL_OK && tally.good == 0);
	strcpy(text, PL_STIX_BUNDLE_BEGIN IDENTITY);
	at = strlen(text);
	cr_assert_eq(pl_stix_bundle_end(random, text + at), strlen(text + at));
	cr_assert_lt(strlen(text + at), PL_STIX_BUNDLE_END_BYTES - 1u);
	tally = walk(text);
	cr_assert(tally.err == PL_OK && tally.good == 1, "its id may come last");
	cr_assert_eq(walk("{\"type\":\"bundle\",\"id\":\"bundle--" UUID "\"}").err, PL_OK, "\"objects\" may be absent");
}

/* Reports that others have published: tests/README.md, "Samples". */
Test(stix, published_bundles_are_read)
{
	static const struct {
		const char *file;
		size_t good, rejected;
	} cases[] = {
		{ "poisonivy.json", 155, 0 },
		{ "ics-attack-18.1.json", 1825, 1 }, /* its x-mitre-collection lists every other object and is over the limit */
	};
	const char *folder = getenv("PARLEY_STIX_DIR");
	for (size_t i = 0; folder && i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[1024];
		size_t count;
		snprintf(path, sizeof(path), "%s/%s", folder, cases[i].file);
		uint8_t *bytes = read_file(path, &count);
		cr_assert_not_null(bytes, "%s is missing", path);
		struct tally tally = walk_bytes(bytes, count);
		cr_expect_eq(tally.err, PL_OK, "%s: %s", cases[i].file, tally.why);
		cr_expect(tally.good == cases[i].good && tally.rejected == cases[i].rejected, "%s: %zu good, %zu rejected (%s %s)", cases[i].file,
		          tally.good, tally.rejected, tally.id, tally.reason);
		free(bytes);
	}
}
