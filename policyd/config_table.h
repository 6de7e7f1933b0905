#ifndef POLICYD_CONFIG_TABLE_H
#define POLICYD_CONFIG_TABLE_H

/*
 * The table of settings: what may be written in policyd.conf, of what type,
 * in what range, and where in a struct config it is kept. Used by the files
 * config*.c only; everybody else sees policyd/config.h.
 */

#include "policyd/config.h"

enum config_type {
	CONFIG_BOOL,
	CONFIG_NUMBER,
	CONFIG_SIZE,
	CONFIG_DURATION, /* kept in milliseconds */
	CONFIG_MODE,     /* octal */
	CONFIG_CHOICE,
	CONFIG_TEXT,
	CONFIG_WORD,    /* text without blanks */
	CONFIG_PATH,    /* absolute, or empty where min is 0 */
	CONFIG_ADDRESS, /* empty where min is 0 */
	/* lists */
	CONFIG_ADDRESSES,
	CONFIG_NETWORKS,
	CONFIG_WORDS,
	CONFIG_RULES,
};

struct config_choice {
	const char *name; /* NULL ends an array of them */
	int value;
};

enum config_flags {
	CONFIG_RESTART = 1, /* a reload does not put it in force */
	/* nor this one, when it was empty and is not any more */
	CONFIG_RESTART_FROM_EMPTY = 2,
};

struct config_setting {
	const char *section, *key, *default_text, *help;
	enum config_type type;
	unsigned flags;
	/* of the value, of the length of a text, of the items of a list */
	uint64_t min, max;
	const struct config_choice *choices;
	size_t offset, size; /* of the field in struct config */
	size_t count_offset; /* of the size_t beside a list */
};

struct config_section {
	const char *name, *help;
};

/* All rows; those of one section need not be neighbours. */
size_t config_setting_count(void);
const struct config_setting *config_setting_at(size_t row);
/* The sections in the order in which they are shown. */
size_t config_section_count(void);
const struct config_section *config_section_at(size_t i);

bool config_setting_is_list(const struct config_setting *setting);
/* Whether one more item would be too many. */
bool config_list_is_full(const struct config_setting *setting,
	const struct config *config);

/*
 * The field of a setting, reached by its offset: a number whatever integer it
 * is kept in, a text that belongs to the field, the length of a list.
 */
void config_store_number(const struct config_setting *setting,
	struct config *config, uint64_t number);
uint64_t config_load_number(const struct config_setting *setting,
	const struct config *config);
/* Frees the text before it; takes text, which may be NULL. */
void config_store_text(const struct config_setting *setting,
	struct config *config, char *text);
char *config_load_text(const struct config_setting *setting,
	const struct config *config);
void config_store_count(const struct config_setting *setting,
	struct config *config, size_t n);
size_t config_load_count(const struct config_setting *setting,
	const struct config *config);

/*
 * Puts text into the setting's field (for a list: adds one item to it).
 * False, and one phrase in why such as '"x" is not yes or no'.
 */
bool config_value_set(const struct config_setting *setting, struct slice text,
	struct config *config, struct str *why);
/* Frees what the field holds; a list is empty afterwards. */
void config_value_clear(const struct config_setting *setting,
	struct config *config);
/* Appends the value; the items of a list with separator between them. */
void config_value_print(const struct config_setting *setting,
	const struct config *config, const char *separator, struct str *out);
/* Appends what is expected, such as "a number from 1 to 16". */
void config_type_print(const struct config_setting *setting, struct str *out);
/* Takes the next item of a list from *rest; false when there is none. */
bool config_next_item(struct slice *rest, struct slice *item);

/* Text for a message: in quotes, and cut when it is long. */
void config_quote(struct slice text, struct str *out);

/*
 * Fills buffer from a file, or reads less; its mode in *mode. -1 with errno
 * set.
 */
ssize_t config_read_start(const char *path, char *buffer, size_t size,
	mode_t *mode);
/* The part of config_read_secrets() in config_srs.c. */
int config_read_srs_secrets(struct config *config,
	struct config_errors *errors);
/* The part in config_dkim.c. */
int config_read_dkim_key(struct config *config, struct config_errors *errors);

/* Where in the file a setting was, by row. */
struct config_origin {
	unsigned line; /* 0: it is not in the file */
	bool is_bad;   /* an error was reported for it */
};

/* What holds between settings rather than within one. */
void config_check(const struct config *config,
	const struct config_origin *origins, struct config_errors *errors);

#endif
