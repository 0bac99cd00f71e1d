#!/usr/bin/env bash
# The man pages against the programs: every command, option, operand and exit code of parley's table stands in parley.1, in the section of its
# command; every key of parley.conf, with its value and default, in parley.conf.5; every option of parleyd in parleyd.8; every command and
# option of contrib/testnet in parley-testnet.1. And nothing stands there that the programs do not know. No line of a page is wider than a terminal.
#
# Usage: tests/integration/man.sh   in the build directory; PARLEY and PARLEYD name other binaries
set -euo pipefail
parley=$(realpath "${PARLEY:-node/parley}")
parleyd=$(realpath "${PARLEYD:-node/parleyd}")
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
man=$top/contrib/man
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset PARLEY_DIR

# plain FILE: without fonts and escapes; headings as "SH name", "SS name", items as "TP"
plain() { sed -e 's/\\f[BIR]//g' -e 's/\\-/-/g' -e "s/\\\\(aq/'/g" -e 's/\\e/\\/g' -e 's/^\.\(SH\|SS\|TP\)/\1/' -e 's/^\.[BI][BIR]\{0,1\} //' "$1"; }
# section FILE HEADING: its lines, to the next heading
section() { awk -v heading="$2" '/^S[HS] /{ on = ($0 == heading); next } on' "$1"; }

# check_parley TABLE PAGE: says what is missing
check_parley() {
  local missing=0 what command item page="$work/page"
  plain "$2" >"$page"
  while IFS=$'\t' read -r what command item; do
    case $what in
      command) grep -qx "SS $command" "$page" || { echo "parley.1 has no section \"$command\""; missing=1; } ;;
      option)
        local heading="SS $command"
        [ "$command" != - ] || heading='SH OPTIONS OF EVERY COMMAND'
        section "$page" "$heading" | awk '/^TP/{ getline; print }' | grep -E -- "(^|, )$item( |\$)" >/dev/null ||
          { echo "parley.1, \"$command\": $item is missing"; missing=1; }
        ;;
      operand)
        section "$page" "SS $command" | sed -n 1,2p | grep -F -- "$item" >/dev/null || { echo "parley.1, \"$command\": $item is missing"; missing=1; } ;;
      exit) section "$page" 'SH EXIT STATUS' | grep -A 1 -x "$command" | tail -n 1 | grep -xF -- "$item" >/dev/null ||
        { echo "parley.1: exit status $command, \"$item\", is missing"; missing=1; } ;;
    esac
  done <"$1"
  # and the other way round
  local heading
  while read -r heading; do
    grep -qxF $'command\t'"$heading" "$1" || { echo "parley.1: there is no command \"$heading\""; missing=1; }
    while read -r item; do
      grep -qxF $'option\t'"$heading"$'\t'"$item" "$1" || { echo "parley.1, \"$heading\": there is no $item"; missing=1; }
    done < <(section "$page" "SS $heading" | awk '/^TP/{ getline; print }' | grep -oE -- '--[a-z-]+')
  done < <(sed -n 's/^SS //p' "$page")
  return $missing
}

# check_conf TEMPLATE PAGE
check_conf() {
  local missing=0 key value default form entry page="$work/page"
  plain "$2" >"$page"
  while IFS='|' read -r key default form; do
    entry=$(section "$page" 'SH KEYS' | awk -v key="$key" '/^TP/{ getline; on = ($0 == key); next } on' | tr '\n' ' ')
    [ -n "$entry" ] || { echo "parley.conf.5: $key is missing"; missing=1; continue; }
    case $entry in *"Value: $form."*) ;; *) echo "parley.conf.5: $key does not say \"Value: $form.\""; missing=1 ;; esac
    case $key in listen | peer) continue ;; esac
    [ -z "$default" ] || case $entry in *"Default: $default."*) ;; *) echo "parley.conf.5: $key does not say \"Default: $default.\""; missing=1 ;; esac
  done <"$1"
  while read -r value; do
    grep -q "^$value|" "$1" || { echo "parley.conf.5: there is no key $value"; missing=1; }
  done < <(section "$page" 'SH KEYS' | awk '/^TP/{ getline; print }')
  return $missing
}

# check_testnet PAGE: each command with its options, as its help has them
check_testnet() {
  local missing=0 command page="$work/page"
  plain "$1" >"$page"
  while read -r command; do
    section "$page" "SS $command" | awk '/^TP/{ getline; print }' | { grep -oE -- '--[a-z-]+' || true; } | sort -u >has
    "$top/contrib/testnet" help "$command" | awk '!NF { part++ } part > 1' |
      sed -nE 's/^  (-f, )?(--[a-z-]+).*/\2/p' | sort -u >wants
    cmp -s has wants && grep -qx "SS $command" "$page" || { echo "parley-testnet.1, \"$command\", has not the options of its help:"; diff has wants; missing=1; }
  done < <("$top/contrib/testnet" __complete '')
  [ "$(grep -c '^SS [a-z]' "$page")" -eq "$("$top/contrib/testnet" __complete '' | wc -l)" ] || { echo 'parley-testnet.1 has a command that is none'; missing=1; }
  return $missing
}

"$parley" __commands >table
PARLEY_PASSPHRASE='correct horse' "$parley" init --state FIN --dir node --cost small --quiet
awk '/^# Value: /{ form = substr($0, 10) } /^#?[a-z0-9_]+ =/{ sub(/^#/, ""); split($0, part, / = ?/); print part[1] "|" part[2] "|" form }' \
  node/parley.conf >keys

check_parley table "$man/parley.1"
check_conf keys "$man/parley.conf.5"
check_testnet "$man/parley-testnet.1"
count=$(wc -l <table)
[ "$count" -gt 100 ] && [ "$(wc -l <keys)" -gt 15 ] || { echo "man.sh: the tables are not there: $count lines"; exit 1; }
if [ -x "$parleyd" ]; then
  plain "$man/parleyd.8" >page
  "$parleyd" --help | grep -oE -- '--[a-z-]+' | sort -u | while read -r option; do
    section page 'SH OPTIONS' | grep -E -- "(^|, )$option( |\$)" >/dev/null || { echo "parleyd.8: $option is missing"; exit 1; }
  done
fi

# What the check must find, each in a copy.
must_fail() {
  if "$@" >/dev/null; then
    echo "man.sh: the check does not notice: $*"
    exit 1
  fi
}
for change in '/^\.SS key new/d' '/^\\fB\\-\\-reply\\-to/d' 's/^\.SS inbox/.SS mailbox/' '/^it did not happen in time/d' 's/\\-\\-unread/\\-\\-unraed/'; do
  sed "$change" "$man/parley.1" >changed.1
  ! cmp -s changed.1 "$man/parley.1" || { echo "man.sh: $change changes nothing"; exit 1; }
  must_fail check_parley table changed.1
done
for change in '/^\.B dial$/d' 's/^\.B store$/.B stoer/' 's/^Value: charter or configured/Value: yes or no/' 's/^Default: \\fB64/Default: \\fB65/'; do
  sed "$change" "$man/parley.conf.5" >changed.5
  ! cmp -s changed.5 "$man/parley.conf.5" || { echo "man.sh: $change changes nothing"; exit 1; }
  must_fail check_conf keys changed.5
done

for change in '/^\.SS kill/d' '/^\\fB\\-\\-jitter/d' 's/^\.SS logs/.SS log/' 's/\\-\\-term/\\-\\-term-it/'; do
  sed "$change" "$man/parley-testnet.1" >changed.1
  ! cmp -s changed.1 "$man/parley-testnet.1" || { echo "man.sh: $change changes nothing"; exit 1; }
  must_fail check_testnet changed.1
done

# check_form PAGE: groff has nothing to complain about, and no line is wider than a terminal of 80 columns, of which man uses 78 for the text
check_form() {
  groff -man -Tascii -ww -rLL=78n -P-cbou "$1" >page 2>groff.err
  [ ! -s groff.err ] || { cat groff.err; return 1; }
  ! awk 'length($0) > 80 { print FILENAME ": wider than 80 columns: " $0; found = 1 } END { exit !found }' page || return 1
}

# Where there is a formatter.
if command -v groff >/dev/null; then
  for page in "$man"/*.[158]; do
    check_form "$page" || { echo "man.sh: $page"; exit 1; }
  done
  sed 's/fin\.sheet est\.sheet lva\.sheet/& ltu.sheet pol.sheet swe.sheet/' "$man/parley.1" >changed.1
  ! cmp -s changed.1 "$man/parley.1" || { echo "man.sh: no line has become wider"; exit 1; }
  must_fail check_form changed.1
fi
echo "man.sh: $count lines of parley's table, $(wc -l <keys) keys"
