#!/usr/bin/env bash
# Each bug of bugs.list can still be planted, and some of them are caught within a few seeds. All of them: make sim-bugs.
if [ -n "${PARLEY_TEST_SHORT:-}" ]; then echo 'SKIP: bugs_test.sh: it finds the same in every build'; exit 77; fi
exec "$(dirname "$0")/bugs.sh" --quick
