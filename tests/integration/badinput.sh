#!/usr/bin/env bash
# What bad input gets: a clear error, an exit code, and nothing lost or half-written. Here what comes from an operator, a file or the
# machine; badpeer.sh has what comes from other nodes, fulldisk.sh a disk that is full, cli.sh every command on files.
#
# Usage: tests/integration/badinput.sh   in the build directory; see scenario.sh
set -euo pipefail
. "$(dirname "$0")/network.sh"
sql=$(realpath "${PARLEY_SQL:-$build/tests/integration/sql}")

make_chain FIN CHE SGP EST # EST never starts, so nobody knows an encryption key of it
for state in FIN CHE SGP; do launch $state; done
await_network FIN CHE SGP
f=(--dir FIN) s=(--dir SGP)

# refuses STATUS CODE PATTERN METHOD PATH [FILE [TYPE]]: the API of FIN, as nobody's command asks it
refuses() {
  local status=$1 code=$2 pattern=$3
  shift 3
  "$call" FIN/parley.sock "$@" >out 2>err || fail "$*: no answer"
  head -n 1 out | grep "^$status application/json" >/dev/null || fail "$*: not $status"
  tail -n +2 out | "$pick" error.code error.message >err || fail "$*: not an error as it has to be"
  grep -qE "^$code"$'\t'".*$pattern" err || fail "$*: not $code, nothing like \"$pattern\""
}
# nothing_is_sent: FIN has written nothing since `mark`
own_entries() { ask FIN status && "$pick" --each frontier.lanes node lane have <answer.json | grep '^FIN'; }
mark() { own_entries >marked; }
nothing_is_written() { own_entries | cmp -s marked - || fail "after $1 the feed of FIN is another"; }
# quickly SECONDS COMMAND...: of the processor, whoever else uses it
quickly() {
  local limit=$1 begun
  begun=$(spent_s)
  shift
  "$@"
  [ $(($(spent_s) - begun)) -le "$limit" ] || fail "${*:1:6} took $(($(spent_s) - begun)) s"
}
spent_s() { awk -v ticks="$(getconf CLK_TCK)" '{ print int(($16 + $17) / ticks) }' "/proc/$$/stat"; } # by all that has run here and ended

step '1. messages'
printf 'S\n' >short
input=short ok '' "${f[@]}" send --to SGP --subject 'The first' --wait decrypted --timeout $patience
mark
input=short bad 4 'XXX is no member of this network' "${f[@]}" send --to XXX --subject S
input=short bad 4 'XXX is no member of this network' "${f[@]}" send --to SGP,XXX --subject S
input=short bad 5 'there is no valid encryption key of EST|EST' "${f[@]}" send --to EST --subject S
input=short bad 5 'EST' "${f[@]}" send --to SGP --info EST --subject S
printf '{"to":["SGP"],"subject":"S","text":"%s"}' "$(head -c 60001 /dev/zero | tr '\0' x)" >long.json
refuses 413 text_too_long '60,?000' POST /v1/messages long.json
printf '{"to":["SGP"],"precedence":"flash","subject":"S","text":"%s"}' "$(head -c 3073 /dev/zero | tr '\0' x)" >long.json
refuses 413 text_too_long '3,?072' POST /v1/messages long.json
head -c 60001 /dev/zero | tr '\0' x >long
bad 6 '60,000 bytes' "${f[@]}" send --to SGP --subject S long
head -c 3073 long >flash
bad 6 '3,072 bytes' "${f[@]}" send --to SGP --subject S --precedence flash flash
head -c 16777217 /dev/zero >huge
bad 6 '16.0 MiB' "${f[@]}" send --to SGP --subject S --attach huge short
refuses 413 too_large '16777216|16.0 MiB' POST '/v1/attachments?name=huge' huge application/octet-stream
nothing_is_written 'messages that are refused'
head -c 60000 long >fits
ok '' "${f[@]}" send --to SGP --subject 'The longest' fits
head -c 3072 long >fits
ok '' "${f[@]}" send --to SGP --subject 'The longest FLASH' --precedence flash fits --wait decrypted --timeout $patience

step '2. indicators'
mark
i=("${f[@]}" indicator import --tlp green)
uuid=00000000-0000-4000-8000-000000000001
object='"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--'$uuid'","value":"192.0.2.1"'
printf 'not JSON' >bad.json
bad 6 'bad.json' "${i[@]}" bad.json
printf '{"type":"bundle","id":"bundle--%s","objects":[{%s}' $uuid "$object" >bad.json
bad 6 'bad.json' "${i[@]}" bad.json
head -c 4096 /dev/urandom >bad.json
bad 6 'bad.json' "${i[@]}" bad.json
: >bad.json
bad 6 'bad.json' "${i[@]}" bad.json
printf '{%s}' "$object" >bad.json
bad 6 'bundle' "${i[@]}" bad.json
printf '[1,2]' >bad.json
bad 6 'bundle|object' "${i[@]}" bad.json
refuses 400 bad_bundle 'bundle' POST '/v1/indicators?tlp=green' bad.json
printf '{"type":"bundle","id":"bundle--%s","objects":[{"id":"ipv4-addr--%s"},{"type":"ipv4-addr","value":"192.0.2.1"}]}' $uuid $uuid >bad.json
bad 6 'nothing was imported' "${i[@]}" bad.json
grep -q 'has no' out err || run "${i[@]}" bad.json
grep -qE 'has no "?type|has no "?id' out err || fail 'it is not said what the objects lack'
for depth in 65 10000; do
  { printf '{"type":"bundle","id":"bundle--%s","objects":[{%s,"x_deep":' $uuid "$object"
    printf '[%.0s' $(seq $depth); printf ']%.0s' $(seq $depth); printf '}]}'; } >bad.json
  quickly 10 bad 6 'deep' "${i[@]}" bad.json
  refuses 413 too_large 'nested more than 64 deep' POST '/v1/indicators?tlp=green' bad.json
done
truncate -s 200M sparse.json
quickly 10 bad 6 'more than 100 MiB' "${i[@]}" sparse.json
# 200 MB that begin like a bundle, by a pipe, whose size nobody can ask for
mkfifo pipe.json
{ printf '{"type":"bundle","id":"bundle--%s","objects":[' $uuid; yes "{$object}," | head -c 200000000; } >pipe.json 2>/dev/null &
helpers+=($!)
quickly 30 run "${i[@]}" pipe.json
[ "$code" -eq 6 ] || fail "a pipe with 200 MB gets exit code $code"
head -c 1048577 /dev/zero | tr '\0' ' ' >bad.json
refuses 413 too_large '1048576|1.0 MiB' POST '/v1/indicators?tlp=green' bad.json
nothing_is_written 'bundles that are refused'
ok '^\{"indicators":\[\],"next":null,"total":0\}$' "${f[@]}" indicator list --json
# A good object among bad ones is taken, and no other; unless all or nothing is asked for.
printf '{"type":"bundle","id":"bundle--%s","objects":[{"type":"x"},{%s},7]}' $uuid "$object" >some.json
bad 6 'nothing was imported' "${i[@]}" --strict some.json
nothing_is_written 'a strict import'
run "${i[@]}" some.json --json
[ "$code" -eq 6 ] && [ "$("$pick" accepted rejected.0.index rejected.1.index <out)" = $'1\t1\t3' ] || fail 'a good object among bad ones is not taken alone'

step '3. what a request may hold'
mark
for body in '{' '[]' '7' '{"to":"SGP"}' '{"to":["SGP"],"subject":7}' '{"to":["SGP"],"subject":"S","text":"T","colour":"red"}' '{"to":[],"subject":"S","text":"T"}' \
  '{"to":["SGP"],"subject":"S","text":"T","precedence":"urgent"}' '{"to":["SGP"],"subject":"a\u0000b","text":"T"}' '{"to":["SGP"],"subject":"S","text":"T","expires":"soon"}' \
  "$(printf '{"to":["SGP"],"subject":"S","text":"\xff"}')" "$(printf '[%.0s' $(seq 5000))"; do
  printf '%s' "$body" >body
  "$call" FIN/parley.sock POST /v1/messages body >out 2>err || fail "no answer to $body"
  head -n 1 out | grep -E '^4[0-9][0-9] application/json' >/dev/null || fail "not refused: $body"
  tail -n +2 out | "$pick" error.code error.message >err || fail "not an error as it has to be: $body"
done
refuses 404 '[a-z_]+' '.' GET /v1/nothing
refuses 405 '[a-z_]+' '.' DELETE /v1/messages
nothing_is_written 'requests that are refused'

step '4. a daemon that cannot start'
# no_start PATTERN DIR: parleyd ends with 3 and says why, in a sentence
no_start() {
  local pattern=$1 dir=$2
  code=0
  setsid -w timeout -k 5 60 "$parleyd" --dir "$dir" >out 2>err </dev/null || code=$?
  [ $code -eq 3 ] || fail "parleyd --dir $dir: exit code $code, expected 3"
  grep -qE "^parleyd: .*$pattern" err || fail "parleyd --dir $dir: says nothing like \"$pattern\""
  sed 's/^/   /' err
}
# --check finds what the start would
no_check() {
  code=0
  setsid -w timeout -k 5 60 "$parleyd" --dir EST --check >out 2>err </dev/null || code=$?
  [ $code -eq 3 ] && [ ! -s out ] && grep -qE "^parleyd: .*$1" err || fail "parleyd --check: exit code $code; says nothing like \"$1\""
}
# EST is a whole node, to be spoilt. Each time one thing is wrong, and is put right again; in the end it starts.
printf 'wrong horse battery\n' >pass2
chmod 600 pass2
spoil() { cp -p "EST/$1" saved; }
mend() { cp -p saved "EST/$1"; }
with_line() { # PATTERN LINE: a line in its configuration
  spoil parley.conf
  printf '%s\n' "$2" >>EST/parley.conf
  no_start "$1" EST
  [ "${3:-}" != check ] || no_check "$1"
  mend parley.conf
}
launch EST
until_true 'parleyd of EST answers' answers EST
ask EST status
est_entries=$(answer store.entries)
no_start 'EST.*(runs already|in use|another)' EST # two daemons on one folder
check 'the first one goes on' answers EST
stop EST TERM
sums() { (cd EST && sha256sum store.db store.db.feed node.key charter.plc parley.conf); }
sums >sums

sed -i "s|^passphrase_file = .*|passphrase_file = $work/pass2|" EST/parley.conf
no_start 'wrong passphrase' EST
no_check 'wrong passphrase'
sed -i '/^passphrase_file = /d' EST/parley.conf
no_start 'passphrase' EST # no terminal to ask at
setsid -w "$parleyd" --dir EST --check >out 2>err </dev/null || fail 'parleyd --check needs a passphrase'
grep -q 'EST/node.key: not opened' out || fail 'parleyd --check does not say that it has not opened the keys'
printf 'passphrase_file = nowhere\n' >>EST/parley.conf
no_check 'nowhere'
sed -i '/^passphrase_file = /d' EST/parley.conf
PARLEY_PASSPHRASE='wrong horse' no_start 'wrong passphrase' EST
printf 'passphrase_file = %s\n' "$work/pass" >>EST/parley.conf
sums >sums

ok '' charter new --name 'Test network' FIN.sheet CHE.sheet SGP.sheet EST.sheet --out unsigned.plc --quiet
ok '' charter sign unsigned.plc --root FIN.key "${with_pass[@]}"
spoil charter.plc
cp unsigned.plc EST/charter.plc
no_start 'lacks valid signatures of CHE, EST, SGP;' EST
for state in CHE EST; do ok '' charter sign unsigned.plc --root $state.key "${with_pass[@]}"; done
bad 7 'missing: SGP' charter verify unsigned.plc
cp unsigned.plc EST/charter.plc
no_start 'lacks valid signatures of SGP' EST
no_check 'lacks valid signatures of SGP'
ok '' charter sign unsigned.plc --root SGP.key "${with_pass[@]}"
cp unsigned.plc EST/charter.plc # signed by all now, but of another moment: another network than the one of the store
no_start 'another network|other network' EST
flip EST/charter.plc 300
no_start 'not a valid charter|lacks valid signatures' EST
head -c 1000 saved >EST/charter.plc
no_start 'not a valid charter' EST
rm EST/charter.plc
no_start 'charter.plc.*parley init' EST
no_check 'charter.plc.*parley init'
make_charter without.plc 'Test network' FIN CHE SGP
cp without.plc EST/charter.plc
no_start 'is not in the charter' EST
mend charter.plc

spoil store.db
"$sql" EST/store.db 'INSERT INTO proof (node, header_a, header_b) VALUES (99, zeroblob(304), zeroblob(304))' >/dev/null
no_start 'store.db: cannot be read .stored data is damaged.\. OPERATING.md, "Backups", says what to do' EST
"$sql" EST/store.db 'PRAGMA user_version = 1000' >/dev/null
sums >newer
no_start 'schema 1000, and this parleyd knows up to [0-9]+: a newer one has written it' EST
sums | cmp -s newer - || fail 'a store of a newer version was changed'
head -c 100000 /dev/urandom >EST/store.db
no_start 'store.db' EST
head -c 50 saved >EST/store.db
no_start 'store.db' EST
stop SGP TERM
cp SGP/store.db EST/store.db
no_start 'another node|other node' EST
start SGP
mend store.db

# A store that is gone is not made anew by itself: its places would be signed twice.
mkdir away
mv EST/store.db* away/
no_start 'store.db is missing, and EST/node.key.used says that this node has had a store.*--new-store' EST
[ ! -e EST/store.db ] || fail 'a store was made in the place of one that is missing'
: >EST/store.db
no_start 'store.db is empty, and EST/node.key.used says that this node has had a store' EST
rm EST/store.db
"$parleyd" --dir EST --new-store >>EST.log 2>&1 </dev/null &
pids[EST]=$!
until_true 'EST answers with a new store' answers EST
ok 'FROZEN|frozen' --dir EST status --json
input=short bad 5 "the message was not sent: this node's feed is frozen" --dir EST send --to SGP --subject 'Twice'
bad 5 "the indicators were not shared: this node's feed is frozen" --dir EST indicator import "$top/tests/samples/tidegate.json" --tlp green
"$call" FIN/parley.sock GET /metrics | grep '^parley_forks_total 0$' >/dev/null || broken 'EST has signed a place twice'
stop EST TERM
rm EST/store.db*
mv away/store.db* EST/

spoil node.key
cp FIN/node.key EST/node.key
no_start 'another node|other node' EST
flip EST/node.key 100
no_start 'node.key' EST
: >EST/node.key
no_start 'node.key' EST
rm EST/node.key
no_start 'node.key' EST
mend node.key

with_line 'parley.conf:[0-9]+: unknown key "colour"|parley.conf:[0-9]+: .*colour' 'colour = red'
with_line 'parley.conf:[0-9]+: ' 'log_level = loud'
with_line 'parley.conf:[0-9]+: ' 'links_max = 0'
with_line 'parley.conf:[0-9]+: ' 'no equals sign'
with_line 'parley.conf:[0-9]+: ' 'listen = nowhere'
with_line 'listen|numeric' 'listen = example.invalid:7100'
with_line 'EST/parley.conf:[0-9]+: peer = XXX' 'peer = XXX 127.0.0.1:7100' check
for line in 'store = nowhere/store.db' 'socket = nowhere/parley.sock' 'socket = node.key'; do
  spoil parley.conf
  printf '%s\n' "$line" >>EST/parley.conf
  no_check 'nowhere: the folder of the (store|socket): No such|node.key: stands where the socket goes'
  mend parley.conf
done
with_line 'itself' 'peer = EST 127.0.0.1:7100' check
printf '%064d\n' 7 >EST/pouch.key
chmod 666 EST/pouch.key
with_line 'pouch.key: is a secret that others on this machine may open' 'peer = FIN courier=pouch.key' check
rm EST/pouch.key
chmod 777 EST
no_start 'others on this machine may write there .mode 777.: chmod go-w EST' EST
no_check 'others on this machine'
chmod 700 EST
"$parleyd" --dir EST --check >out 2>err </dev/null && grep -q '^EST/parley.conf: ok$' out || fail 'parleyd --check does not take a folder that is right'
with_line 'parley.conf:[0-9]+: .* at most 107' "socket = /tmp/$(printf %0200d 0)"
mv EST/node.key.used used
with_line "cannot listen on $hub: the port is in use" "listen = $hub"
[ ! -e EST/node.key.used ] || fail 'a start that came to nothing leaves the mark of a node that has signed'
mv used EST/node.key.used
for files in 4 5 6 7 8 9 12 16; do
  (ulimit -n $files && no_start 'event loop cannot be started: too many open files; raise the limit .ulimit -n' EST)
done
run "${f[@]}" status
no_start 'nowhere' nowhere
no_start '.' /dev/null
code=0
"$parleyd" --colour red >out 2>err </dev/null || code=$?
[ $code -eq 2 ] || fail "parleyd --colour: exit code $code, expected 2"

sums | cmp -s sums - || fail 'a daemon that could not start has changed what is in its folder'
bad 3 'does not run' --dir EST status
start EST
ask EST status
check 'EST finds what it had' [ "$(answer store.entries)" -ge "$est_entries" ]

step '5. after all of this'
for state in FIN CHE SGP EST; do
  stop $state TERM
  check "$state ends with 0, not $ended" [ "$ended" -eq 0 ]
  start $state
done
until_true 'EST is known by its key now' all_have_keys FIN CHE SGP EST
input=short ok '' "${f[@]}" send --to SGP,EST --subject 'The last' --wait decrypted --timeout $patience
ok 'The last' "${s[@]}" inbox
for subject in 'The first' 'The longest' 'The longest FLASH'; do grep -q "$subject" out || fail "\"$subject\" is not at SGP"; done
check 'SGP has received four messages, and no other' [ "$(ask SGP inbox && "$pick" --each messages ref <answer.json | wc -l)" -eq 4 ]
no_leftovers
echo "badinput.sh: $runs runs of parley"
