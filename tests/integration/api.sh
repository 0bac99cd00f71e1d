#!/usr/bin/env bash
# The control API of running daemons, held to openapi.json: each operation is asked for what it gives and for each error that can be brought about;
# status, media type, form and error code have to be as described; and so for what any request can get, without a Host or with two lengths. A
# status that is described and neither seen here nor listed below as one that cannot be brought about fails the test, so does a path or a method
# that is answered and not described. (That the daemon has no route which the description lacks is seen from within: node/api/api_test.c.)
#
# Usage: tests/integration/api.sh   in the build directory; see scenario.sh
set -euo pipefail
. "$(dirname "$0")/network.sh"
conform=$(realpath "${PARLEY_CONFORM:-$build/tests/integration/conform}")

make_chain FIN CHE SGP EST # EST never comes up
echo 'quota_flash_per_minute = 1' >>FIN/parley.conf # a quota that is used up stays so for a minute
for state in FIN CHE SGP; do launch $state; done
await_network FIN CHE SGP

: >seen
asked=0
# expect NODE STATUS METHOD PATH [FILE [TYPE]]: leaves the body in body
expect() {
  local node=$1 status=$2
  shift 2
  asked=$((asked + 1))
  "$call" "$node/parley.sock" "$@" >out 2>err || fail "$node: $*: no answer"
  tail -n +2 out >body
  head -n 1 out | grep "^$status " >/dev/null || fail "$node: $*: not $status"
  "$conform" openapi.json "$1" "$2" <out >>seen 2>err || fail "$node: $*: not as openapi.json says"
}
field() { "$pick" "$1" <body; }
json() { printf '%s' "$1" >request; }

expect_openapi() {
  "$call" FIN/parley.sock GET /v1/openapi.json >out 2>err || fail 'openapi.json: no answer'
  tail -n +2 out >openapi.json
  cmp -s openapi.json "$top/node/api/openapi.json" || fail 'the daemon describes something else than node/api/openapi.json'
  expect FIN 200 GET /v1/openapi.json
}
expect_openapi

step '1. state'
expect FIN 200 GET /v1/health
expect FIN 200 GET /v1/status
[ "$(field pid)" = "${pids[FIN]}" ] || fail 'status has the number of another process'
expect CHE 200 GET /v1/peers
expect FIN 200 GET /metrics
grep -q '^parley_' body || fail 'there are no metrics of parley'
CALL_MS=500 expect FIN 200 GET /v1/events
expect FIN 400 GET '/v1/events?after=none'
expect FIN 200 GET /v1/feed
expect FIN 200 GET '/v1/feed?author=FIN&lane=0&limit=1'
expect FIN 400 GET '/v1/feed?author=FIN'
expect FIN 400 GET '/v1/feed?limit=0'
expect FIN 200 GET '/v1/feed?colour=red'
expect FIN 404 GET '/v1/feed?author=XXX&lane=0'
expect FIN 200 GET /v1/feed/FIN/0/1
expect FIN 404 GET /v1/feed/FIN/0/99
expect FIN 404 GET /v1/feed/FIN/9/1

step '2. messages'
head -c 100000 /dev/urandom >file
expect FIN 201 POST '/v1/attachments?name=file.bin&type=application/pdf' file application/octet-stream
token=$(field token)
expect FIN 400 POST '/v1/attachments' file application/octet-stream
expect FIN 422 POST '/v1/attachments?name=a%2Fb' file application/octet-stream
expect FIN 422 POST '/v1/attachments?name=a&type=no+type' file application/octet-stream
head -c 16777217 /dev/zero >huge
expect FIN 413 POST '/v1/attachments?name=huge' huge application/octet-stream
json '{"to":["SGP"],"info":["CHE"],"precedence":"flash","subject":"S","text":"T","expires":"2040-01-01T00:00:00Z","attachments":["'"$token"'"],"exercise":true,"operator":"Aho"}'
expect FIN 201 POST /v1/messages request
id=$(field id) ref=$(field ref)
json '{"to":["CHE"],"subject":"For CHE alone","text":"T","reply_to":"'"$id"'"}'
expect FIN 201 POST /v1/messages request
other=$(field ref)
json '{"to":["SGP"]'
expect FIN 400 POST /v1/messages request
json '{"to":["SGP"],"subject":"S","text":"T","colour":"red"}'
expect FIN 400 POST /v1/messages request
for to in '"XXX"' '"SGP","SGP"' '' '"FIN"'; do
  json '{"to":['"$to"'],"subject":"S","text":"T"}'
  expect FIN 422 POST /v1/messages request
done
for rest in '"precedence":"urgent","subject":"S","text":"T"' '"subject":"a\nb","text":"T"' '"subject":"S","text":"T","operator":"a\u0000"' '"text":""' \
  '"subject":"S","text":"T","expires":"2020-01-01T00:00:00Z"' '"subject":"S","text":"T","reply_to":"FIN/0/99"' '"subject":"S","text":"T","attachments":["none"]'; do
  json '{"to":["SGP"],'"$rest"'}'
  "$call" FIN/parley.sock POST /v1/messages request >out 2>err
  expect FIN "$(head -n 1 out | grep -oE '^4[0-9]+')" POST /v1/messages request
done
json '{"to":["EST"],"subject":"S","text":"T"}'
expect FIN 409 POST /v1/messages request
json '{"to":["SGP"],"subject":"S","text":"'"$(head -c 60001 /dev/zero | tr '\0' x)"'"}'
expect FIN 413 POST /v1/messages request
json '{"to":["SGP"],"precedence":"flash","subject":"S","text":"T"}'
for ((i = 0; ; i++)); do
  [ $i -lt 40 ] || fail 'FLASH has no quota'
  "$call" FIN/parley.sock POST /v1/messages request >out 2>err
  head -n 1 out | grep ^201 >/dev/null || break
done
expect FIN 429 POST /v1/messages request

expect FIN 200 GET '/v1/messages?box=out&limit=1'
expect FIN 200 GET "/v1/messages?box=all&after=$ref&precedence=routine"
expect FIN 400 GET '/v1/messages?box=none'
expect FIN 400 GET '/v1/messages?after=none'
expect FIN 404 GET '/v1/messages?after=FIN/0/999'
arrived() { "$call" SGP/parley.sock GET "/v1/messages/$id" >out 2>err && tail -n +2 out | "$pick" attachments.0.complete 2>/dev/null | grep true >/dev/null; }
until_true 'the message is at SGP with its file' arrived
relayed() { "$call" SGP/parley.sock GET "/v1/messages/${other//\//%2F}" >out 2>err && head -n 1 out | grep ^403 >/dev/null; }
until_true 'the message to CHE alone is at SGP' relayed
expect SGP 200 GET "/v1/messages/$id"
[ "$(field attachments.0.bytes)" = 100000 ] || fail 'the attachment has not the size of the file'
for end in '' /receipts /proof /attachments/1; do
  expect SGP 400 GET "/v1/messages/none$end"
  expect SGP 403 GET "/v1/messages/${other//\//%2F}$end"
  expect SGP 404 GET "/v1/messages/00000000000000000000000000000000$end"
done
json '{"operator":"Lim Ah Kow"}'
for action in read accept; do
  expect SGP 200 POST "/v1/messages/$id/$action" request
  expect SGP 400 POST "/v1/messages/none/$action" request
  expect SGP 403 POST "/v1/messages/${other//\//%2F}/$action" request
  expect SGP 404 POST "/v1/messages/00000000000000000000000000000000/$action" request
done
expect FIN 409 POST "/v1/messages/$id/accept" request
for bad in '{' '{"colour":"red"}' '{"operator":7}'; do
  json "$bad"
  for action in read accept; do expect SGP 400 POST "/v1/messages/$id/$action" request; done
done
json '{"operator":"a\nb"}'
for action in read accept; do expect SGP 422 POST "/v1/messages/$id/$action" request; done
expect FIN 200 GET "/v1/messages/$id/receipts"
expect SGP 200 GET "/v1/messages/${ref//\//%2F}/proof"
"$parley" verify body --charter net.plc >/dev/null 2>&1 || fail 'the proof does not hold'
expect SGP 200 GET "/v1/messages/$id/attachments/1"
same body file
expect SGP 404 GET "/v1/messages/$id/attachments/2"

step '3. indicators'
uuid=00000000-0000-4000-8000-000000000001
json '{"type":"bundle","id":"bundle--'$uuid'","objects":[{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--'$uuid'","value":"192.0.2.1"},{"type":"x"}]}'
stix='application/stix+json;version=2.1'
expect FIN 201 POST '/v1/indicators?tlp=green' request "$stix"
[ "$("$pick" accepted rejected.0.index <body)" = $'1\t2' ] || fail 'one object is not taken and one not rejected'
expect FIN 422 POST '/v1/indicators?tlp=green&strict=true' request "$stix"
expect FIN 400 POST /v1/indicators request "$stix"
expect FIN 400 POST '/v1/indicators?tlp=pink' request "$stix"
expect FIN 422 POST '/v1/indicators?tlp=red' request "$stix"
json '{'
expect FIN 400 POST '/v1/indicators?tlp=green' request "$stix"
head -c 1048577 /dev/zero >request
expect FIN 413 POST '/v1/indicators?tlp=green' request "$stix"
expect FIN 200 GET '/v1/indicators?type=ipv4-addr&author=FIN&tlp=green&q=192.0.2&limit=1'
expect FIN 400 GET '/v1/indicators?limit=none'
expect FIN 404 GET '/v1/indicators?author=XXX'
expect FIN 200 GET "/v1/indicators/ipv4-addr--$uuid"
expect FIN 200 GET "/v1/indicators/ipv4-addr--$uuid?meta=true"
expect FIN 400 GET "/v1/indicators/ipv4-addr--$uuid?meta=perhaps"
expect FIN 404 GET "/v1/indicators/ipv4-addr--00000000-0000-4000-8000-000000000002"
expect FIN 200 GET '/v1/indicators/export?type=ipv4-addr'
expect FIN 400 GET '/v1/indicators/export?tlp=pink'
expect FIN 404 GET '/v1/indicators/export?author=XXX'

step '4. what is not there'
for path in / /v1 /v1/ /v1/none /v1/status/ /v1/messages/ /v1/feed/FIN /metrics/none /V1/health /v1/../v1/health /v1//health; do expect FIN 404 GET "$path"; done
"$conform" openapi.json --list | cut -d ' ' -f 1,2 | sort -u >operations
while read -r _ path; do
  for other in PUT DELETE PATCH; do expect FIN 405 $other "$(sed -E 's/\{author\}/FIN/; s/\{(lane|seq|n)\}/1/g; s/\{id\}/1/' <<<"$path")"; done
done <operations

step '5. what any request can get'
while read -r method path; do
  at=$(sed -E 's/\{author\}/FIN/; s/\{(lane|seq|n)\}/1/g; s/\{id\}/1/' <<<"$path")
  for headers in 'Host:' 'Content-Length: x' 'Content-Length: -1' $'Content-Length: 2\nContent-Length: 3'; do
    CALL_HEADERS=$headers expect FIN 400 "${method^^}" "$at"
  done
  CALL_HEADERS='Content-Length: 99999999999999999999' expect FIN 413 "${method^^}" "$at"
  [ "$method" = post ] || continue
  for headers in 'Host: site.example' 'Host: localhost.site.example' 'Origin: https://site.example' 'Origin: null'; do
    CALL_HEADERS=$headers expect FIN 403 POST "$at"
  done
done <operations
expect FIN 400 GET '/v1/feed?limit=1&limit=2'
expect FIN 400 GET '/v1/status?a=%00'

step '6. all that is described'
# What takes a disk that is full, a daemon that is busy or a disk that has spoilt something: fulldisk.sh, and unit tests of each part.
cat >elsewhere <<'END'
get /v1/messages/{id} 409
get /v1/messages/{id} 422
get /v1/messages/{id} 503
get /v1/messages/{id}/attachments/{n} 409
get /v1/messages/{id}/attachments/{n} 422
get /v1/messages/{id}/attachments/{n} 503
get /v1/messages/{id}/proof 409
get /v1/messages/{id}/proof 410
get /v1/messages/{id}/proof 422
get /v1/messages/{id}/proof 503
get /v1/messages/{id}/receipts 409
get /v1/messages/{id}/receipts 422
get /v1/messages/{id}/receipts 503
post /v1/attachments 507
post /v1/indicators 409
post /v1/indicators 429
post /v1/indicators 503
post /v1/indicators 507
post /v1/messages 503
post /v1/messages 507
post /v1/messages/{id}/accept 503
post /v1/messages/{id}/read 409
post /v1/messages/{id}/read 503
END
sort -u seen >seen.once
comm -23 <("$conform" openapi.json --list | sort) <(sort -u seen elsewhere) >out
[ ! -s out ] || fail 'described, and not seen'
comm -12 seen.once <(sort elsewhere) >out
[ ! -s out ] || fail 'said not to be brought about, and seen'

step '7. a description that is wrong is noticed'
# notices SED NODE METHOD PATH [FILE]: with openapi.json as SED changes it
notices() {
  local how=$1 node=$2
  shift 2
  sed "$how" "$top/node/api/openapi.json" >wrong.json
  ! cmp -s wrong.json "$top/node/api/openapi.json" || fail "$how changes nothing"
  "$call" "$node/parley.sock" "$@" >out 2>err || fail "$node: $*: no answer"
  if "$conform" wrong.json "$1" "$2" <out >err 2>&1; then fail "$how is not noticed"; fi
}
notices 's|"/v1/peers"|"/v1/pears"|' FIN GET /v1/peers
notices 's|"pid"|"pit"|' FIN GET /v1/status
notices 's|"404"|"410"|' FIN GET '/v1/feed?author=XXX&lane=0'
notices 's|unknown_node|unknown_note|' FIN GET '/v1/feed?author=XXX&lane=0'
notices 's|"text/plain"|"text/html"|' FIN GET /metrics
notices 's|"integer"|"boolean"|' FIN GET /v1/status
CALL_HEADERS='Origin: null' notices 's|403 forbidden|403 forbade|' FIN POST '/v1/messages'
CALL_HEADERS='Origin: null' notices 's|"default"|"otherwise"|' FIN POST '/v1/messages'
CALL_HEADERS=$'Content-Length: 2\nContent-Length: 3' notices 's|400 bad_request|401 bad_request|' FIN GET /v1/status
CALL_HEADERS='Host:' notices 's|"text/html"|"text/x-html"|' FIN GET /v1/status
echo "api.sh: $asked requests, $(wc -l <seen.once) of $("$conform" openapi.json --list | wc -l) described answers seen, all as described"
