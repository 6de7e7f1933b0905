/* Values as people see them. */

#include <time.h>

#include "common/base/num.h"
#include "common/mail/address.h"
#include "policyd/ctl/output.h"
#include "policyd/json.h"

/* --- text --------------------------------------------------------------- */

void
output_append_safe(struct str *out, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		const unsigned char *c = (const unsigned char *)text.ptr + at;
		const bool is_shown = slice_shown_len(text, at) > 0;
		size_t len = slice_utf8_len(text, at);

		if (len == 0)
			len = 1;
		if (is_shown)
			str_append(out, c, len);
		for (size_t i = 0; !is_shown && i < len; i++)
			str_printf(out, "\\x%02x", c[i]);
		at += len;
	}
}

/* --- numbers ------------------------------------------------------------ */

static void
append_time(struct str *out, int64_t seconds)
{
	const time_t t = (time_t)seconds;
	char text[32];
	struct tm tm;

	if (seconds == 0) {
		str_append_text(out, "never");
		return;
	}
	if (localtime_r(&t, &tm) == NULL ||
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
		str_append_i64(out, seconds);
		return;
	}
	str_append_text(out, text);
}

static void
append_seconds(struct str *out, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	const char *blank = "";

	if (seconds <= 0) {
		str_append_text(out, "0s");
		return;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const int64_t n = seconds / units[i].seconds;

		seconds %= units[i].seconds;
		if (n == 0)
			continue;
		str_printf(out, "%s%lld%c", blank, (long long)n, units[i].unit);
		blank = " ";
	}
}

static void
append_microseconds(struct str *out, int64_t us)
{
	if (us < 1000)
		str_printf(out, "%lld us", (long long)us);
	else if (us < 1000000)
		str_printf(out, "%lld.%lld ms", (long long)(us / 1000),
			(long long)(us % 1000 / 100));
	else
		str_printf(out, "%lld.%02lld s", (long long)(us / 1000000),
			(long long)(us % 1000000 / 10000));
}

static void
append_limit(struct str *out, int64_t number, bool is_size)
{
	if (number < 0)
		str_append_text(out, "inherit");
	else if (number == 0)
		str_append_text(out, "unlimited");
	else if (is_size)
		num_append_exact_size(out, (uint64_t)number);
	else
		str_append_i64(out, number);
}

static void
append_number(struct str *out, struct slice type, int64_t number)
{
	if (slice_eq_text(type, "time"))
		append_time(out, number);
	else if (slice_eq_text(type, "seconds"))
		append_seconds(out, number);
	else if (slice_eq_text(type, "microseconds"))
		append_microseconds(out, number);
	else if (slice_eq_text(type, "bytes"))
		num_append_size(out, number > 0 ? (uint64_t)number : 0);
	else if (slice_eq_text(type, "limit"))
		append_limit(out, number, false);
	else if (slice_eq_text(type, "bytes_limit"))
		append_limit(out, number, true);
	else if (slice_eq_text(type, "percent"))
		str_printf(out, "%lld %%", (long long)number);
	else
		str_append_i64(out, number);
}

static const char *
bool_word(struct slice type, bool is_set)
{
	if (slice_eq_text(type, "up"))
		return is_set ? "up" : "down";
	if (slice_eq_text(type, "on"))
		return is_set ? "on" : "off";
	return is_set ? "yes" : "no";
}

void
output_append_value(struct str *out, struct slice type,
	const struct json *value)
{
	switch (json_type_of(value)) {
	case JSON_TYPE_BOOL:
		str_append_text(out, bool_word(type, json_is_set(value)));
		break;
	case JSON_TYPE_NUMBER:
		append_number(out, type, json_integer_of(value));
		break;
	case JSON_TYPE_TEXT:
		output_append_safe(out,
			slice_eq_text(type, "account")
				? account_plain(json_text(value))
				: json_text(value));
		break;
	case JSON_TYPE_NULL:
		str_append_char(out, '-');
		break;
	case JSON_TYPE_ARRAY:
	case JSON_TYPE_OBJECT:
		json_print(value, out);
		break;
	}
}

#define PERCENT_WARN 80
#define PERCENT_BAD  100

enum output_color
output_value_color(struct slice type, const struct json *value)
{
	if (slice_eq_text(type, "up"))
		return json_is_set(value) ? COLOR_GOOD : COLOR_BAD;
	if (slice_eq_text(type, "on"))
		return json_is_set(value) ? COLOR_GOOD : COLOR_WARN;
	if (!slice_eq_text(type, "percent"))
		return COLOR_NONE;
	if (json_integer_of(value) >= PERCENT_BAD)
		return COLOR_BAD;
	return json_integer_of(value) >= PERCENT_WARN ? COLOR_WARN : COLOR_NONE;
}
