#include "common/mail/dkim_fields.h"

const struct dkim_field *
dkim_fields_default(size_t *n)
{
	static const struct dkim_field fields[] = {
		{ SLICE_INIT("From"), true },
		{ SLICE_INIT("Reply-To"), true },
		{ SLICE_INIT("Subject"), true },
		{ SLICE_INIT("Date"), true },
		{ SLICE_INIT("To"), true },
		{ SLICE_INIT("Cc"), true },
		{ SLICE_INIT("Message-ID"), true },
		{ SLICE_INIT("In-Reply-To"), true },
		{ SLICE_INIT("References"), true },
		{ SLICE_INIT("MIME-Version"), true },
		{ SLICE_INIT("Content-Type"), true },
		{ SLICE_INIT("Content-Transfer-Encoding"), true },
		{ SLICE_INIT("Sender"), false },
		{ SLICE_INIT("Resent-Date"), false },
		{ SLICE_INIT("Resent-From"), false },
		{ SLICE_INIT("Resent-To"), false },
		{ SLICE_INIT("Resent-Cc"), false },
		{ SLICE_INIT("List-Id"), false },
		{ SLICE_INIT("List-Help"), false },
		{ SLICE_INIT("List-Unsubscribe"), false },
		/* RFC 8058, 4: both have to be signed. */
		{ SLICE_INIT("List-Unsubscribe-Post"), false },
		{ SLICE_INIT("List-Subscribe"), false },
		{ SLICE_INIT("List-Post"), false },
		{ SLICE_INIT("List-Owner"), false },
		{ SLICE_INIT("List-Archive"), false },
	};

	*n = sizeof(fields) / sizeof(fields[0]);
	return fields;
}

/* RFC 5322, 3.6.8, without the semicolon, which would end h= (3.2). */
static bool
is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' ||
			text.ptr[i] == ':' || text.ptr[i] == ';')
			return false;
	return text.len > 0 && text.len <= DKIM_FIELD_NAME_MAX;
}

/* How many of the first n have the name. */
static size_t
count(const struct dkim_field *fields, size_t n, struct slice name)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += slice_case_eq(fields[i].name, name);
	return found;
}

int
dkim_fields_check(const struct dkim_field *fields, size_t n, const char **err)
{
	*err = NULL;
	if (n > DKIM_FIELDS_MAX)
		*err = "there are too many names of header fields";
	else if (count(fields, n, SLICE("From")) == 0)
		*err = "From has to be signed";
	for (size_t i = 0; i < n && *err == NULL; i++) {
		if (!is_name(fields[i].name))
			*err = "the name of a header field is malformed";
		else if (count(fields, i, fields[i].name) > 0)
			*err = "a header field is named twice";
	}
	return *err == NULL ? 0 : -1;
}
