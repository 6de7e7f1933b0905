#ifndef POLICYD_CTL_COMMAND_TABLE_H
#define POLICYD_CTL_COMMAND_TABLE_H

/*
 * The table of commands (commands.def) and a request for one of them, as
 * policyctl makes it from words and as the daemon reads it from a line of
 * JSON. Both sides check it against the same table.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct arena;

enum command_id {
#define COMMAND(id, words, where, effect, arguments, summary) COMMAND_##id,
#include "policyd/ctl/commands.def"
#undef COMMAND
	COMMAND_COUNT
};

enum command_where { COMMAND_DAEMON, COMMAND_LOCAL };
enum command_effect { COMMAND_READS, COMMAND_CHANGES, COMMAND_STREAMS };

struct command_row {
	enum command_id id;
	const char *words;
	enum command_where where;
	enum command_effect effect;
	const char *arguments; /* "ACCOUNT [KIND] [--period TIME]" */
	const char *summary;   /* "": not shown */
};

extern const struct command_row command_table[COMMAND_COUNT];

#define COMMAND_WORDS_MAX     3 /* of one command */
#define COMMAND_ARGUMENTS_MAX 12
/* Of an option whose value ends with "...". */
#define COMMAND_REPEATED_MAX 8
/* A whole request, and with it every value in it. */
#define COMMAND_REQUEST_MAX ((size_t)64 << 10)
#define COMMAND_ERROR_MAX   512

/* Exit statuses of policyctl; the daemon sends them. */
enum command_exit {
	COMMAND_EXIT_DONE,
	COMMAND_EXIT_FINDINGS,
	COMMAND_EXIT_USAGE,
	COMMAND_EXIT_NOT_FOUND,
	COMMAND_EXIT_UNREACHABLE,
	COMMAND_EXIT_REFUSED,
	COMMAND_EXIT_NO_DATABASE,
};

/* One argument as the table describes it. */
struct command_parameter {
	struct slice shown; /* "ACCOUNT", "--period" */
	struct slice value; /* of an option: "TIME"; "" for a flag */
	bool is_option, is_required;
	/* May be given several times: one of a row, of a LOCAL command. */
	bool is_repeated;
};

/* The i-th argument of a row; false when there are fewer. */
bool command_parameter(const struct command_row *row, size_t i,
	struct command_parameter *out);
/*
 * Whether name stands for a parameter: "max_msgs" for "--max-msgs", "client"
 * for "CLIENT|SENDER".
 */
bool command_parameter_is(const struct command_parameter *parameter,
	struct slice name);

/* The name of a parameter, such as "max_msgs". */
void command_parameter_name(const struct command_parameter *parameter,
	char *out, size_t size);

struct command_request {
	const struct command_row *row;
	/* By the number of the parameter; a flag has the value "". */
	bool is_given[COMMAND_ARGUMENTS_MAX];
	struct slice value[COMMAND_ARGUMENTS_MAX];
	/* Every value of the option that may be given several times. */
	struct slice repeated[COMMAND_REPEATED_MAX];
	size_t n_repeated;
};

/* The value of an argument that the row has; false when it was not given. */
bool command_argument(const struct command_request *request, const char *name,
	struct slice *out);
bool command_argument_is_given(const struct command_request *request,
	const char *name);
/* The value, or otherwise. */
struct slice command_argument_or(const struct command_request *request,
	const char *name, const char *otherwise);

/*
 * Reads the words of a command line, without options of policyctl itself.
 * "--name VALUE", "--name=VALUE" and "name=VALUE" say the same; what follows
 * "--" is no option. 0, or -1 and a sentence in err, which suggests the
 * nearest word. Everything in out points into words.
 */
int command_parse_words(const char *const *words, size_t n,
	struct command_request *out, char *err, size_t err_size);
/* Which command the first words name, and how many those are; or NULL. */
const struct command_row *command_find(const char *const *words, size_t n,
	size_t *n_used);

/*
 * Reads a request line (without its newline). 0, or -1 and a sentence in
 * err. Values are copied into the arena; they are well-formed UTF-8.
 */
int command_parse_line(struct arena *arena, struct slice line,
	struct command_request *out, char *err, size_t err_size);
/* Appends the line for a request, with its newline. */
void command_print_line(const struct command_request *request, struct str *out);

#endif
