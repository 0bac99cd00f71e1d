#!/usr/bin/env bash
# Shell completion, as the shells ask for it: bash's script here; fish's and zsh's where these shells are installed.
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
        "$parley" __complete "$group" '' | grep -q "^${command#* }"$'\t' || fail "parley $group: does not offer ${command#* }"
      else
        "$parley" __complete '' | grep -q "^$command"$'\t' || fail "parley: does not offer $command"
      fi
      ;;
    option)
      [ "$command" != - ] || command=''
      # shellcheck disable=SC2086
      "$parley" __complete $command "$option" | grep -q -- "^$option"$'\t' || fail "parley $command: does not offer $option"
      ;;
  esac
done < <("$parley" __commands)

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
