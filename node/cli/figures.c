#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "node/cli/cli.h"

char *pl_hex(const uint8_t *bytes, size_t count)
{
	char *hex = pl_alloc(count * 2 + 1);
	for (size_t i = 0; i < count; i++)
		snprintf(hex + i * 2, 3, "%02x", bytes[i]);
	return hex;
}

char *pl_hex_groups(const uint8_t *bytes, size_t count)
{
	char *hex = pl_alloc(count * 3 + 1), *at = hex;
	for (size_t i = 0; i < count; i++)
		at += snprintf(at, 4, "%s%02x", i > 0 && i % 2 == 0 ? " " : "", bytes[i]);
	return hex;
}

char *pl_bytes_text(uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	if (bytes < 1024)
		return pl_format("%u B", (unsigned)bytes);
	double value = (double)bytes / 1024;
	size_t unit = 0;
	for (; value >= 1023.95 && unit < 3; unit++)
		value /= 1024;
	return pl_format("%.1f %s", value, units[unit]);
}

const char *pl_store_remark(const char *state)
{
	if (strcmp(state, "full") == 0)
		return "; FULL: nothing is taken in or sent until there is room";
	if (strcmp(state, "urgent_only") == 0)
		return "; LITTLE ROOM: nothing but urgent messages is taken in or sent until there is more";
	return strcmp(state, "no_bulk") == 0 ? "; LITTLE ROOM: indicators and attachments wait until there is more" : "";
}

char *pl_count_text(uint64_t count)
{
	char digits[24], out[32];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count), at = 0;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	return pl_format("%.*s", at, out);
}

char *pl_number_of(uint64_t count, const char *one, const char *many)
{
	return pl_format("%s %s", pl_count_text(count), count == 1 ? one : many);
}

char *pl_duration_text(uint64_t ms)
{
	uint64_t s = ms / 1000;
	if (ms < 1000)
		return pl_format("%u ms", (unsigned)ms);
	if (s < 10)
		return pl_format("%.1f s", (double)ms / 1000);
	if (s < 60)
		return pl_format("%u s", (unsigned)s);
	if (s < 3600)
		return pl_format("%u min %u s", (unsigned)(s / 60), (unsigned)(s % 60));
	if (s < 86400)
		return pl_format("%u h %u min", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60));
	return pl_format("%s d %u h", pl_count_text(s / 86400), (unsigned)(s % 86400 / 3600));
}

char *pl_upper(const char *text)
{
	char *out = pl_format("%s", text);
	for (char *at = out; *at != '\0'; at++)
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	return out;
}

char *pl_lower(const char *text)
{
	char *out = pl_format("%s", text);
	for (char *at = out; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	return out;
}

/* --- times --- */

int64_t pl_now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t pl_ticks_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool take_digits(const char **at, int count, int *out)
{
	int value = 0;
	for (int i = 0; i < count; i++, (*at)++) {
		if (!isdigit((unsigned char)**at))
			return false;
		value = value * 10 + (**at - '0');
	}
	*out = value;
	return true;
}

static bool take_char(const char **at, const char *any)
{
	if (**at == '\0' || strchr(any, **at) == NULL)
		return false;
	(*at)++;
	return true;
}

bool pl_time_read(const char *rfc3339, int64_t *ms)
{
	const char *at = rfc3339;
	struct tm tm = { 0 };
	int fraction = 0, sign = 0, zone_h = 0, zone_min = 0;
	if (!take_digits(&at, 4, &tm.tm_year) || !take_char(&at, "-") || !take_digits(&at, 2, &tm.tm_mon) || !take_char(&at, "-") ||
	    !take_digits(&at, 2, &tm.tm_mday) || !take_char(&at, "Tt ") || !take_digits(&at, 2, &tm.tm_hour) || !take_char(&at, ":") ||
	    !take_digits(&at, 2, &tm.tm_min) || !take_char(&at, ":") || !take_digits(&at, 2, &tm.tm_sec))
		return false;
	if (take_char(&at, ".")) {
		int digits = 0;
		for (; isdigit((unsigned char)*at); at++, digits++)
			if (digits < 3)
				fraction = fraction * 10 + (*at - '0');
		if (digits == 0)
			return false;
		for (; digits < 3; digits++)
			fraction *= 10;
	}
	if (*at == '+' || *at == '-') {
		sign = *at++ == '+' ? 1 : -1;
		if (!take_digits(&at, 2, &zone_h) || !take_char(&at, ":") || !take_digits(&at, 2, &zone_min))
			return false;
	} else if (!take_char(&at, "Zz")) {
		return false;
	}
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = (tm.tm_year % 4 == 0 && tm.tm_year % 100 != 0) || tm.tm_year % 400 == 0;
	if (*at != '\0' || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > days[tm.tm_mon - 1] + (tm.tm_mon == 2 && is_leap) ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || zone_h > 23 || zone_min > 59)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ms = ((int64_t)timegm(&tm) - sign * (zone_h * 3600 + zone_min * 60)) * 1000 + fraction;
	return true;
}

char *pl_time_rfc3339(int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm utc;
	char text[32] = "?";
	if (gmtime_r(&s, &utc) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	return pl_format("%s.%03dZ", text, (int)(ms % 1000));
}

static bool split_time(int64_t ms, struct tm *local, struct tm *utc)
{
	time_t s = (time_t)(ms / 1000);
	return localtime_r(&s, local) != NULL && gmtime_r(&s, utc) != NULL;
}

char *pl_time_full(int64_t ms)
{
	struct tm local, utc;
	char here[48], there[32];
	if (!split_time(ms, &local, &utc))
		return pl_format("?");
	(void)strftime(there, sizeof(there), "%Y-%m-%d %H:%M:%S UTC", &utc);
	if (local.tm_gmtoff == 0)
		return pl_format("%s", there);
	(void)strftime(here, sizeof(here), "%Y-%m-%d %H:%M:%S %Z", &local);
	return pl_format("%s (%s)", here, local.tm_mday == utc.tm_mday ? there + 11 : there);
}

char *pl_time_short(int64_t ms)
{
	struct tm local, utc, now_local, now_utc;
	char here[32], there[16];
	if (!split_time(ms, &local, &utc) || !split_time(pl_now_ms(), &now_local, &now_utc))
		return pl_format("?");
	(void)strftime(here, sizeof(here), local.tm_year == now_local.tm_year ? "%d %b %H:%M:%S" : "%d %b %Y %H:%M", &local);
	if (local.tm_gmtoff == 0)
		return pl_format("%sZ", here);
	(void)strftime(there, sizeof(there), "%H:%M:%SZ", &utc);
	return pl_format("%s (%s)", here, there);
}

bool pl_duration_read(const char *text, uint64_t *ms)
{
	uint64_t value = 0;
	size_t digits = 0;
	for (; isdigit((unsigned char)text[digits]); digits++)
		value = value * 10 + (uint64_t)(text[digits] - '0');
	if (digits == 0 || digits > 9 || text[digits] == '\0' || text[digits + 1] != '\0')
		return false;
	switch (text[digits]) {
	case 's': *ms = value * 1000; return true;
	case 'm': *ms = value * 60000; return true;
	case 'h': *ms = value * 3600000; return true;
	case 'd': *ms = value * 86400000; return true;
	default: return false;
	}
}

char *pl_quoted(const char *word)
{
	char *out = pl_format("%s", "'");
	if (word[0] != '\0' && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,+=@%")] == '\0')
		return pl_format("%s", word);
	for (; *word != '\0'; word++)
		out = *word == '\'' ? pl_format("%s'\\''", out) : pl_format("%s%.1s", out, word);
	return pl_format("%s'", out);
}
