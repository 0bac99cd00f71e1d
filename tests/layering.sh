#!/bin/sh
# The layers, crypto <- proto <- node, held to tests/layering.allow: what proto's archive calls, and what the files of each layer include.
# And that no two archives define one name, of which a program that links both would get whichever comes first; and that all begin with pl_, so
# that none is another library's.
# Tests (x_test.c, x_fixture.h, everything under tests/) may use all; nobody includes tests/.
#
# Usage: tests/layering.sh [--self-test]    from the build directory; the check and then the self-test, or the self-test alone
set -eu
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archives='crypto/libcrypto.a proto/libproto.a node/libnode.a node/cli/libcli.a'
CC=${CC:-cc} NM=${NM:-nm} AR=${AR:-ar}

# LAYER VERB NAME: whether the list allows it.
allowed() {
	while read -r pattern; do
		# shellcheck disable=SC2254 # a pattern is meant
		case $3 in $pattern) return 0 ;; esac
	done <"$work/allow.$1.$2"
	return 1
}
read_rules() {
	for rule in 'proto calls' 'crypto includes' 'proto includes' 'node includes'; do
		sed -n "s/^$rule //p" "$top/tests/layering.allow" >"$work/allow.$(echo "$rule" | tr ' ' .)"
		if [ ! -s "$work/allow.$(echo "$rule" | tr ' ' .)" ]; then
			echo "layering.sh: layering.allow has no line '$rule …'"
			exit 1
		fi
	done
}

# PROTO CRYPTO: what the first archive needs and neither defines.
calls() {
	"$NM" -g --defined-only "$1" "$2" | awk 'NF == 3 { print $3 }' | sort -u >"$work/defined"
	"$NM" -u "$1" | awk '$1 == "U" { print $2 }' | sort -u | comm -23 - "$work/defined"
}
# PROTO CRYPTO
check_calls() {
	calls "$1" "$2" >"$work/calls"
	if ! grep -q '^_*mem' "$work/calls" || ! grep -q '^pl_mp_parse$' "$work/defined"; then
		echo "layering.sh: $1 does not look like proto's archive"
		return 1
	fi
	bad=0
	while read -r symbol; do
		if ! allowed proto calls "$symbol"; then
			echo "layering.sh: proto calls $symbol"
			bad=1
		fi
	done <"$work/calls"
	return $bad
}

# ARCHIVE...
check_names() {
	for archive; do
		"$NM" -g --defined-only "$archive" | awk -v archive="$archive" 'NF == 3 { print $3, archive }' | sort -u
	done >"$work/names"
	if [ "$(grep -c ' node/cli/libcli.a$' "$work/names")" -lt 10 ]; then
		echo "layering.sh: found no names in node/cli/libcli.a"
		return 1
	fi
	awk '{ print $1 }' "$work/names" | sort | uniq -d | sed 's/$/ is defined in two archives/; s/^/layering.sh: /' >"$work/twice"
	# what begins with __ is the compiler's
	awk '$1 !~ /^(pl_|__)/ { print "layering.sh: " $1 " of " $2 " does not begin with pl_" }' "$work/names" >"$work/foreign"
	cat "$work/twice" "$work/foreign"
	[ ! -s "$work/twice" ] && [ ! -s "$work/foreign" ]
}

# TREE: "FILE HEADER" for every include in the layers.
includes() {
	(cd "$1" && find crypto proto node -name '*.[ch]' ! -name '*_test.c' ! -name '*_fixture.[ch]' -exec grep -H '^[ 	]*#[ 	]*include' {} + |
		sed 's/:[ 	]*#[ 	]*include[ 	]*/ /; s/[<>"]//g; s,/\*.*,,' | awk '{ print $1, $2 }')
}
# TREE
check_includes() {
	includes "$1" >"$work/includes"
	for layer in crypto proto node; do
		if [ "$(grep -c "^$layer/" "$work/includes")" -lt 10 ]; then
			echo "layering.sh: found no includes in $layer/"
			return 1
		fi
	done
	bad=0
	while read -r file header; do
		layer=${file%%/*}
		case $layer-$header in
		node-crypto/* | node-proto/* | node-node/* | node-tests/*) ;;
		node-*/*) [ ! -e "$1/$header" ] && continue ;; # the system's
		node-*) continue ;;
		esac
		if ! allowed "$layer" includes "$header"; then
			echo "layering.sh: $file includes $header"
			bad=1
		fi
	done <"$work/includes"
	return $bad
}

# WHAT FOUND COMMAND...: the command fails and says what it has found.
must_fail() {
	what=$1 found=$2
	shift 2
	if "$@" >"$work/said"; then
		echo "layering.sh: the check does not notice $what"
		exit 1
	fi
	if ! grep -qx "layering.sh: $found" "$work/said"; then
		echo "layering.sh: $what is noticed for another reason:"
		cat "$work/said"
		exit 1
	fi
}
fresh() {
	rm -rf "$work/tree"
	mkdir "$work/tree"
	(cd "$top" && find crypto proto node -name '*.[ch]' | tar cf - -T -) | (cd "$work/tree" && tar xf -)
	chmod -R u+w "$work/tree"
}
# FILE LINE: one include too many.
add() { echo "$2" >>"$work/tree/$1"; }

self_test() {
	cp proto/libproto.a "$work/libproto.a"
	check_calls "$work/libproto.a" crypto/libcrypto.a
	for call in 'malloc:void *f(void) { return malloc(3); }' 'time:long f(void) { return (long)time(0); }' \
		'printf:int f(void) { return printf("%d", 1); }' 'sodium_malloc:void *sodium_malloc(unsigned long); void *f(void) { return sodium_malloc(3); }'; do
		cp proto/libproto.a "$work/libproto.a"
		printf '#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\n%s\n' "${call#*:}" >"$work/extra.c"
		$CC -O0 -c -o "$work/extra.o" "$work/extra.c"
		"$AR" r "$work/libproto.a" "$work/extra.o" 2>/dev/null
		must_fail "a call of ${call%%:*}" "proto calls ${call%%:*}" check_calls "$work/libproto.a" crypto/libcrypto.a
	done
	must_fail "that the archive is another one" "crypto/libcrypto.a does not look like proto's archive" \
		check_calls crypto/libcrypto.a crypto/libcrypto.a

	# defining NAME: node's archive, and a function of that name besides
	defining() {
		echo "void $1(void); void $1(void) {}" >"$work/extra.c"
		$CC -c -o "$work/extra.o" "$work/extra.c"
		cp node/libnode.a "$work/libnode.a"
		"$AR" r "$work/libnode.a" "$work/extra.o" 2>/dev/null
	}
	defining pl_note
	must_fail "a name that proto has too" "pl_note is defined in two archives" \
		check_names crypto/libcrypto.a proto/libproto.a "$work/libnode.a" node/cli/libcli.a
	defining note
	must_fail "a name without our prefix" "note of $work/libnode.a does not begin with pl_" \
		check_names crypto/libcrypto.a proto/libproto.a "$work/libnode.a" node/cli/libcli.a
	must_fail "that an archive is missing" "found no names in node/cli/libcli.a" check_names proto/libproto.a node/libnode.a

	fresh; check_includes "$work/tree"
	while read -r file line; do
		fresh; add "$file" "$line"
		header=$(echo "$line" | sed 's/.*[<"]\(.*\)[">].*/\1/')
		must_fail "$line in $file" "$file includes $header" check_includes "$work/tree"
	done <<-'END'
		crypto/sign.c #include "proto/limits.h"
		crypto/sign.c #include <stdio.h>
		crypto/sign.h #include <uv.h>
		proto/entry.c #include <stdio.h>
		proto/entry.c #include <stdlib.h>
		proto/entry.c #	include <time.h>
		proto/entry.h #include <sodium.h>
		proto/entry.c #include <msgpack.h>
		proto/entry.c #include "node/conf.h"
		proto/entry.c #include "entry.h"
		node/conf.c #include "proto/document.h"
		node/conf.c #include "tests/fixture.h"
		node/cli/cli.h #include "proto/state.h"
		proto/entry.c #include "tests/fixture.h"
		crypto/sign.c #include "tests/vectors.h"
	END
	rm -rf "$work/tree"; mkdir -p "$work/tree/crypto" "$work/tree/proto" "$work/tree/node"
	must_fail "that there are no files" "found no includes in crypto/" check_includes "$work/tree"
}

read_rules
if [ "${1:-}" != --self-test ]; then
	check_calls proto/libproto.a crypto/libcrypto.a
	# shellcheck disable=SC2086 # a list
	check_names $archives
	check_includes "$top"
	echo "layering.sh: $(wc -l <"$work/calls") symbols, $(wc -l <"$work/names") names, $(wc -l <"$work/includes") includes"
fi
self_test
