#!/usr/bin/env bash
# Shell completion, as the shells ask for it: bash's scripts here, of parley and of contrib/testnet; fish's and zsh's where these shells are
# installed.
#
# Usage: tests/integration/completion.sh   in the build directory; PARLEY names another binary
set -euo pipefail
parley=$(realpath "${PARLEY:-node/parley}")
completion=$(cd "${srcdir:-$(dirname "$0")/../..}/contrib/completion" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/sub"
ln -s "$parley" "$work/bin/parley"
export PATH=$work/bin:$PATH
cd "$work"
unset PARLEY_DIR
: >file.key

fail() { printf 'completion.sh: %s\n' "$1" >&2; exit 1; }

# --- bash ---
# shellcheck source=/dev/null
source "$completion/parley.bash"
compopt() { :; } # only works while the shell really completes
# offers "EXPECTED..." WORD...: what bash offers for the last word, in any order
offers() {
  local want=$1
  shift
  COMP_WORDS=(parley "$@")
  COMP_CWORD=$#
  _parley
  local have
  have=$(printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | xargs)
  [ "$have" = "$want" ] || fail "bash, parley $*: offers \"$have\", expected \"$want\""
}
offers 'new' key n
offers 'certify new show' key ''
offers 'node node-role personnel root' key new --role ''
offers 'node node-role' key new --role = n
offers '--role' key new --ro
offers '' key new --role root --role
offers 'file.key' charter sign f
offers 'bin file.key sub' charter sign ''
offers 'sub' --dir s
offers 'file.key' key new --out = file
offers '' nonsense ''
offers '' send --subject ''
offers 'clear green' indicator import --tlp ''
offers 'certify new show' help key ''
offers 'reply' help repl
offers '' help reply ''
offers 'green' indicator list --tlp = G

# every command and option of the table is offered
while IFS=$'\t' read -r what command option _; do
  case $what in
    command)
      group=${command% *}
      if [ "$group" != "$command" ]; then
        "$parley" __complete "$group" '' | grep "^${command#* }"$'\t' >/dev/null || fail "parley $group: does not offer ${command#* }"
      else
        "$parley" __complete '' | grep "^$command"$'\t' >/dev/null || fail "parley: does not offer $command"
      fi
      ;;
    option)
      [ "$command" != - ] || command=''
      # shellcheck disable=SC2086
      "$parley" __complete $command "$option" | grep -- "^$option"$'\t' >/dev/null || fail "parley $command: does not offer $option"
      ;;
  esac
done < <("$parley" __commands)

# contrib/testnet
# shellcheck source=/dev/null
source "$completion/testnet.bash"
# offers_testnet "EXPECTED..." WORD...
offers_testnet() {
  local want=$1 have
  shift
  COMP_WORDS=("$completion/../testnet" "$@")
  COMP_CWORD=$#
  _parley_testnet
  have=$(printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | xargs)
  [ "$have" = "$want" ] || fail "bash, testnet $*: offers \"$have\", expected \"$want\""
}
mkdir network
echo 'states FIN CHE SGP' >network/testnet
offers_testnet 'link logs' l
offers_testnet '' frob ''
offers_testnet 'containers netns processes' up --backend ''
offers_testnet 'bin file.key mesh network ring sub' up --topology ''
offers_testnet '--jitter' link FIN CHE --ji
offers_testnet '--once' status --on
offers_testnet '' link FIN CHE --delay ''
offers_testnet 'CHE FIN SGP' --dir network cut ''
offers_testnet 'SGP' --dir network kill --term s
offers_testnet 'FIN' --dir network cut --one-way CHE f
offers_testnet 'link logs' help l

# --- fish, zsh ---
shells=bash
if command -v fish >/dev/null; then
  shells+=', fish'
  HOME=$work fish --no-config -c "source $completion/parley.fish; complete -C 'parley key n'; complete -C 'parley key new --out=fil'; complete -C 'parley --dir su'" |
    cut -f 1 >offered.txt
  printf '%s\n' new --out=file.key sub/ | cmp -s - offered.txt || fail "fish offers: $(tr '\n' ' ' <offered.txt)"
fi
if command -v zsh >/dev/null; then
  shells+=', zsh (its form)'
  zsh -f -n "$completion/_parley" || fail 'zsh does not take _parley'
fi
echo "completion.sh: $shells"
