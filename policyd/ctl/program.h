#ifndef POLICYD_CTL_PROGRAM_H
#define POLICYD_CTL_PROGRAM_H

/*
 * Runs another program and reads what it prints: no shell, no input, a bound
 * on its output and on its time.
 */

#include <stdint.h>

#include "common/base/str.h"

enum program_end {
	PROGRAM_DONE,    /* it ended with 0 */
	PROGRAM_FAILED,  /* it ended otherwise, or could not be run */
	PROGRAM_MISSING, /* there is no such program */
	PROGRAM_LATE,    /* it was killed at the end of its time */
	PROGRAM_LONG,    /* it was killed when its output did not fit */
};

/*
 * argv ends with NULL; argv[0] is looked for in PATH unless it has a slash.
 * What it prints is appended to *out, and to *err up to its limit.
 */
enum program_end program_run(const char *const *argv, uint64_t timeout_ms,
	struct str *out, struct str *err);

#endif
