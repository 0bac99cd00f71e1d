/* Whether JSON is as openapi.json describes it: the few words of JSON Schema that stand there. */
#ifndef PL_TESTS_SCHEMA_H
#define PL_TESTS_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

#define SCHEMA_FAULT_BYTES 500

/* schema: part of openapi, which has the schemas that it refers to. place: what the JSON is called in fault, which gets a sentence if it
 * does not fit. */
bool schema_fits(const json_t *openapi, const json_t *schema, const json_t *json, const char *place, char fault[SCHEMA_FAULT_BYTES]);

#endif
