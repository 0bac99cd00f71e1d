/* The one error type of crypto/ and proto/, and of those parts of node/ that return rather than report.
 *
 * Functions return PL_OK or an error, must be checked, and set their outputs only on PL_OK. A new error goes at the end of its group and
 * into pl_err_str(); the compiler names every switch that misses it.
 */
#ifndef PL_CRYPTO_ERR_H
#define PL_CRYPTO_ERR_H

#ifdef NDEBUG
#error "assertions stay on in every build: a few of them are all that stands between a mistake of ours and memory"
#endif

#define PL_MUST_CHECK __attribute__((warn_unused_result))

enum pl_err {
	PL_OK = 0,

	/* the bytes are wrong: from a peer, a file or an operator */
	PL_ERR_SHORT,       /* input ends before the thing that it announces */
	PL_ERR_FORMAT,      /* not in the one form that the format allows */
	PL_ERR_LIMIT,       /* larger, deeper or more than limits.h allows */
	PL_ERR_VERSION,     /* a version that this build does not know */
	PL_ERR_SIGNATURE,   /* a signature does not verify */
	PL_ERR_DECRYPT,     /* an AEAD tag, commitment or key is wrong */
	PL_ERR_CHAIN,       /* prev is not the id of the entry before */
	PL_ERR_FORK,        /* two different entries for one place in a feed */
	PL_ERR_NETWORK,     /* belongs to another network */

	/* the request is well formed but cannot be met */
	PL_ERR_UNKNOWN,     /* names something that does not exist here */
	PL_ERR_EXISTS,      /* is there already */
	PL_ERR_REFUSED,     /* a rule forbids it */
	PL_ERR_STATE,       /* not now: the object is in another state */
	PL_ERR_FULL,        /* no room: caller's buffer, a queue, a table */
	PL_ERR_QUOTA,       /* the author is over its quota */
	PL_ERR_EXPIRED,     /* outside its validity */
	PL_ERR_NO_KEY,      /* a key that is needed is not held */

	/* the machine failed */
	PL_ERR_MEMORY,
	PL_ERR_IO,
	PL_ERR_DISK_FULL,
	PL_ERR_CORRUPT,     /* stored data does not check out */
};

/* A short lower-case phrase for an error, never NULL; static storage. */
const char *pl_err_str(enum pl_err err);

#endif
