/* Every domain-separation label of Parley, in one list. Each ends in a NUL byte that counts: sizeof, not strlen.
 *
 * A label says what is signed, hashed or derived, so that bytes made for one purpose are worth nothing for another. Add here, never
 * inline; CRYPTO.md lists the same labels with what follows each.
 */
#ifndef PL_CRYPTO_LABELS_H
#define PL_CRYPTO_LABELS_H

/* signed */
#define PL_LABEL_ENTRY "parley/v1/entry"             /* | network_id | header */
#define PL_LABEL_CHARTER "parley/v1/charter"         /* | hash of the charter body under PL_LABEL_NETWORK */
#define PL_LABEL_CERTIFICATE "parley/v1/certificate" /* | hash of the certificate body under PL_LABEL_DOCUMENT */
#define PL_LABEL_MEMBER "parley/v1/member"           /* | hash of the sheet body under PL_LABEL_DOCUMENT */

/* hashed (BLAKE2b-256) */
#define PL_LABEL_NETWORK "parley/v1/network"         /* | genesis charter body */
#define PL_LABEL_DOCUMENT "parley/v1/document"       /* | u8 document type | body */
#define PL_LABEL_ENTRY_ID "parley/v1/entry-id"       /* | network_id | header | signature */
#define PL_LABEL_BODY "parley/v1/body"               /* | body */
#define PL_LABEL_FRONTIER "parley/v1/frontier"       /* | digests of all groups of lanes */
#define PL_LABEL_GROUP "parley/v1/group"             /* | frontier items of its lanes that hold entries */
#define PL_LABEL_TAG "parley/v1/tag"                 /* | salt 8 | entry id or digest of a group */
#define PL_LABEL_EVENT "parley/v1/event"             /* | event seed 32 | u32 count: random bytes inside one step */

/* key derivation (HKDF-SHA256) */
#define PL_LABEL_NOISE "parley/v1/noise"             /* prologue: | network_id | u16 version */
#define PL_LABEL_SEAL "parley/v1/seal"               /* what a sealer draws from its seed: | u8 purpose | u32 index */
#define PL_LABEL_ENVELOPE "parley/v1/envelope"       /* HPKE info: | ctx, that is network_id | author | u8 kind */
#define PL_LABEL_CEK "parley/v1/cek"                 /* extract salt: | ctx */
#define PL_LABEL_CEK_COMMIT "parley/v1/commit"
#define PL_LABEL_CEK_BODY "parley/v1/body-key"
#define PL_LABEL_ATTACHMENT "parley/v1/attachment"   /* | u32 attachment | u32 chunk */
#define PL_LABEL_CHANNEL "parley/v1/chan"            /* | u64 item number | channel id | ctx */
#define PL_LABEL_COURIER "parley/v1/courier"         /* HPKE psk_id */
#define PL_LABEL_AT_REST "parley/v1/at-rest"         /* extract salt, alone */

#endif
