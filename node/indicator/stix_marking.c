#include <string.h>
#include <strings.h>

#include "node/indicator/stix_impl.h"
#include "proto/content.h"

#define MARKING_PREFIX "marking-definition--"

static uint8_t tlp_of_marking(const char *id)
{
	static const struct {
		const char *uuid;
		uint8_t tlp;
	} markings[] = {
		{ "94868c89-83c2-464b-929b-a1a8aa3c8487", PL_TLP_CLEAR }, /* TLP 2.0 */
		{ "bab4a63c-aed9-4cf5-a766-dfca5abac2bb", PL_TLP_GREEN },
		{ "55d920b0-5e8b-4f79-9ee9-91f868d9b421", PL_TLP_AMBER },
		{ "939a9414-2ddd-4d32-a0cd-375ea402b003", PL_TLP_AMBER_STRICT },
		{ "e828b379-4e03-4974-9ac4-e53a884c97c1", PL_TLP_RED },
		{ "613f2e26-407d-48c7-9eca-b8e91df99dc9", PL_TLP_CLEAR }, /* TLP 1.x: WHITE */
		{ "34098fce-860f-48ae-8e50-ebd3cc5e41da", PL_TLP_GREEN },
		{ "f88d31f6-486f-44da-b317-01333bde0b82", PL_TLP_AMBER },
		{ "5e57c739-391a-4eb3-b6be-7d15ca92d5ed", PL_TLP_RED },
	};
	for (size_t i = 0; i < sizeof(markings) / sizeof(markings[0]); i++) {
		const char *a = id + sizeof(MARKING_PREFIX) - 1, *b = markings[i].uuid;
		while (*a != '\0' && (*a == *b || (*a >= 'A' && *a <= 'F' && *a - 'A' + 'a' == *b)))
			a++, b++;
		if (*a == '\0' && *b == '\0')
			return markings[i].tlp;
	}
	return 0;
}

static void narrow(uint8_t *tlp, uint8_t to)
{
	*tlp = to > *tlp ? to : *tlp;
}

/* A property that is a list, or is not there (NULL). */
static enum pl_err take_list(const json_t *root, const char *key, const json_t **out, char reason[PL_STIX_REASON_BYTES])
{
	*out = json_object_get(root, key);
	if (*out == NULL || json_is_array(*out))
		return PL_OK;
	pl_stix_say(reason, PL_STIX_REASON_BYTES, "has %s that are %s, not a list: what it is marked with cannot be told", key,
	            pl_json_kind_of(*out));
	return PL_ERR_FORMAT;
}

static enum pl_err read_ref(const json_t *ref, const char *key, uint8_t *tlp, char reason[PL_STIX_REASON_BYTES])
{
	const char *id = pl_json_plain_string(ref);
	if (id == NULL || strncmp(id, MARKING_PREFIX, sizeof(MARKING_PREFIX) - 1) != 0 || !pl_stix_is_id_form(id)) {
		pl_stix_say(reason, PL_STIX_REASON_BYTES, "has %s with a marking that is not of the form marking-definition--UUID", key);
		return PL_ERR_FORMAT;
	}
	narrow(tlp, tlp_of_marking(id));
	return PL_OK;
}

static enum pl_err read_object_markings(const json_t *root, uint8_t *tlp, char reason[PL_STIX_REASON_BYTES])
{
	static const char key[] = "object_marking_refs";
	const json_t *list;
	enum pl_err err = take_list(root, key, &list, reason);
	for (size_t i = 0; err == PL_OK && i < json_array_size(list); i++)
		err = read_ref(json_array_get(list, i), key, tlp, reason);
	return err;
}

/* STIX 2.1, section 7.2.3: each has a marking, or the language of a part. */
static enum pl_err read_granular_markings(const json_t *root, uint8_t *tlp, char reason[PL_STIX_REASON_BYTES])
{
	static const char key[] = "granular_markings";
	const json_t *list;
	enum pl_err err = take_list(root, key, &list, reason);
	for (size_t i = 0; err == PL_OK && i < json_array_size(list); i++) {
		const json_t *part = json_array_get(list, i), *ref = json_object_get(part, "marking_ref");
		if (ref != NULL) {
			err = read_ref(ref, key, tlp, reason);
		} else if (json_object_get(part, "lang") == NULL) {
			pl_stix_say(reason, PL_STIX_REASON_BYTES, "has %s with an element that has neither marking_ref nor lang", key);
			err = PL_ERR_FORMAT;
		}
	}
	return err;
}

/* Also "tlp:white", which TLP 1 has for clear. -1 if it is none. */
static int tlp_of_label(const char *label)
{
	return strncasecmp(label, "tlp:", 4) != 0 ? -1 : strcasecmp(label + 4, "white") == 0 ? PL_TLP_CLEAR : pl_tlp_parse(label);
}

/* Whether it speaks of TLP, in whatever spelling. */
static bool is_tlp_label(const char *label)
{
	label += strspn(label, " \t\r\n");
	return strncasecmp(label, "tlp", 3) == 0;
}

static enum pl_err read_labels(const json_t *root, uint8_t *tlp, char reason[PL_STIX_REASON_BYTES])
{
	const json_t *list;
	enum pl_err err = take_list(root, "labels", &list, reason);
	for (size_t i = 0; err == PL_OK && i < json_array_size(list); i++) {
		const char *label = pl_json_plain_string(json_array_get(list, i));
		if (label == NULL) {
			pl_stix_say(reason, PL_STIX_REASON_BYTES, "has labels with an element that is no text");
			err = PL_ERR_FORMAT;
		} else if (is_tlp_label(label)) {
			int known = tlp_of_label(label);
			if (known < 0) {
				pl_stix_say(reason, PL_STIX_REASON_BYTES,
				            "has labels with one that begins with tlp and is none of tlp:clear, tlp:white, tlp:green, "
				            "tlp:amber, tlp:amber+strict and tlp:red");
				err = PL_ERR_FORMAT;
			} else {
				narrow(tlp, (uint8_t)known);
			}
		}
	}
	return err;
}

/* The narrowest TLP anywhere on the object: its markings, those of parts of it, and labels such as "tlp:red", which tools write that tag
 * rather than mark. A part that may not be shared keeps the whole from being shared, since it goes byte for byte or not at all. What looks
 * like a marking and cannot be read is never taken for none: its author meant to keep something from somebody. */
enum pl_err pl_stix_read_markings(const json_t *root, uint8_t *tlp, char reason[PL_STIX_REASON_BYTES])
{
	uint8_t narrowest = 0;
	enum pl_err err = read_object_markings(root, &narrowest, reason);
	if (err == PL_OK)
		err = read_granular_markings(root, &narrowest, reason);
	if (err == PL_OK)
		err = read_labels(root, &narrowest, reason);
	if (err == PL_OK)
		*tlp = narrowest;
	return err;
}
