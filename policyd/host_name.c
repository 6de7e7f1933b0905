#include "policyd/host_name.h"

#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

#define HOST_NAME_SIZE 256

char *
host_name_find(void)
{
	const struct addrinfo hints = { .ai_flags = AI_CANONNAME,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char name[HOST_NAME_SIZE] = "", *out;

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	if (strchr(name, '.') == NULL && name[0] != '\0' &&
		getaddrinfo(name, NULL, &hints, &found) == 0 &&
		found->ai_canonname != NULL)
		out = x_strdup(found->ai_canonname);
	else
		out = x_strdup(name);
	if (found != NULL)
		freeaddrinfo(found);
	for (char *c = out; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return out;
}
