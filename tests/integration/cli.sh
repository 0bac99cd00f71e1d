#!/usr/bin/env bash
# The command parley on files alone: every command that needs no daemon, and what each says and returns for bad input.
#
# Usage: tests/integration/cli.sh   in the build directory; PARLEY names another binary
set -euo pipefail
. "$(dirname "$0")/lib.sh"
trap 'rm -rf "$work"' EXIT

echo 'correct horse battery' >pass
echo 'another horse battery' >pass2
echo 'short' >short
chmod 600 pass pass2 short
p=(--passphrase-file pass --cost small)

# --- the command line itself ---
ok 'Usage: parley COMMAND' --help
ok 'key new' help
ok 'Usage: parley send --to' send --help
ok '^Usage: parley charter sign' help charter sign
ok 'parley [0-9]' --version
ok '^\{"version":"' --version --json
ok '^parley [0-9]' version
ok '^\{"version":"' version --json
bad 2 'a command is missing'
bad 2 'did you mean `parley send`' sned
bad 2 'did you mean `parley charter verify`' charter verfy
bad 2 'did you mean `parley read`' reed
bad 2 'did you mean --passphrase-file' key new --role root --out x.key --passphrase-fil pass
bad 2 'needs --role' key new --out x.key
bad 2 'needs --out' key new --role root
bad 2 'needs FILE.key' key new --role root --out
bad 2 'one of: root node-role personnel node' key new --role king --out x.key
bad 2 'given twice' key new --role root --role root --out x.key
bad 2 'needs FILE.plc' charter show
bad 2 '"b.plc"' charter show a.plc b.plc
bad 2 'from 1 to 366' key certify --root x.key --days 0
absent x.key x.pub

# --- key new, key show ---
ok '^key +[0-9a-f]{4}( [0-9a-f]{4}){15}$' key new --role root --out fin-root.key --comment 'Finland, vault 1' "${p[@]}"
[ "$(mode fin-root.key)" = 600 ] || fail 'a secret is not of mode 600'
cp fin-root.key kept.key
cp fin-root.pub kept.pub
bad 5 'fin-root.key: exists already' key new --role root --out fin-root.key "${p[@]}"
same fin-root.key kept.key
mv fin-root.key elsewhere.key
bad 5 'fin-root.pub: exists already' key new --role root --out fin-root.key "${p[@]}"
same fin-root.pub kept.pub
absent fin-root.key
mv elsewhere.key fin-root.key
bad 4 'no/such.key: cannot be created' key new --role root --out no/such.key "${p[@]}"
bad 5 'no terminal to ask' key new --role root --out x.key --cost small
bad 6 'short: a passphrase for a new key, x.key, has at least 8 characters' key new --role root --out x.key --cost small --passphrase-file short
bad 4 'none: cannot be opened' key new --role root --out x.key --cost small --passphrase-file none
chmod 644 pass
bad 5 'chmod 600 pass' key new --role root --out x.key "${p[@]}"
chmod 600 pass
printf 'correct\0horse battery\n' >zero
chmod 600 zero
bad 6 'zero byte' key new --role root --out x.key --cost small --passphrase-file zero
bad 2 'cannot be a comment' key new --role root --out x.key --comment $'two\nlines' "${p[@]}"
bad 2 'cannot be a comment' key new --role root --out x.key --comment $'\xff' "${p[@]}"
absent x.key x.pub
PARLEY_PASSPHRASE='correct horse battery' run key new --role node-role --out env.key --cost small --quiet
[ "$code" -eq 0 ] && [ ! -s out ] || fail 'the environment does not serve for a passphrase, or --quiet speaks'

ok '^comment +Finland, vault 1$' key show fin-root.pub
ok '^role +root$' key show fin-root.key --passphrase-file pass
ok '^\{"file":"fin-root.key","role":"root","comment":"Finland, vault 1","public_key":"[0-9a-f]{64}"\}$' key show fin-root.key --passphrase-file pass --json
cmp -s <("$parley" key show fin-root.pub) <("$parley" key show fin-root.key --passphrase-file pass) || fail 'a key and its public part are not shown alike'
bad 6 'wrong passphrase' key show fin-root.key --passphrase-file pass2
for m in 640 604 666; do chmod $m fin-root.key; bad 5 'chmod 600 fin-root.key' key show fin-root.key --passphrase-file pass; done
chmod 600 fin-root.key
bad 4 'none.key: cannot be opened' key show none.key
bad 6 'is a folder' key show .
bad 6 'neither a key' key show pass2
head -c 4096 /dev/zero >zeros
bad 6 'neither a key' key show zeros
truncate -s 2M large
bad 6 'more than 1 MiB' key show large
head -c 60 fin-root.key >cut.key
chmod 600 cut.key
bad 6 'cut.key: is not a key file' key show cut.key --passphrase-file pass
cp fin-root.key flipped.key
flip flipped.key 70
bad 6 'wrong passphrase, or the file is damaged' key show flipped.key --passphrase-file pass
rm fin-root.pub
ok '^role +root$' key show fin-root.key --pub fin-root.pub --passphrase-file pass
same fin-root.pub kept.pub
bad 5 'fin-root.pub: exists already' key show fin-root.key --pub fin-root.pub --passphrase-file pass

# --- init ---
bad 2 'needs --dir' init --state FIN "${p[@]}"
bad 2 'says whose node' init --dir fin "${p[@]}"
absent fin
bad 2 'three capitals' init --state fin --dir fin "${p[@]}"
absent fin/node.key
bad 2 '^parley: --listen 127.0.0.1: expected host:port or .IPv6 address.:port$' init --state FIN --dir fin --listen 127.0.0.1 "${p[@]}"
[ "$(grep -c '' err)" -eq 1 ] && ! grep -q '127.0.0.1.*"127.0.0.1"' err || fail 'init says twice what is wrong'
bad 2 'CHE' init --state FIN --dir fin --peer CHE "${p[@]}"
absent fin/node.key fin/node.pub
bad 4 'no/fin: cannot be created' init --state FIN --dir no/fin "${p[@]}"
bad 6 'pass2: is not a folder' init --state FIN --dir pass2 "${p[@]}"
mkdir -m 777 open
chmod 777 open
bad 5 'others on this machine may write there' init --state FIN --dir open "${p[@]}"
rm -rf fin
ok '^node id +[0-9a-f]{4}' init --state FIN --dir fin --listen 127.0.0.1:7101 --peer 'CHE 127.0.0.1:7102' --label helsinki-1 "${p[@]}"
[ "$(mode fin)" = 700 ] && [ "$(mode fin/node.key)" = 600 ] && [ "$(mode fin/parley.conf)" = 600 ] || fail 'modes in a node'\''s folder'
grep -q '^listen = 127.0.0.1:7101$' fin/parley.conf && grep -q '^peer = CHE 127.0.0.1:7102$' fin/parley.conf &&
  grep -q "^passphrase_file = \"$work/pass\"$" fin/parley.conf || fail 'parley.conf lacks what was asked for'
cp -a fin fin.kept
ok '^node id' init --state FIN --dir fin "${p[@]}"
grep -q 'stands there already and is kept' err || fail 'init does not say that it keeps keys'
ok '"made":\[\]' init --dir fin --listen 127.0.0.1:9 --json
for f in node.key node.pub parley.conf; do same fin/$f fin.kept/$f; done
ok 'next +`parley key certify --node swe/node.pub`' init --state SWE --dir swe "${p[@]}"
bad 5 'swe: holds the keys of "SWE-1", not of FIN' init --state FIN --dir swe "${p[@]}"
rm -r swe
# whose keys they are: by the label, if it says so; said, where nothing does; and what is not written into a parley.conf that is there
run init --state SWE --dir fin "${p[@]}"
[ "$code" -eq 0 ] && grep -q 'whose the keys of "helsinki-1" are, and --state SWE is not written anywhere' err || fail 'init is silent about a --state that it cannot check'
! grep -q 'not written into it' err || fail 'init says that it does not write what stands there'
run init --dir fin --peer 'CHE 127.0.0.1:7102' --passphrase-file pass2
[ "$code" -eq 0 ] && grep -q 'fin/parley.conf stands there already and is kept; not written into it: --peer, --passphrase-file$' err ||
  fail 'init does not say what it does not write'
rm fin/node.pub fin/parley.conf
ok 'made +fin/node.pub' init --dir fin --passphrase-file pass
same fin/node.pub fin.kept/node.pub
[ -e fin/parley.conf ] || fail 'an interrupted init is not completed'
mv fin/node.key away.key
bad 5 'is gone' init --state FIN --dir fin "${p[@]}"
mv away.key fin/node.key
for s in CHE:che SGP:sgp; do
  ok 'node id' init --state ${s%:*} --dir ${s#*:} "${p[@]}"
  ok 'key' key new --role root --out ${s#*:}-root.key "${p[@]}"
done

# --- key certify ---
c=(--passphrase-file pass)
ok '"helsinki-1", 127.0.0.1:7101, generation 1' key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub,127.0.0.1:7101 --out fin.sheet "${c[@]}"
bad 5 'fin.sheet: exists already' key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub --out fin.sheet "${c[@]}"
ok '^FIN +Finland \(state\)$' key show fin.sheet
ok '"complete":true\}$' key show fin.sheet --json
bad 2 'needs --state' key certify --name Finland --root fin-root.key --node fin/node.pub --out x.sheet "${c[@]}"
bad 2 'a member has a node at least' key certify --state FIN --name Finland --root fin-root.key --out x.sheet "${c[@]}"
bad 2 'a sheet needs --root' key certify --state FIN --name Finland --node fin/node.pub --out x.sheet "${c[@]}"
bad 2 'needs a key that signs' key certify --state FIN --node fin/node.pub --out x.sheet "${c[@]}"
bad 2 'three capitals' key certify --state Fin --name Finland --root fin-root.key --node fin/node.pub --out x.sheet "${c[@]}"
bad 2 'is not an address' key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub,nowhere --out x.sheet "${c[@]}"
bad 6 'is of a root key; a node' key certify --state FIN --name Finland --root fin-root.key --node fin-root.pub --out x.sheet "${c[@]}"
bad 6 'is a node-role key; a root key' key certify --state FIN --name Finland --root env.key --node fin/node.pub --out x.sheet "${c[@]}"
bad 6 'holds a node' key certify --state FIN --name Finland --root fin/node.key --node fin/node.pub --out x.sheet "${c[@]}"
bad 6 'a secret key; its public part' key certify --state FIN --name Finland --root fin-root.key --node fin/node.key --out x.sheet "${c[@]}"
bad 6 'given twice' key certify --state FIN --name Finland --root fin-root.key --root fin-root.key --threshold 1 --node fin/node.pub --out x.sheet "${c[@]}"
bad 6 'stands twice' key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub --node fin/node.pub --out x.sheet "${c[@]}"
bad 6 'wrong passphrase' key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub --out x.sheet --passphrase-file pass2
bad 2 'cannot be a name' key certify --state FIN --name $'Fin\e[31mland' --root fin-root.key --node fin/node.pub --out x.sheet "${c[@]}"
absent x.sheet

# two of three root keys, which are never in one place; node-role keys of their own
for i in 1 2 3; do ok 'key' key new --role root --out che-root-$i.key "${p[@]}"; done
bad 2 'says how many' key certify --state CHE --name Switzerland --root che-root-1.key --root-pub che-root-2.pub --node che/node.pub --out che.sheet "${c[@]}"
bad 2 'more than the 1 key that is given' key certify --state CHE --name Switzerland --root che-root-1.key --threshold 2 --node che/node.pub --out che.sheet "${c[@]}"
bad 5 '2 node-role keys have to sign' key certify --state CHE --name Switzerland --root che-root-1.key --root-pub che-root-2.pub --threshold 2 --node che/node.pub --out che.sheet "${c[@]}"
absent che.sheet
ok 'che|CHE' key certify --state CHE --name Switzerland --root che-root-1.key --root-pub che-root-2.pub --root-pub che-root-3.pub --threshold 2 \
  --node-role env.key --node che/node.pub,127.0.0.1:7102 --out che.sheet "${c[@]}"
grep -q 'signed by 1 of the 2 root keys' err || fail 'a sheet that lacks a signature is not named so'
ok 'any 2 of these 3' key show che.sheet
bad 7 'signatures are missing' charter new --name Net --out x.plc che.sheet
cp che.sheet che.sheet.half
bad 5 'sheet of CHE \(Switzerland\), and the key given is not among' key certify --add-signature che.sheet --root fin-root.key "${c[@]}"
bad 5 'has signed it already' key certify --add-signature che.sheet --root che-root-1.key "${c[@]}"
bad 2 'cannot change it' key certify --add-signature che.sheet --root che-root-2.key --days 3 "${c[@]}"
bad 6 'fin-root.pub: is the public part of a key; it is neither a member' key certify --add-signature fin-root.pub --root che-root-2.key "${c[@]}"
same che.sheet che.sheet.half
ok 'signed$' key certify --add-signature che.sheet --root che-root-3.key "${c[@]}"
ok '"complete":true\}$' key show che.sheet --json
for at in 10 40 100 200 300; do
  cp che.sheet flipped.sheet
  flip flipped.sheet $at
  run key show flipped.sheet
  [ "$code" -eq 6 ] || [ "$code" -eq 7 ] || fail "a sheet with byte $at changed: exit code $code"
done

# a certificate by itself, signed by two of three node-role keys on two machines, which name them in different orders
for i in 1 2 3; do ok 'key' key new --role node-role --out est-role-$i.key "${p[@]}"; done
ok 'key' key new --role root --out est-root.key "${p[@]}"
ok 'node id' init --state EST --dir est "${p[@]}"
others=(--node-role-pub est-role-3.pub --node-role-pub est-role-2.pub)
ok '^EST +"EST-1", 127.0.0.1:7104, generation 2$' key certify --state EST --node-role est-role-1.key "${others[@]}" --node est/node.pub,127.0.0.1:7104 \
  --generation 2 --out est.cert "${c[@]}"
ok '^EST +"EST-1"' key show est.cert
ok '"code":"EST"\}$' key show est.cert --json
sheet=(key certify --state EST --name Estonia --root est-root.key --node-role-threshold 2 --certificate est.cert --out est.sheet)
for i in 1 2 3; do sheet+=(--node-role-pub "est-role-$i.pub"); done
bad 7 'is not signed by 2 of the 3' "${sheet[@]}" "${c[@]}"
bad 2 'node-role FILE.key signs it' key certify --add-signature est.cert --root est-root.key "${c[@]}"
bad 2 'one certificate is made' key certify --state EST --node-role est-role-1.key --node est/node.pub --node fin/node.pub --out x.cert "${c[@]}"
bad 5 'exists already' key certify --state EST --node-role est-role-1.key --node est/node.pub --out est.cert "${c[@]}"
cp est.cert est.cert.half
bad 5 'signed with this key already' key certify --add-signature est.cert "${others[@]}" --node-role est-role-1.key "${c[@]}"
same est.cert est.cert.half
ok '^EST' key certify --add-signature est.cert --node-role est-role-3.key --node-role-pub est-role-1.pub --node-role-pub est-role-2.pub "${c[@]}"
absent est.sheet x.cert
ok 'any 2 of these 3' "${sheet[@]}" "${c[@]}"
ok '"complete":true\}$' key show est.sheet --json
bad 6 'at most 3 nodes' key certify --state EST --name Estonia --root est-root.key --out x.sheet "${c[@]}" \
  --certificate est.cert --certificate est.cert --certificate est.cert --certificate est.cert
rm -r est

# --- charter ---
ok 'the root keys' key certify --state SGP --name Singapore --root sgp-root.key --node sgp/node.pub --out sgp.sheet "${c[@]}"
ok 'signed +by 0 of 3 members; missing: CHE, FIN, SGP' charter new --name 'Test network' sgp.sheet fin.sheet che.sheet --out net.plc
bad 5 'net.plc: exists already' charter new --name 'Test network' sgp.sheet fin.sheet che.sheet --out net.plc
bad 6 'fin.sheet: something of FIN stands in fin.sheet too' charter new --name Net fin.sheet fin.sheet --out x.plc
bad 6 'is not a member' charter new --name Net fin.sheet pass2 --out x.plc
! grep -q 'network of one' err || fail 'a network of two is said to be one of one'
bad 6 'fin-root.pub: is the public part of a key, not a member.s sheet' charter new --name Net fin-root.pub --out x.plc
bad 6 'fin-root.key: is a secret key, not a member.s sheet' charter new --name Net fin-root.key --out x.plc
bad 4 'none.sheet' charter new --name Net fin.sheet none.sheet --out x.plc
bad 2 'an empty one' charter new --name '' --out x.plc fin.sheet
bad 2 'cannot be a name of a network' charter new --name ' Net' --out x.plc fin.sheet
absent x.plc
cp net.plc unsigned.plc
bad 7 'missing: CHE, FIN, SGP' charter verify net.plc
bad 4 'a root key of no member' charter sign net.plc --root che-root.key "${c[@]}"
bad 6 'charters are signed with root keys' charter sign net.plc --root env.key "${c[@]}"
bad 6 'wrong passphrase' charter sign net.plc --root fin-root.key --passphrase-file pass2
same net.plc unsigned.plc
ok 'signed +by 1 of 3 members: FIN; missing: CHE, SGP' charter sign net.plc --root fin-root.key "${c[@]}"
bad 5 'has signed this charter already' charter sign net.plc --root fin-root.key "${c[@]}"
ok 'signed +by 1 of 3 members: FIN; missing: CHE \(1 of 2 root keys\), SGP$' charter sign net.plc --root che-root-1.key "${c[@]}"
bad 7 'missing: CHE \(1 of 2 root keys\), SGP' charter verify net.plc
ok 'signed +by 2 of 3' charter sign net.plc --root che-root-2.key "${c[@]}"
bad 7 'missing: SGP' charter verify net.plc
bad 7 'missing: SGP' init --dir fin --charter net.plc
absent fin/charter.plc
ok '"complete":true' charter sign net.plc --root sgp-root.key --json "${c[@]}"
ok 'net.plc holds: 3 members, 3 nodes' charter verify net.plc
ok '^CHE +Switzerland' charter show net.plc
ok '^\{"valid":true,"network_id":"[0-9a-f]{64}"' charter verify net.plc --json
id=$(sed 's/.*"network_id":"\([0-9a-f]*\)".*/\1/' out)
ok 'holds' charter verify net.plc --network "$id"
ok 'holds' charter verify net.plc --network "$(echo "$id" | sed 's/..../& /g')"
bad 7 'net.plc: is the charter of another network' charter verify net.plc --network "${id%?}$(printf %x $((0x${id: -1} ^ 1)))"
bad 2 '64 hexadecimal digits, in groups or not; not "1234"' charter verify net.plc --network 1234
bad 2 'a time like' charter verify net.plc --at tomorrow
ok '^ends +20.*, in 36[0-9] days: ' charter verify net.plc
ok '"valid_until":"20' charter verify net.plc --json
bad 7 'expired on' charter verify net.plc --at "$(date -u -d '+2 years' +%FT%TZ)"
bad 7 'not valid before' charter verify net.plc --at 2020-01-01T00:00:00Z
# a byte changed, anywhere: never valid, never a crash
size=$(stat -c %s net.plc)
for ((at = 0; at < size; at += 23)); do
  cp net.plc t.plc
  flip t.plc $at
  run charter verify t.plc
  [ "$code" -eq 6 ] || [ "$code" -eq 7 ] || fail "a charter with byte $at changed: exit code $code"
done
for ((at = 0; at < size; at += 101)); do
  head -c $at net.plc >t.plc
  run charter verify t.plc
  [ "$code" -eq 6 ] || [ "$code" -eq 7 ] || fail "a charter cut to $at bytes: exit code $code"
done
bad 6 'fin.sheet: is a member.s sheet, not a charter' charter show fin.sheet
bad 6 'est.cert: is a certificate, not a charter' charter verify est.cert
bad 6 'pass2: is not a charter' charter show pass2
bad 6 'net.plc: is a charter, not a member.s sheet' charter new --name Net net.plc --out x.plc
bad 6 'net.plc: is a charter, neither a key' key show net.plc
bad 6 'more than 1 MiB' charter show large

# --- init with a charter ---
bad 5 'belongs to FIN, not to SGP' init --state SGP --dir fin --charter net.plc
ok 'node id' init --state EST --dir est "${p[@]}"
bad 5 'does not stand in this charter' init --dir est --charter net.plc
absent est/charter.plc fin/charter.plc
bad 4 'none.plc' init --dir fin --charter none.plc
ok '^node +FIN in "Test network"' init --dir fin --charter net.plc
same fin/charter.plc net.plc
ok '"name":"FIN"' init --dir fin --charter net.plc --json
bad 5 'fin: by its charter it is a node of FIN, not of SWE' init --state SWE --dir fin "${p[@]}"
ok '' init --state FIN --dir fin "${p[@]}"
! grep -q 'whose the keys' err || fail 'init does not see whose keys they are by the charter'
ok 'FIN' key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub --out fin2.sheet "${c[@]}"
ok 'by 0 of 1 member; missing: FIN' charter new --name Other fin2.sheet --out other.plc
grep -q '^parley: this is a network of one member' err || fail 'a network of one is made without a word'
ok 'by its only member' charter sign other.plc --root fin-root.key "${c[@]}"
bad 5 'is another charter than other.plc' init --dir fin --charter other.plc
same fin/charter.plc net.plc

# --- verify ---
bad 4 'none.proof' verify none.proof
bad 6 'not a proof' verify pass2
bad 6 'net.plc: is a charter, not a proof' verify net.plc
input=net.plc bad 6 'stdin: is a charter, not a proof' verify -
input=pass2 bad 6 'stdin: not a proof' verify -
input=large bad 6 '^parley: stdin: has more than' verify -
bad 6 'more than' verify large
bad 2 'give one' verify net.plc --network "$id" --charter net.plc
bad 2 '64 hexadecimal digits, in groups or not; not "zz"' verify net.plc --network zz

# --- no daemon ---
for command in status peers feed inbox 'read FIN/0/1' 'accept FIN/0/1' 'receipts FIN/0/1' 'watch' 'indicator list' 'export FIN/0/1 -o x.proof' \
  'attachment FIN/0/1 0 -o x.bin' 'send --to SGP --subject S' 'indicator show indicator--1' 'indicator export -o x.json'; do
  # shellcheck disable=SC2086
  bad 3 'parleyd does not run: there is no fin/parley.sock' --dir fin $command
done
absent x.proof x.bin x.json
bad 3 'has no parley.conf' --dir zeros status
bad 3 'no node in this folder|does not run: there is no /var/lib/parley/' status # a machine may have one
bad 3 'does not run: there is no nowhere' --socket nowhere status
run --socket nowhere status
! grep -q /var/lib/parley err || fail 'the hint names a folder that nobody has named'
# a folder that this user may not open is one all the same
mkdir -m 700 closed
touch closed/parley.conf
cat >as_nobody <<END
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$parley" "\$@"
END
chmod +x as_nobody
chmod 755 .
if [ "$(id -u)" -ne 0 ]; then
  chmod 000 closed
  bad 3 'closed/parley.conf: may not be opened by this user' --dir closed status
  chmod 700 closed
elif ./as_nobody --version >out 2>&1; then
  parley=./as_nobody bad 3 'closed/parley.conf: may not be opened by this user' --dir closed status
else
  echo 'cli.sh: as root, without setpriv(1) or with a build folder of its own: a folder of another user is not looked at'
fi
bad 6 'longer than the 107 bytes' --socket "$(printf %0200d 0)" status
cp fin/parley.conf conf.kept
echo 'lissen = 127.0.0.1:1' >>fin/parley.conf
bad 6 'fin/parley.conf:[0-9]+: ' --dir fin status
mv conf.kept fin/parley.conf

# --- what is checked before anything is sent ---
bad 2 'is not a member' --dir fin send --to Finland --subject S
bad 2 'one line' --dir fin send --to SGP --subject $'a\nb'
bad 2 'one line' --dir fin send --to SGP --subject $'a\xe2\x80\xaeb'
bad 2 'at most 256' --dir fin send --to SGP --subject "$(printf %0257d 0)"
bad 2 'over already' --dir fin send --to SGP --subject S --expires 2020-01-01T00:00:00Z
bad 2 '999999999h: that is after the year 9999' --dir fin send --to SGP --subject S --expires 999999999h
bad 2 'cannot be "soon"' --dir fin send --to SGP --subject S --expires soon
printf 'a\0b' >binary
bad 6 'binary: is not text: byte 2 is zero' --dir fin send --to SGP --subject S binary
input=binary bad 6 'stdin: is not text: byte 2 is zero' --dir fin send --to SGP --subject S -
printf 'caf\xe9' >latin1
bad 6 'not text in UTF-8: byte 4, ' --dir fin send --to SGP --subject S latin1
printf %03073d 0 >long
bad 6 '3,072 bytes that a FLASH' --dir fin send --to SGP --subject S --precedence flash long
bad 3 'does not run' --dir fin send --to SGP --subject S --precedence priority long
printf %060001d 0 >long
bad 6 '60,000 bytes' --dir fin send --to SGP --subject S long
bad 4 'none: cannot be read' --dir fin send --to SGP --subject S --attach none
bad 6 'is not a file' --dir fin send --to SGP --subject S --attach fin
: >$'esc\e.txt'
bad 6 'its name is not one line of UTF-8, without control characters' --dir fin send --to SGP --subject S --attach $'esc\e.txt'
rm $'esc\e.txt'
truncate -s 16777217 huge
bad 6 '[0-9],[0-9]{3} bytes; a message takes 16.0 MiB, which is 16,777,216 bytes' --dir fin send --to SGP --subject S --attach huge
many=()
for i in $(seq 17); do many+=(--attach pass); done
bad 6 'at most 16 attachments' --dir fin send --to SGP --subject S "${many[@]}"

# --- indicators, checked before the first is sent ---
i=(--dir fin indicator import)
bad 2 'needs --tlp' "${i[@]}" pass2
bad 2 'not a TLP 2.0 label' "${i[@]}" pass2 --tlp pink
bad 6 'pass2' "${i[@]}" pass2 --tlp green
input=pass2 bad 6 '^parley: stdin: ' "${i[@]}" - --tlp green
echo '{"type":"report","id":"report--1"}' >object.json
bad 6 'bundle' "${i[@]}" object.json --tlp green
{ printf '[%.0s' $(seq 10000); printf ']%.0s' $(seq 10000); } >deep.json
bad 6 'deep' "${i[@]}" deep.json --tlp green
truncate -s 200M large.json
bad 6 'more than 100 MiB' "${i[@]}" large.json --tlp green
head -c 100000 /dev/urandom >random.json
bad 6 'random.json' "${i[@]}" random.json --tlp green
echo '{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[{"type":"indicator"},{"id":"x"}]}' >partial.json
bad 6 'partial.json: 2 objects break a rule; nothing was imported' "${i[@]}" partial.json --tlp green --strict
run "${i[@]}" partial.json --tlp green --strict
grep -q '^parley: object 1: ' err && grep -q '^parley: object 2: ' err || fail 'import does not count objects from 1'
bad 6 'nothing was imported' "${i[@]}" partial.json --tlp green

# --- a full disk ---
if [ -w /dev/full ]; then
  runs=$((runs + 1))
  code=0
  "$parley" charter show net.plc >/dev/full 2>err || code=$?
  [ "$code" -eq 1 ] && grep -q 'cannot be written' err || fail 'output that cannot be written is not noticed'
fi

# --- on a terminal: passphrases are asked for without echo, there is colour, and a signal leaves the terminal as it was ---
if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
  echo 'cli.sh: this machine gives no pseudo-terminal (no script(1), or no /dev/pts): what needs one is not looked at'
else
  # type_lines TYPED...: each once there is one question more on the terminal
  type_lines() {
    local asked=0 i
    for line; do
      asked=$((asked + 1))
      for ((i = 0; i < 300; i++)); do
        [ "$(grep -oE 'passphrase of [^ ,]+(, at least 8 characters)?: |the same again: ' out | wc -l)" -lt $asked ] || break
        sleep 0.1
      done
      printf '%b' "$line"
    done
    sleep 0.5
  }
  # on_terminal TYPED... -- COMMAND...: what the terminal shows goes to out
  on_terminal() {
    local -a typed=()
    while [ "$1" != -- ]; do typed+=("$1"); shift; done
    shift
    code=0
    : >err
    : >out
    runs=$((runs + 1))
    type_lines "${typed[@]}" | TERM=xterm timeout 60 script -qec "$(printf '%q ' "$@")" /dev/null >out 2>&1 || code=$?
  }
  on_terminal 'typed secret\n' 'typed secret\n' -- "$parley" key new --role root --out tty.key --cost small
  [ "$code" -eq 0 ] && [ -e tty.key ] || fail 'a passphrase cannot be typed'
  grep -q 'typed secret' out && fail 'the terminal shows the passphrase'
  grep -q 'deriving the key of tty.key from the passphrase' out || fail 'nothing is said on a terminal while a key is derived'
  grep -q $'\e\\[2msecret\e\\[0m' out || fail 'no colour on a terminal'
  NO_COLOR=1 on_terminal 'typed secret\n' -- "$parley" key show tty.key
  [ "$code" -eq 0 ] || fail 'a typed passphrase opens nothing'
  grep -q $'\e' out && fail 'NO_COLOR is not honoured'
  on_terminal 'typed secret\n' 'another one\n' -- "$parley" key new --role root --out tty2.key --cost small
  [ "$code" -eq 6 ] && grep -q 'the two passphrases differ' out && ! grep -q 'characters: the two' out || fail 'two different passphrases are taken'
  absent tty2.key tty2.pub
  on_terminal 'short\n' -- "$parley" key new --role root --out tty2.key --cost small
  [ "$code" -eq 6 ] && grep -q 'at least 8 characters' out && ! grep -q 'the same again' out || fail 'a short passphrase is asked for twice'
  absent tty2.key
  on_terminal '\003' -- bash -c "trap : INT; $parley key show tty.key; stty -a"
  grep -qE '[^-]echo ' out || fail 'an interrupted question leaves the terminal without echo'
fi

# --- help fits 80 columns ---
mapfile -t names < <("$parley" __commands | awk -F '\t' '$1 == "command" {print $2}')
for name in '' "${names[@]}"; do
  # shellcheck disable=SC2086
  ok '^Usage: parley' $name --help
  ! LC_ALL=C.UTF-8 grep -E '^.{81}' out >err || fail "parley $name --help has lines of more than 80 columns"
done
"$parleyd" --help >out
! grep -E '^.{81}' out >err || fail 'parleyd --help has lines of more than 80 columns'

# --- contrib/demo: what is wrong on its command line is said before anything is built ---
echo '{"type": "report"}' >report.json
demo() {
  code=0
  "$top/contrib/demo" "${@:2}" >out 2>err || code=$?
  [ "$code" -eq 2 ] && grep -q -- "$1" err && [ ! -s out ] || fail "demo ${*:2}: exit code $code, expected 2 and \"$1\""
}
demo '--stix needs a value' --stix
demo 'there is no such file' --stix "$work/no.json"
demo 'is not a STIX bundle' --stix "$work/report.json"
demo 'unknown option' --nonsense

rm -f large large.json huge
no_leftovers
echo "cli.sh: $runs runs of parley"
