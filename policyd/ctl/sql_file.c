#include "policyd/ctl/sql_file.h"

#include <errno.h>
#include <stdio.h>

bool
sql_file_read(const char *path, struct str *out)
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	size_t n;
	bool is_good;

	if (file == NULL)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		str_append(out, chunk, n);
	is_good = ferror(file) == 0;
	fclose(file);
	if (out->is_cut)
		errno = EFBIG;
	return is_good && !out->is_cut;
}

bool
sql_next_statement(struct slice *rest, struct str *out)
{
	struct slice line;

	str_reset(out);
	while (slice_split(rest, '\n', &line)) {
		const struct slice text = slice_trim(line);

		if (text.len == 0 || slice_starts(text, SLICE("--")))
			continue;
		if (out->len > 0)
			str_append_char(out, '\n');
		if (text.ptr[text.len - 1] != ';') {
			str_append_slice(out, line);
			continue;
		}
		str_append_slice(out, slice_part(text, 0, text.len - 1));
		return true;
	}
	return out->len > 0;
}
