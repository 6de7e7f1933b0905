#include "policyd/config_table.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"

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
		config_store_number(setting, config, true);
	else if (slice_eq_text(text, "no"))
		config_store_number(setting, config, false);
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
	config_store_number(setting, config, number);
	return true;
}

static bool
set_choice(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	for (const struct config_choice *c = setting->choices; c->name; c++) {
		if (slice_eq_text(text, c->name)) {
			config_store_number(setting, config,
				(uint64_t)c->value);
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
	config_store_text(setting, config, slice_strdup(text));
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

/* Empty for none, where min is 0. */
static bool
set_address(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why)
{
	struct sock_address *field = (void *)((char *)config + setting->offset);

	if (text.len > 0 || setting->min > 0)
		return parse_address(text, field, why);
	memset(field, 0, sizeof(*field));
	return true;
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
	size_t n = config_load_count(setting, config);
	char *items = config_load_text(setting, config);

	items = x_realloc_array(items, n + 1, size);
	memcpy(items + n * size, element, size);
	memcpy((char *)config + setting->offset, &items, sizeof(items));
	config_store_count(setting, config, n + 1);
}

bool
config_list_is_full(const struct config_setting *setting,
	const struct config *config)
{
	/* A list of rules has room for each, and none is taken twice. */
	return setting->type != CONFIG_RULES &&
	       config_load_count(setting, config) >= setting->max;
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
		return set_address(setting, text, config, why);
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
	for (size_t i = 0; i < config_load_count(setting, config); i++)
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
		config_store_text(setting, config, NULL);
		break;
	case CONFIG_RULES:
		config->n_rule_order = 0;
		break;
	case CONFIG_WORDS:
	case CONFIG_ADDRESSES:
	case CONFIG_NETWORKS:
		if (setting->type == CONFIG_WORDS)
			clear_words(setting, config);
		config_store_text(setting, config, NULL);
		config_store_count(setting, config, 0);
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
