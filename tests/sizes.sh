#!/bin/sh
# Sizes: a source or header has at most 500 lines, a test or fixture 700. Who looks for something finds it by the name of its file.
# tests/sizes.allow names the exceptions, each with the size it has: it may only shrink (where it did by 50 lines, the list has to say so),
# and the line goes when the file fits.
set -eu
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# FOLDER: "LINES FILE" of each file.
sizes() { (cd "$1" && find contrib crypto proto node tests -name '*.[ch]' -exec wc -l {} + | awk '$2 != "total" { print $1, $2 }' | sort -k 2); }
# SIZES ALLOWED: says what is wrong; fails if anything is.
check() {
  awk -v allowed="$2" '
    function limit(file) { return file ~ /(_test|_fixture|_fuzz)\.[ch]$/ || file ~ /^tests\// ? 700 : 500 }
    function wrong(what) { print "sizes.sh: " what; bad = 1 }
    BEGIN {
      while ((getline line < allowed) > 0)
        if (line !~ /^(#|$)/) {
          split(line, part, " ")
          allow[part[2]] = part[1]
        }
    }
    {
      count++
      seen[$2] = 1
      if ($2 in allow) {
        if ($1 > allow[$2])
          wrong($2 " has grown to " $1 " lines; sizes.allow lets it have " allow[$2] ": split it")
        else if ($1 <= limit($2))
          wrong($2 " fits; take its line out of sizes.allow")
        else if ($1 <= allow[$2] - 50)
          wrong($2 " has shrunk to " $1 " lines; say so in sizes.allow")
      } else if ($1 > limit($2)) {
        wrong($2 " has " $1 " lines, and may have " limit($2) ": split it")
      }
    }
    END {
      for (file in allow)
        if (!(file in seen))
          wrong(file " is not there any more; take its line out of sizes.allow")
      if (count < 200)
        wrong("there are more than " count " files")
      exit bad
    }' "$1"
}
must_fail() {
  if check "$work/sizes" "$work/allow" >/dev/null; then
    echo "sizes.sh: the check does not notice $1"
    exit 1
  fi
}
fresh() { cp "$work/real" "$work/sizes"; cp "$top/tests/sizes.allow" "$work/allow"; chmod u+w "$work/allow"; }

sizes "$top" >"$work/real"
check "$work/real" "$top/tests/sizes.allow"
fresh; echo "501 node/x.c" >>"$work/sizes"; must_fail "a source that is too long"
fresh; echo "701 node/x_test.c" >>"$work/sizes"; must_fail "a test that is too long"
fresh; echo "510 node/x.c" >>"$work/sizes"; echo "560 node/x.c" >>"$work/allow"; must_fail "a file that has shrunk"
fresh; echo "503 node/x.c" >>"$work/sizes"; echo "502 node/x.c" >>"$work/allow"; must_fail "a file that has grown"
fresh; echo "500 node/x.c" >>"$work/sizes"; echo "502 node/x.c" >>"$work/allow"; must_fail "an exception that is not needed"
fresh; echo "502 node/x.c" >>"$work/allow"; must_fail "an exception for a file that is not there"
fresh; : >"$work/sizes"; must_fail "that there is nothing to look at"
fresh; { echo "500 node/x.c"; echo "700 node/x_test.c"; echo "502 node/y.c"; } >>"$work/sizes"; echo "502 node/y.c" >>"$work/allow"
check "$work/sizes" "$work/allow" || { echo "sizes.sh: files that fit are refused"; exit 1; }
echo "sizes.sh: $(wc -l <"$work/real") files, $(grep -c '^[0-9]' "$top/tests/sizes.allow" || true) exceptions"
