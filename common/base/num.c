#include "common/base/num.h"

#include <stddef.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: num_append_duration() takes the first that divides. */
static const struct unit duration_units[] = {
	{ "w", UINT64_C(7) * 24 * 60 * 60 * 1000 },
	{ "d", UINT64_C(24) * 60 * 60 * 1000 },
	{ "h", UINT64_C(60) * 60 * 1000 },
	{ "m", UINT64_C(60) * 1000 },
	{ "s", UINT64_C(1000) },
	{ "ms", UINT64_C(1) },
};

static const struct unit size_units[] = {
	{ "T", UINT64_C(1) << 40 },
	{ "G", UINT64_C(1) << 30 },
	{ "M", UINT64_C(1) << 20 },
	{ "K", UINT64_C(1) << 10 },
};

#define N_DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))
#define N_SIZE_UNITS     (sizeof(size_units) / sizeof(size_units[0]))

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
num_parse_u64(struct slice text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.ptr[i]))
			return false;
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value,
				(uint64_t)(text.ptr[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*out = value;
	return true;
}

bool
num_parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out)
{
	bool is_negative = text.len > 0 && text.ptr[0] == '-';
	uint64_t size;
	int64_t value;

	if (is_negative)
		text = slice_from(text, 1);
	if (!num_parse_u64(text, (uint64_t)INT64_MAX + is_negative, &size))
		return false;
	/* The conversion of 2^63 wraps to INT64_MIN with gcc and clang. */
	value = (int64_t)(is_negative ? -size : size);
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

/* Cuts the digits in front off *text. */
static struct slice
take_digits(struct slice *text)
{
	size_t n = 0;
	struct slice digits;

	while (n < text->len && is_digit(text->ptr[n]))
		n++;
	digits = slice_part(*text, 0, n);
	*text = slice_from(*text, n);
	return digits;
}

static const struct unit *
find_unit(const struct unit *units, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_case_eq(name, slice_of(units[i].name)))
			return &units[i];
	return NULL;
}

static bool
parse_scaled(struct slice digits, uint64_t factor, uint64_t max, uint64_t *out)
{
	uint64_t value;

	if (!num_parse_u64(digits, UINT64_MAX, &value) ||
		__builtin_mul_overflow(value, factor, &value) || value > max)
		return false;
	*out = value;
	return true;
}

bool
num_parse_duration(struct slice text, uint64_t unit_ms, uint64_t max_ms,
	uint64_t *out_ms)
{
	struct slice digits = take_digits(&text);
	const struct unit *unit;

	if (text.len == 0)
		return parse_scaled(digits, unit_ms, max_ms, out_ms);
	unit = find_unit(duration_units, N_DURATION_UNITS, text);
	return unit && parse_scaled(digits, unit->factor, max_ms, out_ms);
}

bool
num_parse_size(struct slice text, uint64_t max, uint64_t *out_bytes)
{
	struct slice digits = take_digits(&text);
	const struct unit *unit;

	if (slice_ends(text, SLICE("B")) || slice_ends(text, SLICE("b")))
		text = slice_part(text, 0, text.len - 1);
	if (text.len == 0)
		return parse_scaled(digits, 1, max, out_bytes);
	unit = find_unit(size_units, N_SIZE_UNITS, text);
	return unit && parse_scaled(digits, unit->factor, max, out_bytes);
}

void
num_append_duration(struct str *out, uint64_t ms)
{
	const struct unit *unit = duration_units;

	if (ms == 0) {
		str_append_text(out, "0s");
		return;
	}
	while (ms % unit->factor != 0)
		unit++;
	str_append_u64(out, ms / unit->factor);
	str_append_text(out, unit->name);
}

void
num_append_size(struct str *out, uint64_t bytes)
{
	const struct unit *unit = size_units;
	uint64_t tenths;

	while (unit < size_units + N_SIZE_UNITS && bytes < unit->factor)
		unit++;
	if (unit == size_units + N_SIZE_UNITS) {
		str_append_u64(out, bytes);
		return;
	}
	str_append_u64(out, bytes / unit->factor);
	/* Rounded down, or 1 MB less a byte would be shown as 1024K. */
	tenths = bytes % unit->factor * 10 / unit->factor;
	if (tenths > 0) {
		str_append_char(out, '.');
		str_append_u64(out, tenths);
	}
	str_append_text(out, unit->name);
}

void
num_append_exact_size(struct str *out, uint64_t bytes)
{
	const struct unit *unit = size_units;

	while (unit < size_units + N_SIZE_UNITS &&
		(bytes == 0 || bytes % unit->factor != 0))
		unit++;
	if (unit == size_units + N_SIZE_UNITS) {
		str_append_u64(out, bytes);
		return;
	}
	str_append_u64(out, bytes / unit->factor);
	str_append_text(out, unit->name);
}
