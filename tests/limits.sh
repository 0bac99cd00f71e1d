#!/bin/sh
# Limits: the table in PROTOCOL.md holds every limit of limits.h that is not marked (local), with the same value, and no other.
set -eu
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# HEADER: NAME VALUE of each limit that is part of the protocol. A heading marked (local) covers what stands under it.
in_header() {
  awk '
    /^\/\* ---/ { local = /\(local\)/ }
    /^#define PL_[A-Z0-9_]+ / && !local && !/\/\*.*\(local\)/ {
      name = $2
      sub(/^#define [A-Z0-9_]+ +/, ""); sub(/ *\/\*.*/, ""); gsub(/ULL/, "")
      print name, $0
    }' "$1" >"$work/defines"
  # values may be sums of other limits
  {
    sed 's/^\([A-Z0-9_]*\) \(.*\)/\1=$((\2))/' "$work/defines"
    sed 's/^\([A-Z0-9_]*\) .*/echo \1 $\1/' "$work/defines"
  } >"$work/evaluate"
  sh -eu "$work/evaluate" | sort
}
in_document() { sed -n 's/^| `\(PL_[A-Z0-9_]*\)` | \([0-9,]*\) |.*/\1 \2/p' "$1" | tr -d , | sort; }

# HEADER DOCUMENT: says what is wrong; fails if anything is.
check() {
  in_header "$1" >"$work/header"
  in_document "$2" >"$work/document"
  if [ "$(wc -l <"$work/header")" -lt 60 ]; then
    echo "limits.sh: limits.h has more limits than the $(wc -l <"$work/header") that were found"
    return 1
  fi
  if ! diff "$work/header" "$work/document" >"$work/diff"; then
    echo "limits.sh: limits.h (<) and PROTOCOL.md (>) differ:"
    grep '^[<>]' "$work/diff"
    return 1
  fi
}
must_fail() {
  if check "$work/limits.h" "$work/PROTOCOL.md" >/dev/null; then
    echo "limits.sh: the check does not notice $1"
    exit 1
  fi
}
fresh() { cp "$top/proto/limits.h" "$top/proto/PROTOCOL.md" "$work"; chmod u+w "$work/limits.h" "$work/PROTOCOL.md"; }

check "$top/proto/limits.h" "$top/proto/PROTOCOL.md"
found=$(wc -l <"$work/header")
fresh; sed -i 's/^#define PL_PING_MS 10000/#define PL_PING_MS 10001/' "$work/limits.h"; must_fail "a value that differs"
fresh; sed -i '/^| `PL_PING_MS`/d' "$work/PROTOCOL.md"; must_fail "a limit that PROTOCOL.md lacks"
fresh; sed -i '/^#define PL_PING_MS/d' "$work/limits.h"; must_fail "a limit that limits.h lacks"
fresh; sed -i '/^#define PL_LINKS_MAX/s/(local)//' "$work/limits.h"; must_fail "a limit that is no longer local"
fresh; : >"$work/limits.h"; must_fail "that there is nothing to compare"
echo "limits.sh: $found limits"
