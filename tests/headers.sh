#!/bin/sh
# Headers: each compiles alone, and twice. crypto and proto as strict C11; node as gnu11, as its sources do.
set -eu
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CC=${CC:-cc}

# TREE HEADER
compiles() {
  case $2 in
  contrib/* | node/* | tests/*) standard='-std=gnu11 -D_GNU_SOURCE' ;; # as the build has it
  *) standard='-std=c11 -Wpedantic' ;;
  esac
  printf '#include "%s"\n#include "%s"\nextern int a_file_needs_a_declaration;\n' "$2" "$2" >"$work/alone.c"
  # shellcheck disable=SC2086 # several options
  $CC $standard -Wall -Wextra -Werror -I"$1" ${PL_HEADER_CFLAGS:-} -fsyntax-only "$work/alone.c"
}

count=0
for header in $(cd "$top" && find contrib crypto proto node tests -name '*.h' | sort); do
  compiles "$top" "$header" || { echo "headers.sh: $header does not compile alone"; exit 1; }
  count=$((count + 1))
done
[ "$count" -ge 20 ] || { echo "headers.sh: only $count headers found"; exit 1; }

mkdir "$work/crypto"
printf '#ifndef X\n#define X\nuint8_t x(void);\n#endif\n' >"$work/crypto/needs_stdint.h"
printf '#include <stdint.h>\nstruct x { uint8_t y; };\n' >"$work/crypto/has_no_guard.h"
printf '#include <stdint.h>\nuint8_t x(void);\n' >"$work/crypto/good.h"
compiles "$work" crypto/good.h || { echo "headers.sh: a good header is refused"; exit 1; }
for header in needs_stdint has_no_guard; do
  if compiles "$work" "crypto/$header.h" 2>/dev/null; then
    echo "headers.sh: the check does not notice $header.h"
    exit 1
  fi
done
echo "headers.sh: $count headers"
