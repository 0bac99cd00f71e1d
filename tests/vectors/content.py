#!/usr/bin/env python3
# Makes content.txt: the formats of PROTOCOL.md, written from its text by a second implementation that shares no code with proto/.
# Usage: python3 tests/vectors/content.py >tests/vectors/content.txt
import hashlib
import struct

# --- Ed25519 (RFC 8032, section 5.1), slow and plain ---

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BY = 4 * pow(5, P - 2, P) % P


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x % 2 != sign else x


BASE = (recover_x(BY, 0), BY)


def add(p, q):
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def multiply(p, n):
    q = (0, 1)
    while n:
        if n & 1:
            q = add(q, p)
        p = add(p, p)
        n >>= 1
    return q


def encode_point(p):
    return (p[1] | (p[0] & 1) << 255).to_bytes(32, 'little')


def expand_seed(seed):
    h = hashlib.sha512(seed).digest()
    return int.from_bytes(h[:32], 'little') & (1 << 254) - 8 | 1 << 254, h[32:]


def public_key(seed):
    return encode_point(multiply(BASE, expand_seed(seed)[0]))


def sign(seed, label, *parts):
    a, prefix = expand_seed(seed)
    message = labelled(label, parts)
    public = public_key(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), 'little') % L
    big_r = encode_point(multiply(BASE, r))
    k = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), 'little') % L
    return big_r + ((r + k * a) % L).to_bytes(32, 'little')


# --- labels and hashes ---

def labelled(label, parts):
    return b'parley/v1/' + label.encode() + b'\0' + b''.join(parts)


def h(label, *parts):
    return hashlib.blake2b(labelled(label, parts), digest_size=32).digest()


# --- msgpack ---

class Text(bytes):
    pass


def text(s):
    return Text(s.encode())


def sized(count, fix_max, fix, *sizes):
    if fix_max is not None and count <= fix_max:
        return bytes([fix | count])
    for code, form in sizes:
        if count < 1 << 8 * struct.calcsize('>' + form):
            return bytes([code]) + struct.pack('>' + form, count)
    raise ValueError(count)


def pack(value):
    if isinstance(value, bool):
        return b'\xc3' if value else b'\xc2'
    if isinstance(value, int):
        return sized(value, 0x7f, 0, (0xcc, 'B'), (0xcd, 'H'), (0xce, 'I'), (0xcf, 'Q'))
    if isinstance(value, Text):
        return sized(len(value), 31, 0xa0, (0xd9, 'B'), (0xda, 'H'), (0xdb, 'I')) + value
    if isinstance(value, bytes):
        return sized(len(value), None, 0, (0xc4, 'B'), (0xc5, 'H'), (0xc6, 'I')) + value
    return sized(len(value), 15, 0x90, (0xdc, 'H'), (0xdd, 'I')) + b''.join(pack(v) for v in value)


# --- what is printed ---

def show(value):
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int) else value.hex()


def case(what, *fields):
    print('what = ' + what)
    for key, value in fields:
        print((key + ' = ' + show(value)).rstrip())
    print()


def seed(n):
    return bytes([n]) * 32


print('# source: PROTOCOL.md of Parley, by tests/vectors/content.py; as Parley itself')
print()

# --- certificates, sheets, charter ---

def certificate(code, label, node_seed, noise, generation, start, end, address, signers):
    body = pack([1, text(code), text(label), public_key(node_seed), noise, generation, start, end, text(address)])
    digest = h('document', b'\1', body)
    document = pack([body, [[i, sign(s, 'certificate', digest)] for i, s in signers]])
    case('certificate', ('code', code), ('label', label), ('node_id', public_key(node_seed)), ('noise', noise), ('generation', generation),
         ('from', start), ('until', end), ('address', address), *[f for i, s in signers for f in (('index', i), ('seed', s))],
         ('hash', digest), ('document', document))
    return document


def sheet(code, name, role, root, node_role, certificates, signers):
    def key_set(threshold, seeds):
        return [threshold, [public_key(s) for s in seeds]]
    body = pack([1, text(code), text(name), role, key_set(*root), key_set(*node_role), certificates])
    digest = h('document', b'\2', body)
    document = pack([body, [[i, sign(s, 'member', digest)] for i, s in signers]])
    case('sheet', ('code', code), ('name', text(name)), ('role', role),
         ('root_threshold', root[0]), *[('root', public_key(s)) for s in root[1]],
         ('role_threshold', node_role[0]), *[('node_role', public_key(s)) for s in node_role[1]],
         *[('certificate', c) for c in certificates], *[f for i, s in signers for f in (('index', i), ('seed', s))],
         ('hash', digest), ('document', document))
    return document


def charter(name, created, sheets, signers):
    body = pack([1, 0, created, text(name), sheets])
    digest = h('network', body)
    lists = [pack([[i, sign(s, 'charter', digest)] for i, s in of_member]) for of_member in signers]
    document = pack([body, lists])
    case('charter', ('name', name), ('created', created), *[('sheet', s) for s in sheets],
         *[('seed', s) for of_member in signers for _, s in of_member], ('network_id', digest), ('document', document))
    return document, digest


NOW = 1795521600000  # 2026-11-24T12:00:00Z
YEAR = 365 * 86400000
FIN_ROOT = [seed(1), seed(2), seed(3)]
FIN_ROLE = [seed(4), seed(5)]
CHE_KEY = [seed(6)]
FIN_NODE, FIN_NODE_2, CHE_NODE = seed(7), seed(8), seed(9)
# any 32 bytes will do for a Noise key here
fin = sheet('FIN', 'Suomi – Finland', 1, (2, FIN_ROOT), (1, FIN_ROLE), [
    certificate('FIN', 'helsinki-1', FIN_NODE, seed(0x21), 1, NOW - 86400000, NOW + YEAR, 'fin.example:7100', [(0, FIN_ROLE[0])]),
    certificate('FIN', 'oulu-1', FIN_NODE_2, seed(0x22), 300, NOW, NOW + 367 * 86400000, '', [(0, FIN_ROLE[0]), (1, FIN_ROLE[1])]),
], [(0, FIN_ROOT[0]), (2, FIN_ROOT[2])])
che = sheet('CHE', 'Confoederatio Helvetica', 1, (1, CHE_KEY), (1, CHE_KEY), [
    certificate('CHE', 'bern', CHE_NODE, seed(0x23), 1, NOW, NOW + YEAR, '[2001:db8::7]:65535', [(0, CHE_KEY[0])]),
], [(0, CHE_KEY[0])])
document, network = charter('Example network', NOW, [che, fin], [[(0, CHE_KEY[0])], [(1, FIN_ROOT[1]), (2, FIN_ROOT[2])]])

# --- contents ---

TEXT = 'Unusual traffic since 09:40 from two of your networks.\n\nCan you look? – Kiitos.'


def message(fields):
    mid, precedence, sent, expires, sender, operator, subject, body, reply_to, template, recipients, attachments, exercise = fields
    out = pack([1, mid, precedence, sent, expires, text(sender), text(operator), text(subject), text(body), reply_to, template,
                [[text(c), i] for c, i in recipients], [[a, text(n), text(t), b, s, c] for a, n, t, b, s, c in attachments], exercise, []])
    case('message', ('id', mid), ('precedence', precedence), ('sent', sent), ('expires', expires), ('sender', sender),
         ('operator', text(operator)),
         ('subject', text(subject)), ('text', text(body)), ('reply_to', reply_to), ('template', template),
         *[f for c, i in recipients for f in (('recipient', c), ('info', i))],
         *[f for a, n, t, b, s, c in attachments for f in
           (('attachment', a), ('file', text(n)), ('type', text(t)), ('bytes', b), ('sha256', s), ('chunks', c))],
         ('exercise', exercise), ('plain', out))
    return out


first = message((seed(0x31)[:16], 4, NOW, 0, 'FIN', '', '', 'Comm check.', b'', 0, [('CHE', 0)], [], False))
message((seed(0x32)[:16], 3, NOW + 1, NOW + 3600000, 'CHE', 'Müller, A.', 'Your networks', TEXT, seed(0x31)[:16], 70000,
         [('CHE', 1), ('FIN', 0)],
         [(seed(0x33)[:16], 'flows.csv', 'text/csv; charset=utf-8', 49153, hashlib.sha256(b'x' * 49153).digest(), 2),
          (seed(0x34)[:16], 'läs.mig', 'application/octet-stream', 0, hashlib.sha256(b'').digest(), 0)], True))

receipts = [(seed(0x31)[:16], seed(0x41), 1, NOW + 10, '', ''), (seed(0x31)[:16], seed(0x41), 2, NOW + 11, '', ''),
            (seed(0x31)[:16], seed(0x41), 3, NOW + 9000, 'Tan W. L.', ''), (seed(0x31)[:16], seed(0x41), 4, NOW + 20000, '', ''),
            (bytes(16), seed(0x42), 5, NOW + 30000, '', 'none of the keys held opens it')]
case('receipts', *[f for m, e, t, w, o, r in receipts for f in
                   (('message_id', m), ('entry_id', e), ('type', t), ('time', w), ('operator', text(o)), ('reason', text(r)))],
     ('plain', pack([1, [[m, e, t, w, text(o), text(r)] for m, e, t, w, o, r in receipts]])))

for acks in ([], [(0, 1), (1, 300), (700, 2**32)]):
    epoch_key = pack([1, 256, NOW, NOW + 172800000, bytes(range(256)) * 4 + bytes(192), [[n, k] for n, k in acks]])
    case('epoch_key', ('number', 256), ('from', NOW), ('until', NOW + 172800000), ('public_key', bytes(range(256)) * 4 + bytes(192)),
         *[f for n, k in acks for f in (('ack_node', n), ('ack_number', k))], ('plain', epoch_key))

case('channel_root', ('channel_id', seed(0x51)[:16]), ('number', 1), ('audience', 'all'), ('root', seed(0x52)),
     ('plain', pack([1, seed(0x51)[:16], 1, text('all'), seed(0x52)])))

objects = [b'{"type":"indicator","id":"indicator--1"}', b'{ "type": "url" }' + b' ' * 300]
case('indicators', ('tlp', 4), *[('object', o) for o in objects], ('plain', pack([1, 4, objects])))

sealed = bytes(range(40))
case('chunk', ('attachment_id', seed(0x33)[:16]), ('index', 1), ('chunks', 2), ('sealed', sealed),
     ('plain', seed(0x33)[:16] + struct.pack('>II', 1, 2) + sealed))

# --- entries ---

def entry(lane, kind, flags, generation, seq, gseq, when, author_seed, prev, heads, body):
    header = struct.pack('>BBBBIIIQQQ', 1, lane, kind, flags, 0, generation, len(body), seq, gseq, when)
    header += public_key(author_seed) + prev + b''.join(struct.pack('>Q', s) + i[:8] for s, i in heads) + h('body', body)
    signature = sign(author_seed, 'entry', network, header)
    entry_id = h('entry-id', network, header, signature)
    case('entry', ('network_id', network), ('lane', lane), ('kind', kind), ('flags', flags), ('generation', generation), ('seq', seq),
         ('gseq', gseq), ('time', when), ('seed', author_seed), ('author', public_key(author_seed)), ('prev', prev),
         *[f for s, i in heads for f in (('head_seq', s), ('head8', i[:8]))], ('body', body), ('body_hash', h('body', body)),
         ('header', header + signature), ('id', entry_id))
    return entry_id


NONE = (0, bytes(8))
key_id = entry(0, 1, 0, 1, 1, 1, NOW, FIN_NODE, bytes(32), [NONE, NONE], epoch_key)
chunk_id = entry(2, 6, 0x20, 1, 1, 2, NOW + 5, FIN_NODE, bytes(32), [(1, key_id), NONE],
                 seed(0x33)[:16] + struct.pack('>II', 1, 2) + sealed)
# this one's body is no envelope: only its length and hash count here
entry(0, 2, 0x01, 1, 2, 3, NOW + 7, FIN_NODE, key_id, [NONE, (1, chunk_id)], b'not an envelope')

# --- what is refused, and as what ---

def refuse(form, error, why, data):
    case('refuse', ('format', form), ('error', error), ('why', why), ('bytes', data))


for why, data in [
    ('an integer in two bytes that fits one', 'cc05'), ('str 8 where fixstr fits', 'd90161'), ('bin 16 where bin 8 fits', 'c5000161'),
    ('array 16 where fixarray fits', 'dc000105'), ('nil', 'c0'), ('a map', '810102'), ('a float', 'ca3f800000'), ('an extension', 'd40100'),
    ('a negative number', 'ff'), ('a positive number as int 8', 'd005'), ('a byte behind the value', '0505'), ('NUL in a string', 'a100'),
    ('an overlong form in a string', 'a2c0af'), ('a surrogate in a string', 'a3eda080'), ('over U+10FFFF', 'a4f4908080'),
    ('0xc1', 'c1'),
]:
    refuse('msgpack', 'format', why, bytes.fromhex(data))
for why, data in [('nothing', ''), ('an array of 2^32 - 1 elements and none of them', 'ddffffffff'), ('a string that is cut', 'a36161'),
                  ('an array that lacks its last element', '930102')]:
    refuse('msgpack', 'short', why, bytes.fromhex(data))
refuse('msgpack', 'limit', 'nine arrays in one another', bytes.fromhex('919191919191919190'))
refuse('msgpack', 'limit', '4097 elements with the array', b'\xdc\x10\x00' + b'\1' * 4096)


def bent(**change):
    fields = dict(version=1, mid=seed(1)[:16], precedence=1, sent=NOW, expires=0, sender=text('FIN'), operator=text(''), subject=text('s'),
                  body=text('t'), reply_to=b'', template=0, recipients=[[text('CHE'), 0]], attachments=[], exercise=False, signatures=[])
    fields.update(change)
    return pack(list(fields.values()))


def attached(name='a', media='a/b', size=1, chunks=1):
    return [seed(2)[:16], text(name), text(media), size, seed(3), chunks]


refuse('message', 'version', 'version 2', bent(version=2))
refuse('message', 'format', 'precedence 0', bent(precedence=0))
refuse('message', 'limit', 'precedence 5', bent(precedence=5))
refuse('message', 'format', 'expires when it is sent', bent(expires=NOW))
refuse('message', 'format', 'a code in lower case', bent(sender=text('fin')))
refuse('message', 'format', 'a line break in the subject', bent(subject=text('a\nb')))
refuse('message', 'format', 'an override in the subject', bent(subject=text('a\u202eb')))
refuse('message', 'limit', 'a FLASH of 3073 bytes', bent(precedence=4, body=text('x' * 3073)))
refuse('message', 'format', 'reply_to of 8 bytes', bent(reply_to=bytes(8)))
refuse('message', 'format', 'nobody addressed', bent(recipients=[]))
refuse('message', 'format', 'nobody to act', bent(recipients=[[text('CHE'), 1]]))
refuse('message', 'format', 'addressees out of order', bent(recipients=[[text('FIN'), 0], [text('CHE'), 0]]))
refuse('message', 'exists', 'an addressee twice', bent(recipients=[[text('CHE'), 0], [text('CHE'), 1]]))
refuse('message', 'format', 'a file name with a slash', bent(attachments=[attached(name='../a')]))
refuse('message', 'format', 'a media type with a line break', bent(attachments=[attached(media='a/b\r\nc: d')]))
refuse('message', 'format', 'too few chunks', bent(attachments=[attached(size=49153, chunks=1)]))
refuse('message', 'limit', 'attachments over 16 MiB', bent(attachments=[attached(size=16777217, chunks=342)]))
refuse('message', 'exists', 'an attachment id twice', bent(attachments=[attached(), attached()]))
refuse('message', 'limit', 'a signature', bent(signatures=[1]))
refuse('message', 'format', 'a number where a text belongs', bent(body=7))
refuse('receipts', 'format', 'none', pack([1, []]))
refuse('receipts', 'format', 'an operator in a stored receipt', pack([1, [[seed(1)[:16], seed(2), 1, NOW, text('x'), text('')]]]))
refuse('receipts', 'format', 'a message id in a failed receipt', pack([1, [[seed(1)[:16], seed(2), 5, NOW, text(''), text('')]]]))
refuse('receipts', 'limit', 'type 6', pack([1, [[seed(1)[:16], seed(2), 6, NOW, text(''), text('')]]]))
refuse('epoch_key', 'limit', 'valid for over 48 hours', pack([1, 1, NOW, NOW + 172800001, bytes(1216), []]))
refuse('epoch_key', 'format', 'a short key', pack([1, 1, NOW, NOW + 1, bytes(1215), []]))
refuse('epoch_key', 'format', 'no list of acknowledgements', pack([1, 1, NOW, NOW + 1, bytes(1216)]))
for error, why, acks in [
    ('exists', 'a node acknowledged twice', [[3, 1], [3, 2]]), ('format', 'acknowledgements out of order', [[4, 1], [3, 1]]),
    ('limit', 'a node index that no charter has', [[768, 1]]), ('format', 'key 0 acknowledged', [[3, 0]]),
    ('format', 'an acknowledgement without a number', [[3]]), ('limit', 'an acknowledgement of three elements', [[3, 1, 1]]),
    ('limit', '769 acknowledgements', [[i, 1] for i in range(769)]),
]:
    refuse('epoch_key', error, why, pack([1, 1, NOW, NOW + 1, bytes(1216), acks]))
refuse('channel_root', 'format', 'another audience', pack([1, bytes(16), 1, text('eu'), bytes(32)]))
refuse('indicators', 'format', 'no TLP', pack([1, 0, [b'{}']]))
refuse('indicators', 'format', 'an empty object', pack([1, 1, [b'']]))
refuse('chunk', 'format', 'a chunk in the middle that is not full', seed(1)[:16] + struct.pack('>II', 0, 2) + bytes(40))
refuse('chunk', 'format', 'chunk 2 of 2, counted from 0', seed(1)[:16] + struct.pack('>II', 2, 2) + bytes(40))
refuse('chunk', 'short', 'only a tag', seed(1)[:16] + struct.pack('>II', 0, 1) + bytes(16))
refuse('charter', 'signature', 'a bit of the last signature is flipped', document[:-1] + bytes([document[-1] ^ 1]))
refuse('sheet', 'signature', 'signed by one of two', pack([fin_body := fin[4:4 + int.from_bytes(fin[2:4], 'big')],
       [[0, sign(FIN_ROOT[0], 'member', h('document', b'\2', fin_body))]]]))
refuse('sheet', 'format', 'one signature twice', pack([fin_body, [[0, sign(FIN_ROOT[0], 'member', h('document', b'\2', fin_body))]] * 2]))
refuse('sheet', 'short', 'its last byte is missing', fin[:-1])
