#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/conf.h"

static void write_comment(FILE *out, const char *text)
{
	enum { COLUMNS = 100 };
	size_t column = 0;
	while (*text) {
		size_t word = strcspn(text, " ");
		if (column > 0 && column + 1 + word > COLUMNS) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : "# ", (int)word, text);
		text += word + (text[word] == ' ');
	}
	fputc('\n', out);
}

char *pl_conf_template(const char *listen, const char *const *peers, size_t peers_count)
{
	char why[16];
	if (listen && pl_conf_check("listen", listen, why, sizeof(why)) != PL_OK)
		return NULL;
	for (size_t i = 0; i < peers_count; i++)
		if (pl_conf_check("peer", peers[i], why, sizeof(why)) != PL_OK)
			return NULL;

	char *text = NULL;
	size_t count = 0;
	FILE *out = open_memstream(&text, &count);
	if (!out)
		return NULL;
	fputs("# Configuration of a Parley node. Lines that start with # are comments; the values in them are the defaults.\n"
	      "# Paths are relative to this directory. Quotes keep blanks and # in a value: key = \"my key #1.key\"\n"
	      "# node/OPERATING.md, \"Configuration\", says more.\n", out);
	const struct pl_conf_key *key;
	for (size_t i = 0; (key = pl_conf_key(i)) != NULL; i++) {
		fputc('\n', out);
		write_comment(out, key->summary);
		if (key->form)
			fprintf(out, "# Value: %s\n", key->form);
		else
			fprintf(out, "# Value: %" PRIu64 " to %" PRIu64 "\n", key->min, key->max);
		if (strcmp(key->name, "listen") == 0 && listen)
			fprintf(out, "listen = %s\n", listen);
		else if (strcmp(key->name, "listen") == 0)
			fputs("#listen = 0.0.0.0:7100\n", out);
		else if (strcmp(key->name, "peer") == 0 && peers_count)
			for (size_t j = 0; j < peers_count; j++)
				fprintf(out, "peer = %s\n", peers[j]);
		else if (strcmp(key->name, "peer") == 0)
			fputs("#peer = CHE 192.0.2.7:7100\n", out);
		else
			fprintf(out, "#%s =%s%s\n", key->name, *key->default_text ? " " : "", key->default_text);
	}
	bool failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
