#include "policyd/config_table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

#define WHY_MAX   512
#define WORDS_MAX 512 /* settings, to look for the nearest */

/* What a line that begins with white space goes on with. */
enum parser_state {
	PARSER_NOTHING, /* no setting yet in this section */
	PARSER_LIST,    /* the list parser.setting */
	PARSER_SCALAR,  /* parser.setting, which ends with its line */
	PARSER_SKIP,    /* something that was reported already */
};

struct parser {
	struct config *config;
	struct config_errors *errors;
	struct config_origin *origins; /* by row */
	const char *section;           /* NULL before the first */
	bool is_section_unknown;
	enum parser_state state;
	const struct config_setting *setting;
	unsigned line;
};

static size_t
row_of(const struct config_setting *setting)
{
	return (size_t)(setting - config_setting_at(0));
}

static void
set_defaults(struct config *config)
{
	struct str why;

	str_init(&why, WHY_MAX);
	for (size_t i = 0; i < config_setting_count(); i++) {
		const struct config_setting *setting = config_setting_at(i);
		struct slice rest = slice_of(setting->default_text), item;
		bool ok = true;

		if (!config_setting_is_list(setting)) {
			ok = config_value_set(setting, rest, config, &why);
		} else {
			while (ok && config_next_item(&rest, &item))
				ok = config_value_set(setting, item, config,
					&why);
		}
		assert(ok);
	}
	str_free(&why);
}

static void
report_value(struct parser *parser, const char *why)
{
	parser->origins[row_of(parser->setting)].is_bad = true;
	config_error_add(parser->errors, parser->line, "[%s] %s: %s",
		parser->setting->section, parser->setting->key, why);
}

static void
set_value(struct parser *parser, struct slice text)
{
	struct str why;

	str_init(&why, WHY_MAX);
	if (!config_value_set(parser->setting, text, parser->config, &why))
		report_value(parser, str_text(&why));
	str_free(&why);
}

/* All items of a line; a list that is too long is reported once. */
static void
add_items(struct parser *parser, struct slice rest)
{
	struct slice item;

	while (config_next_item(&rest, &item)) {
		if (config_list_is_full(parser->setting, parser->config)) {
			report_value(parser, "has too many items");
			parser->state = PARSER_SKIP;
			return;
		}
		set_value(parser, item);
	}
}

/* Reports a word that is not known, with the nearest that is. */
static void
report_unknown(struct parser *parser, const char *what, struct slice word,
	const char *const *words, size_t n)
{
	const char *nearest = slice_nearest(word, words, n);
	struct str quoted;

	str_init(&quoted, WHY_MAX);
	config_quote(word, &quoted);
	if (nearest)
		config_error_add(parser->errors, parser->line,
			"unknown %s %s; did you mean \"%s\"?", what,
			str_text(&quoted), nearest);
	else
		config_error_add(parser->errors, parser->line, "unknown %s %s",
			what, str_text(&quoted));
	str_free(&quoted);
}

static void
report_unknown_section(struct parser *parser, struct slice name)
{
	const char *words[WORDS_MAX];
	size_t n = config_section_count();

	assert(n <= WORDS_MAX);
	for (size_t i = 0; i < n; i++)
		words[i] = config_section_at(i)->name;
	report_unknown(parser, "section", name, words, n);
}

static void
report_unknown_key(struct parser *parser, struct slice key)
{
	const char *words[WORDS_MAX];
	char what[64];
	const struct config_setting *setting;
	size_t n = 0;

	assert(config_setting_count() <= WORDS_MAX);
	for (size_t i = 0; i < config_setting_count(); i++) {
		setting = config_setting_at(i);
		if (strcmp(setting->section, parser->section) == 0) {
			words[n++] = setting->key;
		} else if (slice_eq_text(key, setting->key)) {
			config_error_add(parser->errors, parser->line,
				"\"%s\" is not a setting of [%s], but of [%s]",
				setting->key, parser->section,
				setting->section);
			return;
		}
	}
	(void)snprintf(what, sizeof(what), "setting of [%s]", parser->section);
	report_unknown(parser, what, key, words, n);
}

static void
begin_section(struct parser *parser, struct slice line)
{
	struct slice name;

	parser->state = PARSER_NOTHING;
	parser->is_section_unknown = true;
	if (!slice_ends(line, SLICE("]"))) {
		config_error_add(parser->errors, parser->line,
			"a section is written as [name], with nothing behind");
		return;
	}
	name = slice_trim(slice_part(line, 1, line.len - 1));
	for (size_t i = 0; i < config_section_count(); i++) {
		if (slice_eq_text(name, config_section_at(i)->name)) {
			parser->section = config_section_at(i)->name;
			parser->is_section_unknown = false;
			return;
		}
	}
	report_unknown_section(parser, name);
}

static const struct config_setting *
find_setting(const char *section, struct slice key)
{
	for (size_t i = 0; i < config_setting_count(); i++) {
		const struct config_setting *setting = config_setting_at(i);

		if (strcmp(setting->section, section) == 0 &&
			slice_eq_text(key, setting->key))
			return setting;
	}
	return NULL;
}

/* The setting that a key names, or NULL when that was reported. */
static const struct config_setting *
begin_setting(struct parser *parser, struct slice key)
{
	const struct config_setting *setting;
	struct config_origin *origin;

	if (parser->is_section_unknown)
		return NULL;
	if (!parser->section) {
		config_error_add(parser->errors, parser->line,
			"a setting before the first [section]");
		return NULL;
	}
	setting = find_setting(parser->section, key);
	if (!setting) {
		report_unknown_key(parser, key);
		return NULL;
	}
	origin = &parser->origins[row_of(setting)];
	if (origin->line > 0) {
		config_error_add(parser->errors, parser->line,
			"[%s] %s: is set already in line %u", setting->section,
			setting->key, origin->line);
		return NULL;
	}
	origin->line = parser->line;
	return setting;
}

static void
take_setting(struct parser *parser, struct slice line)
{
	ptrdiff_t equals = slice_find(line, '=');
	struct slice value;

	parser->state = PARSER_SKIP;
	if (equals < 0) {
		if (!parser->is_section_unknown)
			config_error_add(parser->errors, parser->line,
				"there is no \"=\": a line is a comment, "
				"[section] or key = value");
		return;
	}
	parser->setting = begin_setting(parser,
		slice_trim(slice_part(line, 0, (size_t)equals)));
	if (!parser->setting)
		return;
	value = slice_trim(slice_from(line, (size_t)equals + 1));
	if (config_setting_is_list(parser->setting)) {
		parser->state = PARSER_LIST;
		config_value_clear(parser->setting, parser->config);
		add_items(parser, value);
	} else {
		parser->state = PARSER_SCALAR;
		set_value(parser, value);
	}
}

static void
continue_setting(struct parser *parser, struct slice line)
{
	switch (parser->state) {
	case PARSER_LIST:
		add_items(parser, line);
		break;
	case PARSER_SCALAR:
		config_error_add(parser->errors, parser->line,
			"the line begins with white space and so continues a "
			"list, but %s above it is not one",
			parser->setting->key);
		parser->state = PARSER_SKIP;
		break;
	case PARSER_NOTHING:
		if (!parser->is_section_unknown)
			config_error_add(parser->errors, parser->line,
				"the line begins with white space, but there "
				"is no list above it to continue");
		parser->state = PARSER_SKIP;
		break;
	case PARSER_SKIP:
		break;
	}
}

/* Whether the bytes of a line can be looked at; else it was reported. */
static bool
is_clean(struct parser *parser, struct slice line)
{
	if (line.len > CONFIG_LINE_MAX) {
		config_error_add(parser->errors, parser->line,
			"the line is longer than %u bytes", CONFIG_LINE_MAX);
		return false;
	}
	for (size_t i = 0; i < line.len; i++) {
		unsigned char byte = (unsigned char)line.ptr[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
			config_error_add(parser->errors, parser->line,
				"the line holds the control byte 0x%02x", byte);
			return false;
		}
	}
	if (!slice_is_utf8(line)) {
		config_error_add(parser->errors, parser->line,
			"the line is not UTF-8");
		return false;
	}
	return true;
}

static void
take_line(struct parser *parser, struct slice line)
{
	struct slice text;

	if (slice_ends(line, SLICE("\r")))
		line = slice_part(line, 0, line.len - 1);
	if (!is_clean(parser, line)) {
		parser->state = PARSER_SKIP;
		return;
	}
	text = slice_trim(line);
	if (text.len == 0 || text.ptr[0] == '#' || text.ptr[0] == ';')
		return;
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		continue_setting(parser, text);
	else if (text.ptr[0] == '[')
		begin_section(parser, text);
	else
		take_setting(parser, text);
}

static void
check_lists(struct parser *parser)
{
	for (size_t i = 0; i < config_setting_count(); i++) {
		const struct config_setting *setting = config_setting_at(i);
		struct str value;

		if (!config_setting_is_list(setting) || setting->min == 0 ||
			parser->origins[i].is_bad)
			continue;
		str_init(&value, CONFIG_FILE_MAX);
		config_value_print(setting, parser->config, ",", &value);
		if (value.len == 0) {
			parser->setting = setting;
			parser->line = parser->origins[i].line;
			report_value(parser, "must not be empty");
		}
		str_free(&value);
	}
}

/* For what is only found when the configuration is used. */
static void
keep_lines(struct parser *parser)
{
	struct config *config = parser->config;

	config->lines = x_new_array(config_setting_count(), unsigned);
	for (size_t i = 0; i < config_setting_count(); i++)
		config->lines[i] = parser->origins[i].line;
}

struct config *
config_parse(struct slice text, const char *path, struct config_errors *errors)
{
	size_t n_before = errors->n;
	struct parser parser = {
		.config = x_new(struct config),
		.errors = errors,
		.origins = x_new_array(config_setting_count(),
			struct config_origin),
	};
	struct slice line;

	parser.config->n_refs = 1;
	parser.config->path = x_strdup(path);
	set_defaults(parser.config);
	if (text.len > CONFIG_FILE_MAX) {
		config_error_add(errors, 0, "the file is larger than %u bytes",
			CONFIG_FILE_MAX);
		text = slice_part(text, 0, 0);
	}
	if (slice_starts(text, SLICE("\xEF\xBB\xBF")))
		text = slice_from(text, 3); /* a byte order mark */
	while (slice_split(&text, '\n', &line)) {
		parser.line++;
		take_line(&parser, line);
	}
	check_lists(&parser);
	config_check(parser.config, parser.origins, errors);
	keep_lines(&parser);
	x_free(parser.origins);
	if (errors->n > n_before) {
		config_unref(parser.config);
		return NULL;
	}
	return parser.config;
}

/* The file, or one byte more than is allowed; -1 with errno set. */
static int
read_file(const char *path, struct str *out)
{
	char buffer[16384];
	ssize_t n;
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	do {
		n = read(fd, buffer, sizeof(buffer));
		if (n > 0)
			str_append(out, buffer, (size_t)n);
	} while ((n > 0 && !out->is_cut) || (n < 0 && errno == EINTR));
	error = errno;
	(void)close(fd);
	errno = error;
	return n < 0 ? -1 : 0;
}

struct config *
config_load(const char *path, struct config_errors *errors)
{
	struct config *config = NULL;
	struct str text;

	str_init(&text, CONFIG_FILE_MAX + sizeof("x") + 16384);
	if (read_file(path, &text) < 0)
		config_error_add(errors, 0, "cannot read the file: %s",
			strerror(errno));
	else
		config = config_parse(str_slice(&text), path, errors);
	str_free(&text);
	return config;
}
