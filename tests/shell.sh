#!/bin/sh
# Scripts: every one passes shellcheck, as far as it warns, and none pipes into grep -q. Skipped where shellcheck is missing; contrib/setup installs it.
set -eu
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v shellcheck >/dev/null || { echo 'shell.sh: shellcheck is not installed'; exit 77; }

# FILE...
check() { shellcheck --external-sources --source-path="$top/tests/integration" --severity=warning "$@"; }
# FILE...: with pipefail a command that is still writing when grep -q has seen enough fails, now and then: `grep ... >/dev/null` reads all
into_grep_q() { grep -nE '(^|[^|])\|[[:blank:]]*grep( -[-A-Za-z0-9]+)* -[A-Za-z]*q' "$@"; }
scripts() { # by their first line, or by the directive of those that others source
  find "$top/contrib" "$top/tests" "$top/.ci" -type f ! -name '*.[ch]' -size -256k 2>/dev/null | sort | while read -r file; do
    if head -n 12 "$file" | grep -aE '^#!.*[/ ](ba)?sh|^# shellcheck shell=' >/dev/null; then echo "$file"; fi
  done
}

scripts >"$work/scripts"
count=$(wc -l <"$work/scripts")
[ "$count" -ge 20 ] || { echo "shell.sh: only $count scripts found"; exit 1; }
# shellcheck disable=SC2046 # one word each: no file of the tree has a blank in its name
check $(cat "$work/scripts")
# shellcheck disable=SC2046
if into_grep_q $(cat "$work/scripts"); then
  echo 'shell.sh: a pipe into grep -q'
  exit 1
fi

# shellcheck disable=SC2016 # not expanded here
printf '#!/bin/sh\ncd "$1"\nrm -- "$2"\n' >"$work/careless"
if check "$work/careless" >"$work/said"; then
  echo 'shell.sh: the check does not notice a cd that may fail'
  exit 1
fi
# shellcheck disable=SC2016
printf '#!/bin/sh\n"$1" | grep -i -%s x\n' qE >"$work/hasty"
into_grep_q "$work/hasty" >/dev/null || { echo 'shell.sh: the check does not notice a pipe into grep -q'; exit 1; }
echo "shell.sh: $count scripts"
