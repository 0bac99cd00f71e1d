#!/bin/sh
# The domain-separation labels: crypto/CRYPTO.md lists exactly those of crypto/labels.h, no two are equal, and none is spelled out elsewhere
# (tests may: they say what the bytes have to be).
set -eu
top=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

in_header() { sed -n 's/^#define \(PL_LABEL_[A-Z_]*\) "\([^"]*\)".*/\1 \2/p' "$1" | sort; }
in_document() { sed -n 's/^| `\(PL_LABEL_[A-Z_]*\)` | `\([^`]*\)` |.*/\1 \2/p' "$1" | sort; }

# HEADER DOCUMENT TREE: says what is wrong; fails if anything is.
check() {
  in_header "$1" >"$work/header"
  in_document "$2" >"$work/document"
  bad=0
  if [ "$(grep -c 'define PL_LABEL_' "$1")" -ne "$(wc -l <"$work/header")" ] || [ ! -s "$work/header" ]; then
    echo "labels.sh: labels.h has a label that is not #define NAME \"value\" on one line"
    bad=1
  fi
  if ! diff "$work/header" "$work/document" >"$work/diff"; then
    echo "labels.sh: labels.h (<) and CRYPTO.md (>) differ:"
    grep '^[<>]' "$work/diff"
    bad=1
  fi
  if twice=$(cut -d' ' -f2 "$work/header" | sort | uniq -d) && [ -n "$twice" ]; then
    echo "labels.sh: one value for two labels: $twice"
    bad=1
  fi
  if grep -rn '"parley/v1/' "$3/crypto" "$3/proto" "$3/node" --include='*.[ch]' --exclude='*_test.c' | grep -v '/crypto/labels\.h:'; then
    echo "labels.sh: a label is spelled out above; it belongs in labels.h"
    bad=1
  fi
  return $bad
}

# What the check must find, each in a copy.
must_fail() {
  if check "$work/labels.h" "$work/CRYPTO.md" "$work/tree" >/dev/null; then
    echo "labels.sh: the check does not notice $1"
    exit 1
  fi
}
fresh() {
  rm -rf "$work/tree"
  mkdir -p "$work/tree/crypto" "$work/tree/proto" "$work/tree/node"
  cp "$top/crypto/labels.h" "$top/crypto/CRYPTO.md" "$work"
}

check "$top/crypto/labels.h" "$top/crypto/CRYPTO.md" "$top"

fresh; sed '/^| `PL_LABEL_CEK`/d' "$top/crypto/CRYPTO.md" >"$work/CRYPTO.md"; must_fail "a label that CRYPTO.md lacks"
fresh; sed '/^#define PL_LABEL_CEK /d' "$top/crypto/labels.h" >"$work/labels.h"; must_fail "a label that labels.h lacks"
fresh; sed 's,"parley/v1/cek","parley/v1/kek",' "$top/crypto/labels.h" >"$work/labels.h"; must_fail "a label of another value"
fresh; for f in labels.h CRYPTO.md; do sed 's,parley/v1/cek,parley/v1/seal,' "$top/crypto/$f" >"$work/$f"; done; must_fail "two equal labels"
fresh; echo 'x("parley/v1/cek")' >"$work/tree/proto/x.c"; must_fail "a label spelled out in the source"
echo "labels.sh: $(in_header "$top/crypto/labels.h" | wc -l) labels"
