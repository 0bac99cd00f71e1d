#include <unistd.h>

#include "node/cli/cli.h"

#define AFTER_MS 1000 /* what is done sooner needs no line */
#define EACH_MS 200   /* on a terminal, where the line is drawn over */
#define LINE_MS 10000 /* elsewhere, where each is a line of its own */

static bool is_drawn; /* on a terminal, with the cursor behind it */

void pl_progress_hide(void)
{
	if (is_drawn)
		fputs("\r\033[K", stderr);
	is_drawn = false;
}

void pl_progress_begin(struct pl_progress *progress, const struct pl_cli *cli, const char *what, bool bytes, uint64_t total)
{
	int64_t now = pl_ticks_ms();
	*progress = (struct pl_progress){ .cli = cli, .what = what, .bytes = bytes, .total = total, .started_ms = now, .shown_ms = now };
}

static char *amount(const struct pl_progress *progress, uint64_t value)
{
	return progress->bytes ? pl_bytes_text(value) : pl_count_text(value);
}

void pl_progress_at(struct pl_progress *progress, uint64_t done)
{
	bool is_terminal = isatty(STDERR_FILENO);
	if (progress->cli->quiet || (!is_terminal && !progress->cli->progress))
		return;
	int64_t now = pl_ticks_ms(), each = !progress->is_shown && is_terminal ? AFTER_MS : is_terminal ? EACH_MS : LINE_MS;
	if (now - progress->shown_ms < each || now == progress->started_ms)
		return;
	struct pl_block *scope = pl_scope_begin();
	double rate = (double)done * 1000 / (double)(now - progress->started_ms);
	char *line = pl_format("%s: %s", progress->what, amount(progress, done));
	if (progress->total > 0)
		line = pl_format("%s of %s, %u %%", line, amount(progress, progress->total), (unsigned)(done * 100 / progress->total));
	line = pl_format("%s, %s/s", line, amount(progress, (uint64_t)rate));
	if (progress->total > done && rate > 0) {
		uint64_t left_s = (uint64_t)((double)(progress->total - done) / rate) + 1;
		line = pl_format("%s, %s left", line, left_s < 60 ? pl_format("%u s", (unsigned)left_s) : pl_duration_text(left_s * 1000));
	}
	fprintf(stderr, is_terminal ? "\r%s\033[K" : "%s\n", line);
	(void)fflush(stderr);
	pl_scope_end(scope);
	progress->shown_ms = now;
	progress->is_shown = true;
	is_drawn = is_terminal;
}

void pl_progress_end(struct pl_progress *progress)
{
	pl_progress_hide();
	progress->is_shown = false;
}
