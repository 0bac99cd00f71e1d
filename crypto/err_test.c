#include <criterion/criterion.h>
#include <string.h>

#include "crypto/err.h"

Test(err, every_error_has_its_own_phrase)
{
	for (int a = PL_OK; a <= PL_ERR_CORRUPT; a++) {
		cr_assert_str_neq(pl_err_str((enum pl_err)a), "unknown error", "error %d has no phrase", a);
		for (int b = PL_OK; b < a; b++)
			cr_assert_str_neq(pl_err_str((enum pl_err)a), pl_err_str((enum pl_err)b));
	}
	cr_assert_str_eq(pl_err_str((enum pl_err)(PL_ERR_CORRUPT + 1)), "unknown error");
}
