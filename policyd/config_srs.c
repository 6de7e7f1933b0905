/* The secrets of SRS: a file with one a line, and comments. */

#include "policyd/config_table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "common/mail/srs.h"

#define SECRETS_FILE_MAX 65536
/* Who has seen one signed address may try all that are shorter. */
#define SECRET_MIN 8
#define SECRET_MAX 1024

static bool
is_comment(struct slice line)
{
	return slice_starts(line, SLICE("#"));
}

const char *
config_srs_secret_problem(struct slice secret, size_t n_before)
{
	if (is_comment(secret))
		return "begins like a comment";
	if (slice_trim(secret).len != secret.len)
		return "has blanks at its ends";
	if (secret.len < SECRET_MIN)
		return "is shorter than 8 bytes; \"policyctl srs new-key\" "
		       "makes a good one";
	if (secret.len > SECRET_MAX)
		return "is longer than 1024 bytes";
	for (size_t i = 0; i < secret.len; i++)
		if ((unsigned char)secret.ptr[i] < ' ' || secret.ptr[i] == 0x7f)
			return "holds control bytes";
	return n_before == SRS_SECRETS_MAX ? "is one too many: there may be 16"
					   : NULL;
}

/* NULL, and errors added; they never show what is in the file. */
static char *
read_lines(const char *path, struct slice text, struct config_errors *errors)
{
	const size_t n_errors = errors->n;
	struct slice line;
	struct str out;
	unsigned number = 0;
	size_t n = 0;

	str_init(&out, SECRETS_FILE_MAX);
	while (slice_split(&text, '\n', &line)) {
		const char *wrong;

		number++;
		line = slice_trim(line);
		if (line.len == 0 || is_comment(line))
			continue;
		wrong = config_srs_secret_problem(line, n++);
		if (wrong != NULL)
			config_error_add(errors, 0,
				"[srs] secrets_file: line %u of %s %s", number,
				path, wrong);
		str_append_slice(&out, line);
		str_append_char(&out, '\n');
	}
	if (n == 0)
		config_error_add(errors, 0,
			"[srs] secrets_file: there is no secret in %s", path);
	if (errors->n == n_errors)
		return out.data;
	if (out.data != NULL)
		explicit_bzero(out.data, out.size);
	str_free(&out);
	return NULL;
}

int
config_read_srs_secrets(struct config *config, struct config_errors *errors)
{
	const char *path = config->srs.secrets_file;
	const unsigned line = config_line(config, &config->srs.secrets_file);
	char *buffer;
	mode_t mode;
	ssize_t len;

	if (config->srs.secrets != NULL)
		x_free_secret(config->srs.secrets, strlen(config->srs.secrets));
	config->srs.secrets = NULL;
	if (path[0] == '\0')
		return 0;
	buffer = x_new_array(SECRETS_FILE_MAX, char);
	len = config_read_start(path, buffer, SECRETS_FILE_MAX, &mode);
	if (len < 0)
		config_error_add(errors, line,
			"[srs] secrets_file: cannot use %s: %s", path,
			strerror(errno));
	else if (len == SECRETS_FILE_MAX)
		config_error_add(errors, line,
			"[srs] secrets_file: %s is too large", path);
	else if ((mode & S_IRWXO) != 0)
		config_error_add(errors, line,
			"[srs] secrets_file: everybody may use %s: run "
			"\"chmod o= %s\"",
			path, path);
	else
		config->srs.secrets = read_lines(path,
			(struct slice){ buffer, (size_t)len }, errors);
	x_free_secret(buffer, SECRETS_FILE_MAX);
	return config->srs.secrets != NULL ? 0 : -1;
}
