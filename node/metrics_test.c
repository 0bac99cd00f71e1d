#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/metrics.h"

static void assert_text(struct pl_metrics *metrics, const char *expected)
{
	size_t count;
	char *text = pl_metrics_take(metrics, &count);
	cr_assert(text);
	cr_assert_str_eq(text, expected);
	cr_assert_eq(count, strlen(expected));
	free(text);
}

Test(metrics, families_have_help_type_and_values)
{
	struct pl_metrics metrics = PL_METRICS;
	pl_metrics_family(&metrics, "parley_links", PL_METRIC_GAUGE, "Links that are live.");
	pl_metrics_u64(&metrics, 3);
	pl_metrics_family(&metrics, "parley_bytes_total", PL_METRIC_COUNTER, "Bytes.");
	pl_metrics_u64(&metrics, UINT64_MAX, PL_LABEL("node", "CHE"), PL_LABEL("direction", "in"));
	pl_metrics_u64(&metrics, 0, PL_LABEL("node", "FIN.2"), PL_LABEL("direction", "out"));
	assert_text(&metrics, "# HELP parley_links Links that are live.\n# TYPE parley_links gauge\nparley_links 3\n"
	                      "# HELP parley_bytes_total Bytes.\n# TYPE parley_bytes_total counter\n"
	                      "parley_bytes_total{node=\"CHE\",direction=\"in\"} 18446744073709551615\n"
	                      "parley_bytes_total{node=\"FIN.2\",direction=\"out\"} 0\n");
	assert_text(&metrics, ""); /* taken, and empty again */
}

Test(metrics, what_would_break_a_line_is_escaped)
{
	struct pl_metrics metrics = PL_METRICS;
	pl_metrics_family(&metrics, "m", PL_METRIC_GAUGE, "a \"b\" \\ c\nd");
	pl_metrics_u64(&metrics, 1, PL_LABEL("l", "a \"b\" \\ c\nd\xc3\xa4"));
	pl_metrics_u64(&metrics, 2, PL_LABEL("l", "\xff\n"));
	assert_text(&metrics, "# HELP m a \"b\" \\\\ c\\nd\n# TYPE m gauge\nm{l=\"a \\\"b\\\" \\\\ c\\nd\xc3\xa4\"} 1\nm{l=\"\\\\xff\\\\n\"} 2\n");
}

Test(metrics, numbers_read_back_as_they_were)
{
	struct pl_metrics metrics = PL_METRICS;
	pl_metrics_family(&metrics, "m", PL_METRIC_GAUGE, "h");
	static const double values[] = { 0, -0.5, 0.1, 1.0 / 3, 1e300, 123456789012.0, (double)INFINITY, -(double)INFINITY, (double)NAN };
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		pl_metrics_double(&metrics, values[i]);
	assert_text(&metrics, "# HELP m h\n# TYPE m gauge\nm 0\nm -0.5\nm 0.1\nm 0.3333333333333333\nm 1e+300\nm 123456789012\nm +Inf\nm -Inf\nm NaN\n");
}

Test(metrics, histograms_count_up_to_each_bound)
{
	static const double bounds[] = { 0.001, 0.01, 0.1 };
	struct pl_metrics metrics = PL_METRICS;
	struct pl_histogram histogram;
	pl_histogram_init(&histogram, bounds, 3);
	static const double values[] = { 0.0005, 0.001, 0.0011, 0.05, 7, 8 };
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		pl_histogram_observe(&histogram, values[i]);
	pl_metrics_family(&metrics, "commit_seconds", PL_METRIC_HISTOGRAM, "h");
	pl_metrics_histogram(&metrics, &histogram, PL_LABEL("class", "urgent"));
	assert_text(&metrics, "# HELP commit_seconds h\n# TYPE commit_seconds histogram\n"
	                      "commit_seconds_bucket{class=\"urgent\",le=\"0.001\"} 2\n"
	                      "commit_seconds_bucket{class=\"urgent\",le=\"0.01\"} 3\n"
	                      "commit_seconds_bucket{class=\"urgent\",le=\"0.1\"} 4\n"
	                      "commit_seconds_bucket{class=\"urgent\",le=\"+Inf\"} 6\n"
	                      "commit_seconds_sum{class=\"urgent\"} 15.0526\n"
	                      "commit_seconds_count{class=\"urgent\"} 6\n");
	pl_histogram_init(&histogram, bounds, 0);
	pl_histogram_observe(&histogram, 2);
	pl_metrics_family(&metrics, "h", PL_METRIC_HISTOGRAM, "h");
	pl_metrics_histogram(&metrics, &histogram);
	assert_text(&metrics, "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n");
}

Test(metrics, a_long_text_grows)
{
	struct pl_metrics metrics = PL_METRICS;
	size_t count;
	pl_metrics_family(&metrics, "m", PL_METRIC_GAUGE, "h");
	for (unsigned i = 0; i < 20000; i++)
		pl_metrics_u64(&metrics, i, PL_LABEL("label", "value"));
	char *text = pl_metrics_take(&metrics, &count);
	cr_assert(strstr(text, "\nm{label=\"value\"} 19999\n"));
	cr_assert_eq(strlen(text), count);
	free(text);
}
