#include "policyd/config_table.h"

#include <string.h>

/* A list that is longer is printed with a line for each item. */
#define LINE_LENGTH_AIM 60

/* Room for the longest list of the longest items. */
#define VALUE_MAX (CONFIG_ITEMS_MAX * 512)

static bool
is_of_section(size_t row, size_t section)
{
	return strcmp(config_setting_at(row)->section,
		       config_section_at(section)->name) == 0;
}

/* Rows by section: *at counts through all pairs of section and row. */
static const struct config_setting *
next_setting(size_t *at, size_t *section)
{
	size_t n_rows = config_setting_count();

	while (*at < n_rows * config_section_count()) {
		size_t row = *at % n_rows;

		*section = *at / n_rows;
		(*at)++;
		if (is_of_section(row, *section))
			return config_setting_at(row);
	}
	return NULL;
}

bool
config_next(const struct config *config, size_t *at, struct config_row *row,
	struct str *value)
{
	size_t section, from = value->len;
	const struct config_setting *setting = next_setting(at, &section);
	struct str type;

	if (!setting)
		return false;
	config_value_print(setting, config, ", ", value);
	row->section = setting->section;
	row->key = setting->key;
	row->help = setting->help;
	row->default_text = setting->default_text;
	row->needs_restart = (setting->flags & CONFIG_RESTART) != 0;
	row->is_default = slice_eq_text(slice_from(str_slice(value), from),
		setting->default_text);
	str_init(&type, sizeof(row->type) - 1);
	config_type_print(setting, &type);
	memcpy(row->type, str_text(&type), type.len + 1);
	str_free(&type);
	return true;
}

static void
print_setting(const struct config_setting *setting, const struct config *config,
	bool is_annotated, struct str *out)
{
	struct str value;

	str_init(&value, VALUE_MAX);
	config_value_print(setting, config, ", ", &value);
	if (is_annotated)
		str_printf(out, "\n# %s%s\n", setting->help,
			slice_eq_text(str_slice(&value), setting->default_text)
				? " (default)"
				: "");
	if (config_setting_is_list(setting) && value.len > LINE_LENGTH_AIM) {
		str_reset(&value);
		config_value_print(setting, config, ",\n\t", &value);
	}
	str_append_text(out, setting->key);
	str_append_text(out, value.len > 0 ? " = " : " =");
	str_append_slice(out, str_slice(&value));
	str_append_char(out, '\n');
	str_free(&value);
}

void
config_print(const struct config *config, bool is_annotated, struct str *out)
{
	size_t at = 0, section, last = config_section_count();
	const struct config_setting *setting;

	while ((setting = next_setting(&at, &section))) {
		if (section != last) {
			if (last != config_section_count())
				str_append_char(out, '\n');
			if (is_annotated)
				str_printf(out, "# %s\n",
					config_section_at(section)->help);
			str_printf(out, "[%s]\n",
				config_section_at(section)->name);
			last = section;
		}
		print_setting(setting, config, is_annotated, out);
	}
}

static bool
is_same(const struct config_setting *setting, const struct config *a,
	const struct config *b)
{
	struct str text_a, text_b;
	bool same;

	str_init(&text_a, VALUE_MAX);
	str_init(&text_b, VALUE_MAX);
	config_value_print(setting, a, ",", &text_a);
	config_value_print(setting, b, ",", &text_b);
	same = slice_eq(str_slice(&text_a), str_slice(&text_b));
	str_free(&text_a);
	str_free(&text_b);
	return same;
}

static bool
is_restart_needed(const struct config_setting *setting,
	const struct config *old, const struct config *new)
{
	if ((setting->flags & CONFIG_RESTART_FROM_EMPTY) != 0 &&
		config_load_text(setting, old)[0] == '\0')
		return config_load_text(setting, new)[0] != '\0';
	return (setting->flags & CONFIG_RESTART) != 0 &&
	       !is_same(setting, old, new);
}

void
config_restart_needed(const struct config *old, const struct config *new,
	struct str *out)
{
	size_t at = 0, section;
	const struct config_setting *setting;

	while ((setting = next_setting(&at, &section))) {
		if (!is_restart_needed(setting, old, new))
			continue;
		if (out->len > 0)
			str_append_text(out, ", ");
		str_printf(out, "[%s] %s", setting->section, setting->key);
	}
}
