/* Metrics as Prometheus reads them (text exposition format 0.0.4). A text is built in one go:
 *
 *   struct pl_metrics metrics = { 0 };
 *   pl_metrics_family(&metrics, "parley_links", PL_METRIC_GAUGE, "Links that are live.");
 *   pl_metrics_u64(&metrics, 3);
 *   pl_metrics_family(&metrics, "parley_held_entries", PL_METRIC_GAUGE, "Entries that a node has not acknowledged.");
 *   pl_metrics_u64(&metrics, 12, PL_LABEL("node", "CHE"));
 *   char *text = pl_metrics_take(&metrics, &count);
 *
 * Names follow Prometheus' custom: parley_ in front, base units, _total at the end of counters. All values of a family stand together.
 */
#ifndef PL_NODE_METRICS_H
#define PL_NODE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/buffer.h"

#define PL_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum pl_metric_type { PL_METRIC_COUNTER, PL_METRIC_GAUGE, PL_METRIC_HISTOGRAM };

struct pl_metrics {
	struct pl_buffer text;
	const char *family;
};
#define PL_METRICS { .text = PL_BUFFER(16u << 20) } /* to begin with: none; a megabyte in a large network */

struct pl_label {
	const char *name, *value;
};
#define PL_LABEL(label_name, label_value) ((struct pl_label){ (label_name), (label_value) })
#define PL_LABELS_(...) (const struct pl_label[]){ { NULL, NULL }, ##__VA_ARGS__ } + 1, \
	sizeof((const struct pl_label[]){ { NULL, NULL }, ##__VA_ARGS__ }) / sizeof(struct pl_label) - 1

/* Begins a family; its name is borrowed until the next one. */
void pl_metrics_family(struct pl_metrics *metrics, const char *name, enum pl_metric_type type, const char *help);
/* A value of the family, with labels. */
#define pl_metrics_u64(metrics, value, ...) pl_metrics_add_u64((metrics), (value), PL_LABELS_(__VA_ARGS__))
#define pl_metrics_double(metrics, value, ...) pl_metrics_add_double((metrics), (value), PL_LABELS_(__VA_ARGS__))
#define pl_metrics_histogram(metrics, histogram, ...) pl_metrics_add_histogram((metrics), (histogram), PL_LABELS_(__VA_ARGS__))
/* The whole text; *count without its NUL. The caller frees it. NULL: no memory, or too long. metrics is empty again. */
char *pl_metrics_take(struct pl_metrics *metrics, size_t *count);

/* How often values fell into ranges. */
#define PL_HISTOGRAM_BOUNDS_MAX 16
struct pl_histogram {
	const double *bounds; /* upper bounds, growing; borrowed */
	size_t bounds_count;
	uint64_t counts[PL_HISTOGRAM_BOUNDS_MAX + 1]; /* the last: over every bound */
	double sum;
};
void pl_histogram_init(struct pl_histogram *histogram, const double *bounds, size_t bounds_count);
void pl_histogram_observe(struct pl_histogram *histogram, double value);

/* What the macros call. */
void pl_metrics_add_u64(struct pl_metrics *metrics, uint64_t value, const struct pl_label *labels, size_t labels_count);
void pl_metrics_add_double(struct pl_metrics *metrics, double value, const struct pl_label *labels, size_t labels_count);
void pl_metrics_add_histogram(struct pl_metrics *metrics, const struct pl_histogram *histogram, const struct pl_label *labels,
                              size_t labels_count);

#endif
