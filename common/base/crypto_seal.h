#ifndef COMMON_BASE_CRYPTO_SEAL_H
#define COMMON_BASE_CRYPTO_SEAL_H

/*
 * Secrets that are stored where others may read or change them: AES-256-GCM
 * (NIST SP 800-38D), so that what was changed is noticed. A context, such as
 * the name of what is sealed, is not stored but has to be the same again; one
 * sealed text put in the place of another does not open.
 *
 * A sealed text is a random nonce of 12 bytes, as many bytes as there were,
 * and a tag of 16 bytes. One key seals 2^32 texts at most, or a nonce might
 * come twice.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

#define CRYPTO_SEAL_KEY_SIZE 32
#define CRYPTO_SEAL_EXTRA    28

/* out has room for bytes.len + CRYPTO_SEAL_EXTRA. */
void crypto_seal(const unsigned char key[CRYPTO_SEAL_KEY_SIZE],
	struct slice context, struct slice bytes, unsigned char *out);
/*
 * out has room for sealed.len bytes; *n is how many there are. False: it was
 * sealed with another key or context, or was changed; out was wiped.
 */
bool crypto_unseal(const unsigned char key[CRYPTO_SEAL_KEY_SIZE],
	struct slice context, struct slice sealed, unsigned char *out,
	size_t *n);

#endif
