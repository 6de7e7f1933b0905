#include "common/mail/fold.h"

struct fold
fold_start(struct str *out, struct slice name)
{
	const ptrdiff_t lf = slice_find_last(str_slice(out), '\n');

	if (lf >= 0)
		return (struct fold){ out, out->len - (size_t)lf - 1 };
	return (struct fold){ out, name.len + 1 + out->len };
}

void
fold_put(struct fold *fold, struct slice text)
{
	str_append_slice(fold->out, text);
	fold->column += text.len;
}

static void
new_line(struct fold *fold)
{
	str_append_text(fold->out, "\n ");
	fold->column = 1;
}

void
fold_blank(struct fold *fold, size_t n)
{
	if (fold->column + 1 + n > FOLD_COLUMNS)
		new_line(fold);
	else
		fold_put(fold, SLICE(" "));
}

void
fold_room(struct fold *fold, size_t n)
{
	if (fold->column + n > FOLD_COLUMNS)
		new_line(fold);
}

void
fold_pieces(struct fold *fold, struct slice text)
{
	while (text.len > 0) {
		size_t n;

		fold_room(fold, 1);
		n = FOLD_COLUMNS - fold->column;
		fold_put(fold, slice_part(text, 0, n));
		text = slice_from(text, n);
	}
}
