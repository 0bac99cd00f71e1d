/* Leaves acts out of a plan as long as it fails with the same invariant: halves, quarters and so on, down to single ones, as long as that helps
 * (delta debugging; Zeller and Hildebrandt 2002). What is left to chance in an act hangs on nothing else, so the others stay as they were. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool fails_without(const struct sim_plan *plan, uint32_t from, uint32_t count, const char *invariant, struct sim_plan *out)
{
	const struct sim_options options = { .watch = true };
	struct sim_result result;

	sim_plan_copy(out, plan);
	memmove(out->acts + from, out->acts + from + count, (out->acts_count - from - count) * sizeof(*out->acts));
	out->acts_count -= count;
	sim_run(out, &options, &result);
	if (result.failed && strcmp(result.invariant, invariant) == 0)
		return true;
	sim_plan_free(out);
	return false;
}

void sim_shrink(struct sim_plan *plan, const struct sim_result *failure, uint32_t runs_max, void (*progress)(uint32_t runs, uint32_t acts))
{
	uint32_t runs = 0;
	struct sim_plan smaller;

	for (uint32_t piece = (plan->acts_count + 1) / 2; piece > 0 && runs < runs_max;) {
		bool any = false;
		for (uint32_t from = 0; from < plan->acts_count && runs < runs_max;) {
			const uint32_t count = plan->acts_count - from < piece ? plan->acts_count - from : piece;
			runs++;
			if (progress)
				progress(runs, plan->acts_count);
			if (fails_without(plan, from, count, failure->invariant, &smaller)) {
				sim_plan_free(plan);
				*plan = smaller;
				any = true;
			} else {
				from += count;
			}
		}
		if (piece == 1 && !any)
			break;
		piece = piece == 1 ? 1 : (piece + 1) / 2;
	}
}
