#include "policyd/config_table.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"

#define QUOTE_MAX 60 /* bytes of somebody's text in a message */

/*
 * Fields are reached by their offset, and copied rather than cast to: a
 * number may be kept in a bool, an enum, an unsigned or a uint64_t.
 */
static void
store_number(const struct config_setting *setting, struct config *config,
	uint64_t number)
{
	char *field = (char *)config + setting->offset;
	uint8_t byte = (uint8_t)number;
	uint32_t word = (uint32_t)number;

	if (setting->size == sizeof(byte))
		memcpy(field, &byte, sizeof(byte));
	else if (setting->size == sizeof(word))
		memcpy(field, &word, sizeof(word));
	else
		memcpy(field, &number, sizeof(number));
}

static uint64_t
load_number(const struct config_setting *setting, const struct config *config)
{
	const char *field = (const char *)config + setting->offset;
	uint8_t byte;
	uint32_t word;
	uint64_t number;

	switch (setting->size) {
	case sizeof(byte):
		memcpy(&byte, field, sizeof(byte));
		return byte;
	case sizeof(word):
		memcpy(&word, field, sizeof(word));
		return word;
	default:
		assert(setting->size == sizeof(number));
		memcpy(&number, field, sizeof(number));
		return number;
	}
}

static char *
load_text(const struct config_setting *setting, const struct config *config)
{
	char *text;

	memcpy(&text, (const char *)config + setting->offset, sizeof(text));
	return text;
}

static void
store_text(const struct config_setting *setting, struct config *config,
	char *text)
{
	x_free(load_text(setting, config));
	memcpy((char *)config + setting->offset, &text, sizeof(text));
}

static size_t
load_count(const struct config_setting *setting, const struct config *config)
{
	size_t n;

	memcpy(&n, (const char *)config + setting->count_offset, sizeof(n));
	return n;
}

static void
store_count(const struct config_setting *setting, struct config *config,
	size_t n)
{
	memcpy((char *)config + setting->count_offset, &n, sizeof(n));
}

void
config_quote(struct slice text, struct str *out)
{
	size_t len = text.len;

	if (len > QUOTE_MAX) {
		len = QUOTE_MAX;
		/* Not in the middle of a UTF-8 sequence. */
		while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
			len--;
	}
	str_append_char(out, '"');
	str_append(out, text.ptr, len);
	str_append_text(out, len < text.len ? "…\"" : "\"");
}

/* Exact, unlike num_append_size(): what is printed is read again. */
static void
append_size(struct str *out, uint64_t bytes)
{
	static const char units[] = { 'G', 'M', 'K' };
	unsigned shift = 30;

	for (size_t i = 0; i < sizeof(units); i++, shift -= 10) {
		if (bytes > 0 && bytes % (1ull << shift) == 0) {
			str_append_u64(out, bytes >> shift);
			str_append_char(out, units[i]);
			return;
		}
	}
	str_append_u64(out, bytes);
}

static void
append_number(const struct config_setting *setting, uint64_t number,
	struct str *out)
{
	if (setting->type == CONFIG_DURATION)
		num_append_duration(out, number);
	else if (setting->type == CONFIG_SIZE)
		append_size(out, number);
	else if (setting->type == CONFIG_MODE)
		str_printf(out, "%04o", (unsigned)number);
	else
		str_append_u64(out, number);
}

static void
append_range(const struct config_setting *setting, const char *what,
	struct str *out)
{
	str_append_text(out, what);
	str_append_text(out, " from ");
	append_number(setting, setting->min, out);
	str_append_text(out, " to ");
	append_number(setting, setting->max, out);
}

static void
append_length(const struct config_setting *setting, const char *what,
	struct str *out)
{
	str_append_text(out, what);
	str_append_text(out, " of ");
	if (setting->min > 0) {
		str_append_u64(out, setting->min);
		str_append_text(out, " to ");
	} else {
		str_append_text(out, "at most ");
	}
	str_append_u64(out, setting->max);
	str_append_text(out, " bytes");
}

static void
append_choices(const struct config_setting *setting, struct str *out)
{
	for (const struct config_choice *c = setting->choices; c->name; c++) {
		if (c != setting->choices)
			str_append_text(out, c[1].name ? ", " : " or ");
		str_append_text(out, c->name);
	}
}

void
config_type_print(const struct config_setting *setting, struct str *out)
{
	switch (setting->type) {
	case CONFIG_BOOL:
		str_append_text(out, "yes or no");
		break;
	case CONFIG_NUMBER:
		append_range(setting, "a number", out);
		break;
	case CONFIG_SIZE:
		append_range(setting, "a size", out);
		break;
	case CONFIG_DURATION:
		append_range(setting, "a duration", out);
		break;
	case CONFIG_MODE:
		append_range(setting, "an octal mode", out);
		break;
	case CONFIG_CHOICE:
		append_choices(setting, out);
		break;
	case CONFIG_TEXT:
		append_length(setting, "a text", out);
		break;
	case CONFIG_WORD:
		append_length(setting, "a text without blanks", out);
		break;
	case CONFIG_PATH:
		append_length(setting, "an absolute path", out);
		break;
	case CONFIG_ADDRESS:
		str_append_text(out, "unix:PATH");
		break;
	case CONFIG_ADDRESSES:
		str_append_text(out, "a list of inet:ADDRESS:PORT, unix:PATH");
		break;
	case CONFIG_NETWORKS:
		str_append_text(out, "a list of IP addresses and networks");
		break;
	case CONFIG_WORDS:
		str_append_text(out, "a list of words");
		break;
	case CONFIG_RULES:
		str_append_text(out, "a list of rules");
		break;
	}
}

/* '"x" is not a number from 1 to 16' */
static bool
refuse(const struct config_setting *setting, struct slice text, struct str *why)
{
	config_quote(text, why);
	str_append_text(why, " is not ");
	config_type_print(setting, why);
	return false;
}

static bool
set_bool(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	if (slice_eq_text(text, "yes"))
		store_number(setting, config, true);
	else if (slice_eq_text(text, "no"))
		store_number(setting, config, false);
	else
		return refuse(setting, text, why);
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
parse_octal(struct slice text, uint64_t *out)
{
	*out = 0;
	if (text.len == 0 || text.len > 4)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7')
			return false;
		*out = *out * 8 + (uint64_t)(text.ptr[i] - '0');
	}
	return true;
}

static bool
set_number(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	uint64_t max = setting->max, number;
	bool ok;

	if (setting->type == CONFIG_DURATION) {
		/* iRedAPD counts in minutes here and in days there. */
		if (text.len > 0 && is_digit(text.ptr[text.len - 1])) {
			config_quote(text, why);
			str_append_text(why,
				" has no unit: write 500ms, 30s, 15m, 12h or "
				"30d");
			return false;
		}
		ok = num_parse_duration(text, 1, max, &number);
	} else if (setting->type == CONFIG_SIZE) {
		ok = num_parse_size(text, max, &number);
	} else if (setting->type == CONFIG_MODE) {
		ok = parse_octal(text, &number) && number <= max;
	} else {
		ok = num_parse_u64(text, max, &number);
	}
	if (!ok || number < setting->min)
		return refuse(setting, text, why);
	store_number(setting, config, number);
	return true;
}

static bool
set_choice(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	for (const struct config_choice *c = setting->choices; c->name; c++) {
		if (slice_eq_text(text, c->name)) {
			store_number(setting, config, (uint64_t)c->value);
			return true;
		}
	}
	return refuse(setting, text, why);
}

static bool
has_blank(struct slice text)
{
	return slice_has_byte(text, ' ') || slice_has_byte(text, '\t');
}

/* Text, word or path. */
static bool
set_text(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	bool ok = text.len >= setting->min && text.len <= setting->max;

	if (setting->type == CONFIG_WORD)
		ok = ok && !has_blank(text);
	else if (setting->type == CONFIG_PATH)
		ok = ok && (text.len == 0 || text.ptr[0] == '/');
	else
		ok = ok && !slice_has_byte(text, '\t');
	if (!ok)
		return refuse(setting, text, why);
	store_text(setting, config, slice_strdup(text));
	return true;
}

static bool
parse_address(struct slice text, struct sock_address *out, struct str *why)
{
	const char *err;

	if (sock_parse(text, out, &err) == 0)
		return true;
	config_quote(text, why);
	str_append_text(why, " is not the address of a socket: ");
	str_append_text(why, err);
	return false;
}

static bool
parse_network(struct slice text, struct network *out, struct str *why)
{
	char meant[NETWORK_TEXT_MAX];
	bool had_host_bits;

	if (!network_parse(text, out, &had_host_bits)) {
		config_quote(text, why);
		str_append_text(why,
			" is not an IP address or a network such as "
			"192.0.2.0/24");
		return false;
	}
	if (had_host_bits) {
		config_quote(text, why);
		str_printf(why,
			" has bits set behind its prefix; did you mean \"%s\"?",
			network_format(out, meant));
		return false;
	}
	return true;
}

/* A word of a list; a line that begins with it must not be a comment. */
static bool
parse_word(struct slice text, char **out, struct str *why)
{
	if (text.ptr[0] == '#' || text.ptr[0] == ';') {
		config_quote(text, why);
		str_append_text(why, " begins like a comment");
		return false;
	}
	*out = slice_strdup(text);
	return true;
}

static bool
parse_rule(struct slice text, const struct config *config, enum rule_id *out,
	struct str *why)
{
	const char *names[RULE_ID_COUNT], *nearest;

	if (!rule_id_parse(text, out)) {
		for (size_t i = 0; i < RULE_ID_COUNT; i++)
			names[i] = rule_name((enum rule_id)i);
		nearest = slice_nearest(text, names, RULE_ID_COUNT);
		config_quote(text, why);
		str_append_text(why, " is not a rule");
		if (nearest)
			str_printf(why, "; did you mean \"%s\"?", nearest);
		return false;
	}
	for (size_t i = 0; i < config->n_rule_order; i++) {
		if (config->rule_order[i] == *out) {
			config_quote(text, why);
			str_append_text(why, " is named twice");
			return false;
		}
	}
	return true;
}

static void
append_element(const struct config_setting *setting, struct config *config,
	const void *element, size_t size)
{
	size_t n = load_count(setting, config);
	char *items = load_text(setting, config);

	items = x_realloc_array(items, n + 1, size);
	memcpy(items + n * size, element, size);
	memcpy((char *)config + setting->offset, &items, sizeof(items));
	store_count(setting, config, n + 1);
}

bool
config_list_is_full(const struct config_setting *setting,
	const struct config *config)
{
	/* A list of rules has room for each, and none is taken twice. */
	return setting->type != CONFIG_RULES &&
	       load_count(setting, config) >= setting->max;
}

static bool
set_item(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	struct sock_address address;
	struct network network;
	enum rule_id rule;
	char *word;

	assert(!config_list_is_full(setting, config));
	if (setting->type == CONFIG_RULES) {
		if (!parse_rule(text, config, &rule, why))
			return false;
		config->rule_order[config->n_rule_order++] = rule;
	} else if (setting->type == CONFIG_ADDRESSES) {
		if (!parse_address(text, &address, why))
			return false;
		append_element(setting, config, &address, sizeof(address));
	} else if (setting->type == CONFIG_NETWORKS) {
		if (!parse_network(text, &network, why))
			return false;
		append_element(setting, config, &network, sizeof(network));
	} else {
		if (!parse_word(text, &word, why))
			return false;
		append_element(setting, config, &word, sizeof(word));
	}
	return true;
}

bool
config_value_set(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	switch (setting->type) {
	case CONFIG_BOOL:
		return set_bool(setting, text, config, why);
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		return set_number(setting, text, config, why);
	case CONFIG_CHOICE:
		return set_choice(setting, text, config, why);
	case CONFIG_TEXT:
	case CONFIG_WORD:
	case CONFIG_PATH:
		return set_text(setting, text, config, why);
	case CONFIG_ADDRESS:
		return parse_address(text,
			(void *)((char *)config + setting->offset), why);
	case CONFIG_ADDRESSES:
	case CONFIG_NETWORKS:
	case CONFIG_WORDS:
	case CONFIG_RULES:
		return set_item(setting, text, config, why);
	}
	assert(0);
}

static void
clear_words(const struct config_setting *setting, struct config *config)
{
	char **words;

	memcpy(&words, (char *)config + setting->offset, sizeof(words));
	for (size_t i = 0; i < load_count(setting, config); i++)
		x_free(words[i]);
}

void
config_value_clear(const struct config_setting *setting, struct config *config)
{
	switch (setting->type) {
	case CONFIG_BOOL:
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_MODE:
	case CONFIG_CHOICE:
	case CONFIG_ADDRESS:
		break;
	case CONFIG_TEXT:
	case CONFIG_WORD:
	case CONFIG_PATH:
		store_text(setting, config, NULL);
		break;
	case CONFIG_RULES:
		config->n_rule_order = 0;
		break;
	case CONFIG_WORDS:
		clear_words(setting, config);
		/* fall through */
	case CONFIG_ADDRESSES:
	case CONFIG_NETWORKS:
		store_text(setting, config, NULL);
		store_count(setting, config, 0);
		break;
	}
}

static const char *
choice_name(const struct config_setting *setting, uint64_t value)
{
	for (const struct config_choice *c = setting->choices; c->name; c++) {
		if ((uint64_t)c->value == value)
			return c->name;
	}
	assert(0);
}

static void
print_item(const struct config_setting *setting, const struct config *config,
	size_t i, struct str *out)
{
	const struct sock_address *addresses;
	const struct network *networks;
	char *const *words;
	const char *field = (const char *)config + setting->offset;
	char text[NETWORK_TEXT_MAX];

	if (setting->type == CONFIG_RULES) {
		str_append_text(out, rule_name(config->rule_order[i]));
	} else if (setting->type == CONFIG_ADDRESSES) {
		memcpy(&addresses, field, sizeof(addresses));
		str_append_text(out, addresses[i].text);
	} else if (setting->type == CONFIG_NETWORKS) {
		memcpy(&networks, field, sizeof(networks));
		str_append_text(out, network_format(&networks[i], text));
	} else {
		memcpy(&words, field, sizeof(words));
		str_append_text(out, words[i]);
	}
}

void
config_value_print(const struct config_setting *setting,
	const struct config *config, const char *separator, struct str *out)
{
	switch (setting->type) {
	case CONFIG_BOOL:
		str_append_text(out,
			load_number(setting, config) ? "yes" : "no");
		break;
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		append_number(setting, load_number(setting, config), out);
		break;
	case CONFIG_CHOICE:
		str_append_text(out,
			choice_name(setting, load_number(setting, config)));
		break;
	case CONFIG_TEXT:
	case CONFIG_WORD:
	case CONFIG_PATH:
		str_append_text(out, load_text(setting, config));
		break;
	case CONFIG_ADDRESS:
		str_append_text(out, ((const struct sock_address *)(const void
						      *)((const char *)config +
							 setting->offset))
					     ->text);
		break;
	case CONFIG_ADDRESSES:
	case CONFIG_NETWORKS:
	case CONFIG_WORDS:
	case CONFIG_RULES:
		for (size_t i = 0; i < load_count(setting, config); i++) {
			if (i > 0)
				str_append_text(out, separator);
			print_item(setting, config, i, out);
		}
		break;
	}
}

static bool
is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

bool
config_next_item(struct slice *rest, struct slice *item)
{
	size_t from = 0, to;

	while (from < rest->len && is_separator(rest->ptr[from]))
		from++;
	for (to = from; to < rest->len && !is_separator(rest->ptr[to]);)
		to++;
	*item = slice_part(*rest, from, to);
	*rest = slice_from(*rest, to);
	return item->len > 0;
}
