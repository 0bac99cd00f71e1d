#include "crypto/err.h"

const char *pl_err_str(enum pl_err err)
{
	switch (err) {
	case PL_OK: return "ok";
	case PL_ERR_SHORT: return "ends too early";
	case PL_ERR_FORMAT: return "not in the required form";
	case PL_ERR_LIMIT: return "over a limit";
	case PL_ERR_VERSION: return "unknown version";
	case PL_ERR_SIGNATURE: return "signature does not verify";
	case PL_ERR_DECRYPT: return "cannot be decrypted";
	case PL_ERR_CHAIN: return "does not continue its chain";
	case PL_ERR_FORK: return "conflicts with another entry for the same place";
	case PL_ERR_NETWORK: return "belongs to another network";
	case PL_ERR_UNKNOWN: return "not known here";
	case PL_ERR_EXISTS: return "exists already";
	case PL_ERR_REFUSED: return "refused by a rule";
	case PL_ERR_STATE: return "not possible in this state";
	case PL_ERR_FULL: return "no room";
	case PL_ERR_QUOTA: return "over its author's quota";
	case PL_ERR_EXPIRED: return "outside its validity";
	case PL_ERR_NO_KEY: return "no key for it here";
	case PL_ERR_MEMORY: return "out of memory";
	case PL_ERR_IO: return "input or output failed";
	case PL_ERR_DISK_FULL: return "disk full";
	case PL_ERR_CORRUPT: return "stored data is damaged";
	}
	return "unknown error";
}
