#include "common/mail/public_suffix.h"

#include <libpsl.h>
#include <string.h>

#include "common/base/mem.h"

/* Octets of a name as text; a longer one was never registered. */
#define NAME_LEN_MAX 253u

struct public_suffixes {
	psl_ctx_t *list; /* NULL: there is none */
};

struct public_suffixes *
public_suffixes_new(void)
{
	struct public_suffixes *suffixes = x_new(struct public_suffixes);

	suffixes->list = psl_latest(NULL);
	return suffixes;
}

void
public_suffixes_free(struct public_suffixes *suffixes)
{
	if (suffixes == NULL)
		return;
	psl_free(suffixes->list);
	x_free(suffixes);
}

bool
public_suffixes_has_list(const struct public_suffixes *suffixes)
{
	return suffixes->list != NULL;
}

struct slice
public_suffixes_registrable(const struct public_suffixes *suffixes,
	struct slice domain)
{
	char name[NAME_LEN_MAX + 1];
	const char *found;

	if (suffixes->list == NULL || domain.len == 0 ||
		domain.len > NAME_LEN_MAX || slice_has_byte(domain, '\0'))
		return domain;
	memcpy(name, domain.ptr, domain.len);
	name[domain.len] = '\0';
	found = psl_registrable_domain(suffixes->list, name);
	if (found == NULL)
		return domain;
	return slice_from(domain, (size_t)(found - name));
}
