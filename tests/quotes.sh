#!/bin/sh
# Quotations: where the source enforces a rule it quotes it, PROTOCOL: "whole sentence." or CRYPTO: "whole sentence.", and the sentence
# stands in proto/PROTOCOL.md or crypto/CRYPTO.md. Line breaks, comment stars and backticks do not count.
#
# Usage: tests/quotes.sh [--self-test]    the check and then the self-test, or the self-test alone
set -eu
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

protocol_min=60 # quotations there are at least: a check that finds none is broken
crypto_min=18

# TREE: prints DOCUMENT<TAB>FILE<TAB>SENTENCE for every quotation in its source.
quotations() {
  find "$1/crypto" "$1/proto" "$1/node" -name '*.[ch]' | sort | while read -r file; do
    awk -v file="${file#"$1/"}" '
      { sub(/^[ \t]*\*( |$)/, " "); text = text " " $0 }
      END {
        while (match(text, /(PROTOCOL|CRYPTO): "[^"]*"/)) {
          found = substr(text, RSTART, RLENGTH)
          text = substr(text, RSTART + RLENGTH)
          document = found; sub(/:.*/, "", document)
          sub(/^[A-Z]*: "/, "", found); sub(/"$/, "", found)
          gsub(/`/, "", found); gsub(/[ \t]+/, " ", found)
          print document "\t" file "\t" found
        }
      }' "$file"
  done
}

plain() { tr '\n\t' '  ' <"$1" | sed 's/`//g; s/  */ /g'; }

# TREE: says what is wrong; fails if anything is.
check() {
  plain "$1/proto/PROTOCOL.md" >"$work/PROTOCOL"
  plain "$1/crypto/CRYPTO.md" >"$work/CRYPTO"
  quotations "$1" >"$work/quotations"
  awk -F '\t' -v work="$work" '
    function load(name,   line, all) {
      while ((getline line <(work "/" name)) > 0) all = all line
      return all
    }
    BEGIN { text["PROTOCOL"] = load("PROTOCOL"); text["CRYPTO"] = load("CRYPTO") }
    $3 !~ /[.:!?]$/ || $3 !~ / .* / { print "quotes.sh: " $2 ": not a whole sentence: " $3; bad = 1; next }
    index(text[$1], $3) == 0 { print "quotes.sh: " $2 ": " $1 ".md does not say: " $3; bad = 1 }
    END { exit bad }' "$work/quotations" || return 1
  for document in PROTOCOL CRYPTO; do
    count=$(grep -c "^$document	" "$work/quotations" || true)
    case $document in PROTOCOL) least=$protocol_min ;; *) least=$crypto_min ;; esac
    if [ "$count" -lt "$least" ]; then
      echo "quotes.sh: only $count quotations of $document.md found, and there are at least $least"
      return 1
    fi
    eval "$document=$count"
  done
}

# What the check must find, each in a copy.
fresh() {
  rm -rf "$work/tree"
  mkdir "$work/tree"
  (cd "$top" && find crypto proto node -name '*.[ch]' -o -name '*.md' | tar cf - -T -) | (cd "$work/tree" && tar xf -)
  chmod -R u+w "$work/tree"
}
must_fail() {
  if check "$work/tree" >"$work/said"; then
    echo "quotes.sh: the check does not notice $1"
    exit 1
  fi
  if ! grep -q "$2" "$work/said"; then
    echo "quotes.sh: $1 is noticed for another reason:"
    cat "$work/said"
    exit 1
  fi
}
self_test() {
  fresh; check "$work/tree"
  fresh; sed -i 's/FLASH stands in lane 0 alone/FLASH may stand in any lane/' "$work/tree/proto/PROTOCOL.md"
  must_fail "a rule that has changed" 'proto/entry.c: PROTOCOL.md does not say: FLASH stands in lane 0 alone'
  fresh; sed -i 's/prev is zero exactly when seq is 1/prev is zero when seq is 1/' "$work/tree/proto/entry.c"
  must_fail "a quotation that has changed" 'does not say: prev is zero when seq is 1'
  fresh; printf '/* PROTOCOL: "A sentence that\n * nobody wrote." */\n' >"$work/tree/node/extra.c"
  must_fail "a quotation over two lines" 'node/extra.c: PROTOCOL.md does not say: A sentence that nobody wrote'
  fresh; echo '/* CRYPTO: "A sentence that nobody wrote." */' >"$work/tree/crypto/extra.h"
  must_fail "a quotation of CRYPTO.md" 'crypto/extra.h: CRYPTO.md does not say'
  fresh; echo '/* PROTOCOL: "FLASH stands in lane" */' >"$work/tree/proto/extra.c"
  must_fail "half a sentence" 'not a whole sentence'
  fresh; sed -i 's/PROTOCOL: /PROTOCOL, /' "$work"/tree/proto/*.c
  must_fail "that nothing of PROTOCOL.md is quoted" 'only [0-9]* quotations of PROTOCOL.md'
  fresh; sed -i 's/CRYPTO: /CRYPTO, /' "$work"/tree/crypto/*.c
  must_fail "that nothing of CRYPTO.md is quoted" 'only [0-9]* quotations of CRYPTO.md'
}

[ "${1:-}" = --self-test ] || check "$top"
self_test
check "$top" && echo "quotes.sh: $PROTOCOL quotations of PROTOCOL.md, $CRYPTO of CRYPTO.md"
