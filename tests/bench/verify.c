/* The reference of the ingest benches: how many Ed25519 signatures one core verifies in a second, by libsodium's bare function, of messages as long as
 * what an entry's signature covers. Usage: verify [SECONDS] */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MESSAGE_BYTES 216 /* label, network id, header */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const double limit = argc > 1 ? atof(argv[1]) : 1;
	unsigned char public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES], message[MESSAGE_BYTES] = { 0 };
	unsigned char signature[crypto_sign_BYTES];
	unsigned count = 0;

	if (sodium_init() < 0 || crypto_sign_keypair(public_key, secret_key) != 0)
		return 1;
	crypto_sign_detached(signature, NULL, message, sizeof(message), secret_key);
	const double start = seconds();
	double took;
	do {
		for (int i = 0; i < 100; i++) {
			if (crypto_sign_verify_detached(signature, message, sizeof(message), public_key) != 0)
				return 1;
		}
		count += 100;
		took = seconds() - start;
	} while (took < limit);
	printf("%.0f verifications/s\n", count / took);
	return 0;
}
