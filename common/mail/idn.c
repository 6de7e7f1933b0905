#include "common/mail/idn.h"

#include <idn2.h>

#include "common/base/mem.h"

/* In UTF-8; a name in A-labels has at most 253 octets. */
#define NAME_BYTES_MAX 1024u

static bool
is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] > 0x7f)
			return false;
	return true;
}

bool
idn_to_ascii(struct arena *arena, struct slice name, struct slice *out)
{
	char *ascii;

	if (is_ascii(name)) {
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
