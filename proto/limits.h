/* The limits of the protocol, each with its reason or the place in PROTOCOL.md that has it. Also those of node/ that bound what comes from
 * outside: they are read together. What is no such limit stands beside what it bounds.
 *
 * Units stand last in the name. A limit that peers must agree on is part of the protocol (PROTOCOL.md, "Limits"); the others are this
 * implementation's own and are marked (local).
 */
#ifndef PL_PROTO_LIMITS_H
#define PL_PROTO_LIMITS_H

/* --- network --- */
#define PL_MEMBERS_MAX 256           /* every state and 60 institutions */
#define PL_NODES_PER_MEMBER_MAX 3    /* a member has one to three */
#define PL_NODES_MAX 768             /* the product; a node index fits 16 bits */
#define PL_LANES 3                   /* 0 control and urgent, 1 messages, 2 bulk */
#define PL_KEYS_PER_ROLE_MAX 5       /* "3 of 5" is the largest usual threshold */
#define PL_NAME_BYTES_MAX 64         /* names of members, operators, nodes: fits a line on every screen */
#define PL_ADDRESS_BYTES_MAX 80      /* "host:port" */
#define PL_CERTIFICATE_BYTES_MAX 600 /* five signatures of 68 bytes, 245 bytes of body and framing */
#define PL_SHEET_BYTES_MAX 2560      /* three certificates, ten keys, five signatures */
#define PL_CHARTER_BYTES_MAX 1048576 /* 256 sheets and five signatures of each take 740 KB */

/* --- entries --- */
#define PL_HEADER_BYTES 168          /* the signed part; see entry.h */
#define PL_ENTRY_HEADER_BYTES 232    /* with the signature */
#define PL_SLOTS_MAX 64              /* of 1,168 bytes: 73 KiB; a wider audience takes several envelopes or a channel */
#define PL_TEXT_BYTES_MAX 60000      /* a message's text: a 64 KiB padded plaintext less its other fields */
#define PL_FLASH_TEXT_BYTES_MAX 3072 /* 4 KiB padded plaintext; longer text does not want to be read at 03:00 */
#define PL_PLAINTEXT_BYTES_MAX 65536 /* the largest padding class of an envelope */
#define PL_BODY_BYTES_MAX 147456     /* 64 slots + 64 KiB + prefix, rounded up to 144 KiB */
#define PL_FLASH_BODY_BYTES_MAX 81920 /* 64 slots + 4 KiB + prefix, rounded up to 80 KiB */
#define PL_EPOCH_KEY_BODY_BYTES_MAX 12288 /* an X-Wing public key of 1,216 bytes, and 13 bytes at most for each of 768 nodes, in the clear */
#define PL_BULK_ITEMS_MAX 256        /* indicators in one bulk entry */
#define PL_BULK_BODY_BYTES 65536     /* a bulk entry is closed here; one larger object may stand alone */
#define PL_INDICATORS_KEPT 8         /* (local) an entry of 256 objects of the least size becomes so many times its bytes in a store and its indexes */
#define PL_OBJECT_BYTES_MAX 131040   /* one STIX object: with its wrapping it fits 128 KiB of padded plaintext, and so a body */
#define PL_ATTACHMENT_BYTES_MAX 16777216 /* 16 MiB a message, all attachments together */
#define PL_ATTACHMENTS_MAX 16
#define PL_ATTACHMENT_NAMED_MAX 64 /* (local) attachments of an author with one id: each piece counts for all of them, and honest ones have an id each */
#define PL_CHUNK_BYTES 49152         /* an attachment chunk, before sealing: three fragments a chunk */
#define PL_CHUNK_BODY_BYTES_MAX 49192 /* a chunk with its tag (16) and prefix (24) */
#define PL_RECIPIENTS_MAX PL_MEMBERS_MAX
#define PL_SUBJECT_BYTES_MAX 256
#define PL_REASON_BYTES_MAX 256      /* why a message could not be opened */
#define PL_FILE_NAME_BYTES_MAX 255   /* what file systems take */
#define PL_MEDIA_TYPE_BYTES_MAX 127  /* RFC 6838, 4.2 */
#define PL_RECEIPTS_PER_ENTRY_MAX 64 /* of under 400 bytes with an operator's name or a reason: fits 64 KiB of plaintext */

/* --- STIX files, as import takes them (local) --- */
#define PL_STIX_FILE_BYTES_MAX 104857600 /* 100 MiB: 200,000 objects of 500 bytes; more comes in several files */
#define PL_STIX_BATCH_BYTES_MAX 1048576  /* one bundle over the API; the command cuts a file into such */
#define PL_STIX_OBJECTS_MAX 1000000
#define PL_STIX_DEPTH_MAX 64             /* nested lists and objects; real reports stay under 12 */

/* --- msgpack --- */
#define PL_MP_DEPTH_MAX 8
#define PL_MP_ITEMS_MAX 4096         /* tokens in one document; the charter alone is read in parts */

/* --- frames and records --- */
#define PL_RECORD_PLAIN_BYTES_MAX 16384 /* the largest padding class {256, 1024, 4096, 16384} */
#define PL_RECORD_BYTES_MAX (PL_RECORD_PLAIN_BYTES_MAX + 16)
#define PL_FRAME_HEADER_BYTES 8
#define PL_FRAME_PAYLOAD_BYTES_MAX (PL_RECORD_PLAIN_BYTES_MAX - PL_FRAME_HEADER_BYTES)
#define PL_RECORDS_PER_KEY 65536     /* then Noise rekey, both sides by count */
#define PL_SESSION_MS_MAX 3600000    /* full handshake every hour */
#define PL_SESSION_BYTES_MAX 4294967296ULL /* or every 4 GiB */

/* --- sessions --- */
#define PL_HANDSHAKE_MS_MAX 5000
#define PL_HANDSHAKE_SKEW_MS_MAX 600000    /* clocks may differ by 10 min */
#define PL_HANDSHAKE_REPLAY_MS 1200000     /* first messages are remembered for 20 min: twice the skew */
#define PL_HANDSHAKE_REPLAY_MAX 4096       /* (local) remembered first messages; the oldest is forgotten when there are more */
#define PL_HANDSHAKES_MAX 64               /* (local) unauthenticated connections at once */
#define PL_HANDSHAKES_PER_ADDRESS_MAX 2    /* (local) */
#define PL_LINKS_MAX 64                    /* (local) authenticated links at once: 32 inbound, 8 chosen, 4 further, 20 with who is named in the configuration */
#define PL_MESH_NODES_MAX 32               /* (local) in a charter: up to here everybody who can be dialled is; beyond, links would be most of what a node does */
#define PL_CHOSEN_MAX 8                    /* (local) neighbours that a node chooses; of random graphs with 8 a node one in millions falls apart */
#define PL_FURTHER_MAX 4                   /* (local) links besides, that look for what the neighbours do not give */
#define PL_INBOUND_MAX 32                  /* (local) links that others have chosen: four times what each gets where all can be dialled */
#define PL_PING_MS 10000
#define PL_HOLD_MS 30000                   /* silence after which a link is dead */
#define PL_BACKOFF_MS_MIN 1000
#define PL_BACKOFF_MS_MAX 300000
#define PL_BACKOFF_HELD_MS_MAX 5000        /* while there is something to bring or to fetch: who comes back is found within seconds, for a few packets */
#define PL_REDIAL_FLASH_MS 1000            /* a FLASH that arrives has whoever is down dialled within this, not all at one moment */
#define PL_MIN_RATE_BYTES_PER_S 256        /* a peer slower than this in the middle of a record is cut */
#define PL_MIN_RATE_GRACE_MS 10000         /* (local) judged over this long */

/* --- dissemination --- */
#define PL_HAVE_DELAY_MS 60                /* wait this long for an eager copy before asking for one */
#define PL_HAVE_COALESCE_MS 5
#define PL_EAGER_COPIES 2                  /* (local) of an entry: who pushes a third is choked */
#define PL_WANT_MS_MAX 3000                /* an unanswered WANT goes to the next announcer */
#define PL_ANTI_ENTROPY_MS 30000
#define PL_WANT_ENTRIES_MAX 65536          /* in one WANT */
#define PL_FULL_WANTS_MAX 8                /* asked for in full of one peer at once: a place to compare costs a signature and a read of the store */
#define PL_GROUP_NODES 21                  /* of which one lane is a group: its heads fit a record of 256 bytes */
#define PL_GROUPS_MAX 111                  /* what follows, of 768 nodes: the tags of all fit a record of 1,024 bytes with HELLO */
#define PL_BATCH_ENTRIES_MAX 256           /* chained entries of bulk that one signature may authenticate in catch-up */
#define PL_CREDIT_BYTES 262144             /* bulk in flight to a receiver that has not taken it in */

/* --- quotas, counted against the signed author, never the relay (defaults; node's configuration may change them) --- */
#define PL_FLASH_PER_MINUTE 10
#define PL_FLASH_BURST 20
#define PL_LANE0_BYTES_PER_S 65536         /* control and urgent: 4 MiB burst, then 64 KiB/s */
#define PL_LANE0_BYTES_BURST 4194304
#define PL_LANE1_BYTES_PER_S 262144
#define PL_LANE1_BYTES_BURST 67108864
#define PL_LANE2_BYTES_PER_S 67108864      /* bulk: bounded by credit and by the scheduler before this */
#define PL_LANE2_BYTES_BURST 1073741824

/* --- control API (local) --- */
#define PL_HTTP_CONNECTIONS_MAX 64         /* at once; further ones get 503 */
#define PL_HTTP_HEAD_BYTES_MAX 16384       /* request line and headers */
#define PL_HTTP_BODIES_BYTES_MAX 67108864  /* request bodies in memory at once: four of the largest attachments */
#define PL_HTTP_SILENCE_MS_MAX 30000       /* a client that neither sends nor takes in its reply */
#define PL_HTTP_REQUEST_MS_MAX 60000       /* until a request's head is there, from the reply before it */
#define PL_HTTP_BODY_MS_MAX 60000
#define PL_HTTP_EVENTS_MAX 1024            /* kept for clients that come back */
#define PL_HTTP_BEHIND_BYTES_MAX 262144    /* events that a client may be behind */
#define PL_HTTP_HEARTBEAT_MS 15000
#define PL_JSON_DEPTH_MAX 32               /* of a request's JSON */

/* --- times --- */
#define PL_CLOCK_SKEW_FLAG_MS 300000       /* a claimed time further off than this is flagged, never used for ordering */
#define PL_CERTIFICATE_MS_MAX 31708800000ULL /* 367 days: a leap year and a day, so that yearly renewal need not be on the day */
#define PL_EPOCH_KEY_MS 86400000ULL        /* a new encryption key every 24 h */
#define PL_EPOCH_KEY_VALID_MS 172800000ULL /* valid for 48 h, so that a day's outage does not cut a member off */
#define PL_EPOCH_KEY_KEEP_MS 1209600000ULL /* secrets are wiped 14 days after the end of validity at the latest */

#endif
