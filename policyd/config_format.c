#include "policyd/config_table.h"

#include <assert.h>
#include <string.h>

#include "common/base/num.h"

#define QUOTE_MAX 60 /* bytes of somebody's text in a message */

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

static void
append_number(const struct config_setting *setting, uint64_t number,
	struct str *out)
{
	if (setting->type == CONFIG_DURATION)
		num_append_duration(out, number);
	else if (setting->type == CONFIG_SIZE)
		num_append_exact_size(out, number);
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
		str_append_text(out, "inet:ADDRESS:PORT or unix:PATH");
		break;
	case CONFIG_ADDRESSES:
		str_append_text(out,
			"a list of inet:ADDRESS:PORT or unix:PATH");
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
			config_load_number(setting, config) ? "yes" : "no");
		break;
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_MODE:
		append_number(setting, config_load_number(setting, config),
			out);
		break;
	case CONFIG_CHOICE:
		str_append_text(out,
			choice_name(setting,
				config_load_number(setting, config)));
		break;
	case CONFIG_TEXT:
	case CONFIG_WORD:
	case CONFIG_PATH:
		str_append_text(out, config_load_text(setting, config));
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
		for (size_t i = 0; i < config_load_count(setting, config);
			i++) {
			if (i > 0)
				str_append_text(out, separator);
			print_item(setting, config, i, out);
		}
		break;
	}
}
