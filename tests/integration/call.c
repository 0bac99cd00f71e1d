/* call: one request to a daemon's control API, as no command makes it.
 *
 *   call SOCKET METHOD PATH [FILE [TYPE]]
 *
 * FILE is the body, - for stdin; TYPE its media type, application/json if not given. Prints the status and the reply's media type on a
 * line, then the body as it came. Exit code 1: there was no reply. CALL_HEADERS has further header lines, in place of curl's own; "Host:" leaves
 * that one out.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_MAX 60000

struct buffer {
	char *bytes;
	size_t count;
};

static size_t take(char *bytes, size_t size, size_t count, void *ctx)
{
	struct buffer *buffer = ctx;
	char *more = realloc(buffer->bytes, buffer->count + size * count + 1);

	if (!more)
		return 0;
	memcpy(more + buffer->count, bytes, size * count);
	buffer->bytes = more;
	buffer->count += size * count;
	return size * count;
}

static int read_all(const char *path, struct buffer *out)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char chunk[65536];
	size_t count;

	if (!file)
		return -1;
	while ((count = fread(chunk, 1, sizeof(chunk), file)) > 0) {
		if (take(chunk, 1, count, out) != count)
			return -1;
	}
	return file == stdin ? 0 : fclose(file);
}

int main(int argc, char **argv)
{
	struct buffer body = { 0 }, reply = { 0 };
	char url[8192], type[256], *reply_type = NULL, error[CURL_ERROR_SIZE] = "";
	const char *ms = getenv("CALL_MS"); /* when to leave a stream that does not end */
	long status = 0;

	if (argc < 4 || argc > 6 || snprintf(url, sizeof(url), "http://localhost%s", argv[3]) >= (int)sizeof(url)) {
		fputs("usage: call SOCKET METHOD PATH [FILE [TYPE]]\n", stderr);
		return 2;
	}
	char *lines = getenv("CALL_HEADERS"), *line;
	if (argc > 4 && read_all(argv[4], &body) != 0) {
		perror(argv[4]);
		return 2;
	}
	snprintf(type, sizeof(type), "Content-Type: %s", argc > 5 ? argv[5] : "application/json");
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(curl_slist_append(NULL, "Expect:"), argc > 4 ? type : "Content-Type:");
	while (headers && (line = strsep(&lines, "\n")))
		headers = curl_slist_append(headers, line);
	if (!curl || !headers)
		return 2;
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, argv[1]);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms ? strtol(ms, NULL, 10) : (long)MS_MAX);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
	if (argc > 4) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.bytes ? body.bytes : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.count);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, argv[2]);
	const CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &reply_type);
	/* A refusal may come before the whole body is sent, and the connection end with it. */
	if (code == CURLE_OK || status != 0) {
		printf("%ld %s\n", status, reply_type ? reply_type : "-");
		if (reply.count > 0)
			fwrite(reply.bytes, 1, reply.count, stdout);
	} else {
		fprintf(stderr, "call: %s\n", error[0] ? error : curl_easy_strerror(code));
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(body.bytes);
	free(reply.bytes);
	return code == CURLE_OK || status != 0 ? 0 : 1;
}
