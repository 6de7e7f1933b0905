#include "common/mail/idn.h"

#include <idn2.h>

#include "common/base/mem.h"

/* In UTF-8; a name in A-labels has at most 253 octets. */
#define NAME_BYTES_MAX 1024u

bool
idn_to_ascii(struct arena *arena, struct slice name, struct slice *out)
{
	char *ascii;

	if (slice_is_ascii(name)) {
		*out = slice_lower(arena, name);
		return true;
	}
	if (name.len > NAME_BYTES_MAX || !slice_is_utf8(name) ||
		idn2_to_ascii_8z(slice_copy(arena, name).ptr, &ascii,
			IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	*out = slice_lower(arena, slice_of(ascii));
	idn2_free(ascii);
	return true;
}
