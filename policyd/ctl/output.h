#ifndef POLICYD_CTL_OUTPUT_H
#define POLICYD_CTL_OUTPUT_H

/*
 * What policyctl prints: the parts of a reply (commands/reply.h), for people
 * as tables and sentences, or as JSON. Texts come from mail and from others'
 * tables: whatever could change a terminal is made visible first.
 */

#include <stdbool.h>
#include <stdio.h>

#include "common/base/str.h"

struct json;

struct output {
	bool is_json;
	bool is_stream; /* each part is printed at once, on its own */
	bool has_color;
	/* The rest is output.c's. */
	struct str json; /* what --json will print */
	bool has_member, is_array, has_printed;
	size_t n_decisions, n_rates;
};

/* Colour when stdout is a terminal and NO_COLOR (no-color.org) is unset. */
void output_init(struct output *output, bool is_json, bool is_stream);
void output_free(struct output *output);
/*
 * Takes one line of a reply. True when it was the last, with *exit. A line
 * that is no part of a reply counts as the last.
 */
bool output_line(struct output *output, struct slice line, int *exit);
/* Says what went wrong here, not in the daemon. */
void output_error(struct output *output, int exit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- for the files output_*.c ------------------------------------------- */

enum output_color { COLOR_NONE, COLOR_BOLD, COLOR_GOOD, COLOR_WARN, COLOR_BAD };

/* The escape sequence, or "" without colour. */
const char *output_color(const struct output *output, enum output_color color);
const char *output_color_end(const struct output *output,
	enum output_color color);
/* Appends text in which no byte means anything to a terminal. */
void output_append_safe(struct str *out, struct slice text);
/* Appends a value of a type of reply.h as people see it. */
void output_append_value(struct str *out, struct slice type,
	const struct json *value);
enum output_color output_value_color(struct slice type,
	const struct json *value);
void output_table(struct output *output, const struct json *part);
void output_fields(struct output *output, const struct json *part);
/* One decision in full, and as one line of "tail". */
void output_decision(struct output *output, const struct json *decision);
void output_decision_line(struct output *output, const struct json *decision);

#endif
