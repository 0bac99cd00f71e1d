#include "node/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/visible.h"

static void add(struct pl_metrics *metrics, const char *text)
{
	pl_buffer_add_text(&metrics->text, text);
}

/* The format has three escapes, one of them in labels only. */
static void add_escaped(struct pl_metrics *metrics, const char *text, bool is_label)
{
	for (; *text; text++) {
		if (*text == '\\')
			add(metrics, "\\\\");
		else if (*text == '\n')
			add(metrics, "\\n");
		else if (*text == '"' && is_label)
			add(metrics, "\\\"");
		else
			pl_buffer_add(&metrics->text, text, 1);
	}
}

static void add_label_value(struct pl_metrics *metrics, const char *value)
{
	char shown[512];
	if (!pl_utf8_is_valid(value, strlen(value))) {
		pl_visible(value, strlen(value), shown, sizeof(shown));
		value = shown;
	}
	add_escaped(metrics, value, true);
}

/* name_suffix{labels,more_name="more_value"} */
static void add_name(struct pl_metrics *metrics, const char *suffix, const struct pl_label *labels, size_t labels_count, const char *bound)
{
	assert(metrics->family);
	add(metrics, metrics->family);
	add(metrics, suffix);
	for (size_t i = 0; i < labels_count; i++) {
		add(metrics, i ? "," : "{");
		add(metrics, labels[i].name);
		add(metrics, "=\"");
		add_label_value(metrics, labels[i].value);
		add(metrics, "\"");
	}
	if (bound) {
		add(metrics, labels_count ? "," : "{");
		add(metrics, "le=\"");
		add(metrics, bound);
		add(metrics, "\"");
	}
	add(metrics, labels_count || bound ? "} " : " ");
}

static void add_u64(struct pl_metrics *metrics, uint64_t value)
{
	char text[32];
	snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
	add(metrics, text);
}

static void format_double(double value, char text[32])
{
	if (isnan(value) || isinf(value)) {
		strcpy(text, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 6; digits <= 17; digits++) { /* the shortest that reads back as the same number */
		snprintf(text, 32, "%.*g", digits, value);
		double back = strtod(text, NULL);
		if (memcmp(&back, &value, sizeof(value)) == 0)
			return;
	}
}

void pl_metrics_family(struct pl_metrics *metrics, const char *name, enum pl_metric_type type, const char *help)
{
	static const char *const types[] = {
		[PL_METRIC_COUNTER] = "counter", [PL_METRIC_GAUGE] = "gauge", [PL_METRIC_HISTOGRAM] = "histogram",
	};
	metrics->family = name;
	add(metrics, "# HELP ");
	add(metrics, name);
	add(metrics, " ");
	add_escaped(metrics, help, false);
	add(metrics, "\n# TYPE ");
	add(metrics, name);
	add(metrics, " ");
	add(metrics, types[type]);
	add(metrics, "\n");
}

void pl_metrics_add_u64(struct pl_metrics *metrics, uint64_t value, const struct pl_label *labels, size_t labels_count)
{
	add_name(metrics, "", labels, labels_count, NULL);
	add_u64(metrics, value);
}

void pl_metrics_add_double(struct pl_metrics *metrics, double value, const struct pl_label *labels, size_t labels_count)
{
	char text[32];
	format_double(value, text);
	add_name(metrics, "", labels, labels_count, NULL);
	add(metrics, text);
	add(metrics, "\n");
}

void pl_metrics_add_histogram(struct pl_metrics *metrics, const struct pl_histogram *histogram, const struct pl_label *labels,
                              size_t labels_count)
{
	uint64_t total = 0;
	char bound[32];
	for (size_t i = 0; i <= histogram->bounds_count; i++) {
		total += histogram->counts[i];
		format_double(i < histogram->bounds_count ? histogram->bounds[i] : (double)INFINITY, bound);
		add_name(metrics, "_bucket", labels, labels_count, bound);
		add_u64(metrics, total);
	}
	format_double(histogram->sum, bound);
	add_name(metrics, "_sum", labels, labels_count, NULL);
	add(metrics, bound);
	add(metrics, "\n");
	add_name(metrics, "_count", labels, labels_count, NULL);
	add_u64(metrics, total);
}

char *pl_metrics_take(struct pl_metrics *metrics, size_t *count)
{
	char *text = pl_buffer_take(&metrics->text, count);
	metrics->family = NULL;
	return text;
}

void pl_histogram_init(struct pl_histogram *histogram, const double *bounds, size_t bounds_count)
{
	assert(bounds_count <= PL_HISTOGRAM_BOUNDS_MAX);
	*histogram = (struct pl_histogram){ .bounds = bounds, .bounds_count = bounds_count };
}

void pl_histogram_observe(struct pl_histogram *histogram, double value)
{
	size_t i = 0;
	while (i < histogram->bounds_count && value > histogram->bounds[i])
		i++;
	histogram->counts[i]++;
	histogram->sum += value;
}
