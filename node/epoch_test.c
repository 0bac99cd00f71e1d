#include <criterion/criterion.h>

#include "node/app_fixture.h"

Test(epoch, nodes_learn_each_others_keys)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	struct pl_epoch_info info;
	cr_assert(pl_epoch_current(fix_app(fix, 0)->epoch, 1, &info));
	cr_assert_eq(info.number, 1);
	fix_free(fix);
}
