/* Proofs: reading and verifying files of strangers. */
#include "node/proof.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = pl_fuzz_copy(data, size);
	struct pl_proof_report *report;
	if (pl_proof_verify(bytes, size, NULL, &report) != PL_OK) {
		free(bytes);
		return 0;
	}
	bool failed = false;
	for (enum pl_proof_step step = PL_PROOF_FORM; step < PL_PROOF_STEPS; step++) {
		PL_FUZZ_CHECK((report->steps[step].finding == PL_PROOF_NOT_REACHED) == failed);
		PL_FUZZ_CHECK(failed || report->steps[step].text[0] != '\0');
		failed |= report->steps[step].finding == PL_PROOF_BAD;
	}
	PL_FUZZ_CHECK(report->proven == !failed);
	PL_FUZZ_CHECK(!report->proven || (report->has_message && report->charter != NULL && report->author != PL_NODE_NONE));
	if (report->steps[PL_PROOF_FORM].finding == PL_PROOF_GOOD) {
		/* one encoding per value */
		uint8_t *again = pl_fuzz_room(size);
		size_t count;
		PL_FUZZ_CHECK(pl_proof_write(&report->proof, again, size, &count) == PL_OK);
		PL_FUZZ_CHECK(count == size && memcmp(again, bytes, size) == 0);
		free(again);
	}
	pl_proof_report_free(report);
	free(bytes);
	return 0;
}
