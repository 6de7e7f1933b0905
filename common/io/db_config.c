#include "common/io/db_conn.h"

#include <string.h>

#include "common/base/mem.h"

static char *
copy_text(const char *text)
{
	return x_strdup(text == NULL ? "" : text);
}

struct db_config *
db_config_copy(const struct db_config *config)
{
	struct db_config *copy = x_new(struct db_config);

	*copy = *config;
	copy->label = copy_text(config->label);
	copy->socket = copy_text(config->socket);
	copy->host = copy_text(config->host);
	copy->user = copy_text(config->user);
	copy->password = copy_text(config->password);
	copy->database = copy_text(config->database);
	copy->tls_ca = copy_text(config->tls_ca);
	copy->remedy = copy_text(config->remedy);
	return copy;
}

/* The copy owns its texts; config's type only lends them. */
static void
free_text(const char *text)
{
	x_free((void *)(uintptr_t)text);
}

void
db_config_free(struct db_config *config)
{
	if (config == NULL)
		return;
	free_text(config->label);
	free_text(config->socket);
	free_text(config->host);
	free_text(config->user);
	x_free_secret((void *)(uintptr_t)config->password,
		strlen(config->password));
	free_text(config->database);
	free_text(config->tls_ca);
	free_text(config->remedy);
	x_free(config);
}
