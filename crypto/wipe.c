#include "crypto/wipe.h"

#include <sodium.h>

void pl_wipe(void *bytes, size_t count)
{
	sodium_memzero(bytes, count);
}
