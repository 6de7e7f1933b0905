#ifndef POLICYD_CTL_PYTHON_LITERALS_H
#define POLICYD_CTL_PYTHON_LITERALS_H

/*
 * Assignments of literals in a file of Python, read without running it: the
 * settings files of other programs. Understood are "NAME = value",
 * "NAME: type = value" and "NAME += value", where a value is a text (of any
 * quotes, prefixes r, b and u, texts side by side), a number, True, False,
 * None, or a list, tuple, set or dictionary of such. Everything else is
 * handed out as a statement that is not understood, with its line and a
 * reason, so that nothing is passed over in silence.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

/* The bounds of a file; what exceeds one is an error. */
#define PYTHON_FILE_MAX       ((size_t)1 << 20)
#define PYTHON_DEPTH_MAX      16
#define PYTHON_VALUES_MAX     20000
#define PYTHON_STATEMENTS_MAX 5000

enum python_type {
	PYTHON_NONE,
	PYTHON_BOOL,
	PYTHON_INT,
	PYTHON_FLOAT,
	PYTHON_TEXT,
	PYTHON_LIST, /* a tuple or a set, too */
	PYTHON_DICT, /* keys and values in turn */
};

struct python_value {
	enum python_type type;
	int64_t number;    /* of a bool or an int */
	double real;       /* of an int or a float */
	struct slice text; /* UTF-8 without NUL */
	struct python_value *items;
	size_t n;
};

enum python_kind {
	PYTHON_SET,    /* NAME = value */
	PYTHON_ADD,    /* NAME += value */
	PYTHON_IMPORT, /* from libs.default_settings import * */
	PYTHON_OTHER,  /* not understood: why says the reason */
};

struct python_statement {
	enum python_kind kind;
	unsigned line;
	struct slice name; /* "" when none is assigned to */
	struct python_value value;
	const char *why;
	struct slice module; /* of an import */
};

struct python_file {
	struct python_statement *statements;
	size_t n;
};

/*
 * Reads a file. All is copied into the arena, which must bear some 8 MiB.
 * False, and what is wrong in *err, when a bound is exceeded.
 */
bool python_read(struct arena *arena, struct slice text,
	struct python_file *out, const char **err);
/* Appends a value as Python writes it. */
void python_print(const struct python_value *value, struct str *out);

#endif
