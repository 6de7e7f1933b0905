#include "policyd/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "policyd/config_table.h"

#define ERRORS_MAX     1000
#define ERROR_TEXT_MAX 1024
#define SECRET_MAX     1024 /* bytes of a password */

static const char *const rule_names[RULE_ID_COUNT] = {
#define RULE(name, mode) #name,
#include "policyd/rules/rules.def"
#undef RULE
};

static const char *const mode_names[] = {
	[RULE_MODE_OFF] = "off",
	[RULE_MODE_OBSERVE] = "observe",
	[RULE_MODE_ENFORCE] = "enforce",
};

const char *
rule_name(enum rule_id rule)
{
	assert(rule < RULE_ID_COUNT);
	return rule_names[rule];
}

bool
rule_id_parse(struct slice text, enum rule_id *out)
{
	for (size_t i = 0; i < RULE_ID_COUNT; i++) {
		if (slice_eq_text(text, rule_names[i])) {
			*out = (enum rule_id)i;
			return true;
		}
	}
	return false;
}

const char *
rule_mode_name(enum rule_mode mode)
{
	assert(mode <= RULE_MODE_ENFORCE);
	return mode_names[mode];
}

bool
config_is_resolver(struct slice text)
{
	ptrdiff_t at = slice_find(text, '@');
	struct slice host = text;
	uint64_t port;
	struct ip ip;

	if (at >= 0) {
		host = slice_part(text, 0, (size_t)at);
		if (!num_parse_u64(slice_from(text, (size_t)at + 1), UINT16_MAX,
			    &port) ||
			port == 0)
			return false;
	}
	return ip_parse(host, &ip);
}

bool
config_dns_is_recursive(const struct config *config)
{
	const struct config_list *resolvers = &config->dns.resolvers;

	return resolvers->n == 1 &&
	       strcmp(resolvers->items[0], "recursive") == 0;
}

/* In the order of lines; the newest of one line last. */
static void
insert_error(struct config_errors *errors, unsigned line, const char *text)
{
	size_t at = errors->n;

	errors->items = x_realloc_array(errors->items, errors->n + 1,
		sizeof(errors->items[0]));
	while (at > 0 && errors->items[at - 1].line > line)
		at--;
	memmove(&errors->items[at + 1], &errors->items[at],
		(errors->n - at) * sizeof(errors->items[0]));
	errors->items[at].line = line;
	errors->items[at].text = x_strdup(text);
	errors->n++;
}

void
config_error_add(struct config_errors *errors, unsigned line,
	const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	if (errors->n > ERRORS_MAX)
		return;
	if (errors->n == ERRORS_MAX) {
		insert_error(errors, errors->items[ERRORS_MAX - 1].line,
			"there are more errors; they are not shown");
		return;
	}
	va_start(args, format);
	/* A text that is too long is cut, and still says what is wrong. */
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	insert_error(errors, line, text);
}

void
config_errors_free(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		x_free(errors->items[i].text);
	x_free(errors->items);
	memset(errors, 0, sizeof(*errors));
}

struct config *
config_ref(struct config *config)
{
	assert(config->n_refs > 0);
	config->n_refs++;
	return config;
}

static void
free_password(char **password)
{
	if (*password)
		x_free_secret(*password, strlen(*password));
	*password = NULL;
}

char **
config_secret(struct config *config, size_t i)
{
	assert(i < CONFIG_SECRET_COUNT);
	if (i < CONFIG_DB_COUNT)
		return &config->db[i].password;
	if (i == CONFIG_DB_COUNT)
		return &config->notify.password;
	return i == CONFIG_DB_COUNT + 1 ? &config->srs.secrets
					: &config->dkim.master_key;
}

unsigned
config_line(const struct config *config, const void *field)
{
	const size_t offset =
		(size_t)((const char *)field - (const char *)config);

	for (size_t i = 0; config->lines != NULL && i < config_setting_count();
		i++)
		if (config_setting_at(i)->offset == offset)
			return config->lines[i];
	return 0;
}

bool
config_has_srs(const struct config *config)
{
	return config->srs.domain[0] != '\0';
}

struct db_config
config_db_target(const struct config_db *db)
{
	return (struct db_config){
		.socket = db->socket,
		.host = db->host,
		.port = db->port,
		.user = db->user,
		.password = db->password != NULL ? db->password : "",
		.database = db->name,
		.tls = db->tls,
		.tls_ca = db->tls_ca,
	};
}

bool
config_has_milter(const struct config *config)
{
	return config->milter.listen.text[0] != '\0';
}

enum dkim_canon
config_canon_header(const struct config *config)
{
	return (enum dkim_canon)(
		config->dkim.canonicalization / DKIM_CANON_COUNT);
}

enum dkim_canon
config_canon_body(const struct config *config)
{
	return (enum dkim_canon)(
		config->dkim.canonicalization % DKIM_CANON_COUNT);
}

bool
config_adds_received_spf(const struct config *config)
{
	if (config->spf.received_spf == SPF_RECEIVED_AUTO)
		return !config_has_milter(config);
	return config->spf.received_spf == SPF_RECEIVED_YES;
}

void
config_forget_secrets(struct config *config)
{
	for (size_t i = 0; i < CONFIG_SECRET_COUNT; i++)
		free_password(config_secret(config, i));
}

void
config_unref(struct config *config)
{
	if (!config)
		return;
	assert(config->n_refs > 0);
	if (--config->n_refs > 0)
		return;
	for (size_t i = 0; i < config_setting_count(); i++)
		config_value_clear(config_setting_at(i), config);
	config_forget_secrets(config);
	x_free(config->lines);
	x_free(config->path);
	x_free(config);
}

ssize_t
config_read_start(const char *path, char *buffer, size_t size, mode_t *mode)
{
	struct stat status = { .st_mode = 0 };
	size_t len = 0;
	ssize_t n;
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	(void)fstat(fd, &status);
	*mode = status.st_mode;
	do {
		n = read(fd, buffer + len, size - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < size) || (n < 0 && errno == EINTR));
	error = errno;
	(void)close(fd);
	errno = error;
	return n < 0 ? -1 : (ssize_t)len;
}

/* One line of printable bytes. NULL, and what is wrong in *err. */
static char *
first_line(struct slice text, const char **err)
{
	ptrdiff_t end = slice_find(text, '\n');

	if (end >= 0)
		text = slice_part(text, 0, (size_t)end);
	if (slice_ends(text, SLICE("\r")))
		text = slice_part(text, 0, text.len - 1);
	if (text.len == 0) {
		*err = "it is empty";
		return NULL;
	}
	if (text.len >= SECRET_MAX) {
		*err = "it is too long for a password";
		return NULL;
	}
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f) {
			*err = "it holds control bytes";
			return NULL;
		}
	}
	return slice_strdup(text);
}

static char *
read_password_file(const char *path, const char **err)
{
	char buffer[SECRET_MAX + 2];
	mode_t mode;
	ssize_t len = config_read_start(path, buffer, sizeof(buffer), &mode);
	char *password;

	if (len < 0) {
		*err = strerror(errno);
		return NULL;
	}
	password = first_line((struct slice){ buffer, (size_t)len }, err);
	explicit_bzero(buffer, sizeof(buffer));
	return password;
}

static char *
read_password_env(const char *name, const char **err)
{
	const char *value = getenv(name);

	if (!value) {
		*err = "it is not set";
		return NULL;
	}
	return first_line(slice_of(value), err);
}

/* One password: env may be NULL; neither given is the empty password. */
struct password_setting {
	const char *section;
	char *const *file, *const *env;
	char **password;
};

static int
read_password(const struct config *config,
	const struct password_setting *setting, struct config_errors *errors)
{
	const char *file = *setting->file;
	const char *env = setting->env != NULL ? *setting->env : "";
	char **password = setting->password;
	const char *err = "";

	free_password(password);
	if (file[0] != '\0') {
		*password = read_password_file(file, &err);
		if (!*password)
			config_error_add(errors,
				config_line(config, setting->file),
				"[%s] password_file: cannot use %s: %s",
				setting->section, file, err);
	} else if (env[0] != '\0') {
		*password = read_password_env(env, &err);
		if (!*password)
			config_error_add(errors,
				config_line(config, setting->env),
				"[%s] password_env: cannot use the variable "
				"%s: %s",
				setting->section, env, err);
	} else {
		*password = x_strdup("");
	}
	return *password ? 0 : -1;
}

int
config_read_secrets(struct config *config, struct config_errors *errors)
{
	static const char *const sections[CONFIG_DB_COUNT] = {
		[CONFIG_DB_IREDAPD] = "iredapd_db",
		[CONFIG_DB_VMAIL] = "vmail_db",
		[CONFIG_DB_POLICYD] = "policyd_db",
		[CONFIG_DB_AMAVISD] = "amavisd_db",
	};
	int status = 0;

	for (size_t i = 0; i < CONFIG_DB_COUNT; i++) {
		struct config_db *db = &config->db[i];
		const struct password_setting setting = { sections[i],
			&db->password_file, &db->password_env, &db->password };

		if (read_password(config, &setting, errors) < 0)
			status = -1;
	}
	if (read_password(config,
		    &(struct password_setting){ "notify",
			    &config->notify.password_file, NULL,
			    &config->notify.password },
		    errors) < 0)
		status = -1;
	if (config_read_srs_secrets(config, errors) < 0)
		status = -1;
	if (config_read_dkim_key(config, errors) < 0)
		status = -1;
	return status;
}
