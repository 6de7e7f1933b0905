/* The master key, with which private keys of DKIM are sealed: a file. */

#include "policyd/config_table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/crypto.h"
#include "common/base/crypto_seal.h"
#include "common/base/mem.h"

#define KEY_FILE_MAX 512

static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

static bool
read_hex(struct slice text, unsigned char out[CRYPTO_SEAL_KEY_SIZE])
{
	if (text.len != CRYPTO_SEAL_KEY_SIZE * 2u)
		return false;
	for (size_t i = 0; i < CRYPTO_SEAL_KEY_SIZE; i++) {
		const int high = hex_value(text.ptr[2 * i]);
		const int low = hex_value(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* 64 hexadecimal digits, or 32 bytes in base64. */
static bool
read_key(struct slice text, unsigned char out[CRYPTO_SEAL_KEY_SIZE])
{
	size_t n;

	return read_hex(text, out) ||
	       (crypto_unbase64(text, out, CRYPTO_SEAL_KEY_SIZE, &n) &&
		       n == CRYPTO_SEAL_KEY_SIZE);
}

/* The only line; what is wrong with it never shows what it holds. */
static char *
take_key(struct slice text, const char **err)
{
	unsigned char key[CRYPTO_SEAL_KEY_SIZE];
	char *out = NULL;

	text = slice_trim(text);
	if (read_key(text, key))
		out = slice_strdup(text);
	else
		*err = "it holds something else than one line of 64 "
		       "hexadecimal digits; \"policyctl dkim master-key\" "
		       "makes one";
	explicit_bzero(key, sizeof(key));
	return out;
}

static char *
read_file(const char *path, const char **err)
{
	char buffer[KEY_FILE_MAX];
	mode_t mode = 0;
	const ssize_t len =
		config_read_start(path, buffer, sizeof(buffer), &mode);
	char *out = NULL;

	if (len < 0)
		*err = strerror(errno);
	else if ((mode & S_IRWXO) != 0)
		*err = "everybody may use it: run \"chmod o= FILE\"";
	else
		out = take_key((struct slice){ buffer, (size_t)len }, err);
	explicit_bzero(buffer, sizeof(buffer));
	return out;
}

int
config_read_dkim_key(struct config *config, struct config_errors *errors)
{
	const char *path = config->dkim.master_key_file;
	char **key = &config->dkim.master_key;
	const char *err = "";

	if (*key != NULL)
		x_free_secret(*key, strlen(*key));
	*key = NULL;
	if (path[0] == '\0')
		return 0;
	*key = read_file(path, &err);
	if (*key != NULL)
		return 0;
	config_error_add(errors,
		config_line(config, &config->dkim.master_key_file),
		"[dkim] master_key_file: cannot use %s: %s", path, err);
	return -1;
}

bool
config_has_dkim_key(const struct config *config)
{
	return config->dkim.master_key != NULL &&
	       config->dkim.master_key[0] != '\0';
}

bool
config_dkim_key(const struct config *config,
	unsigned char out[CONFIG_DKIM_KEY_SIZE])
{
	return config_has_dkim_key(config) &&
	       read_key(slice_of(config->dkim.master_key), out);
}
