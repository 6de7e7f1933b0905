#ifndef COMMON_BASE_NUM_H
#define COMMON_BASE_NUM_H

/*
 * Numbers from text and back. The only place that turns digits into
 * integers; every function takes the whole slice or nothing and knows no
 * locale and no leading blanks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

/* Decimal digits only, at most max. */
bool num_parse_u64(struct slice text, uint64_t max, uint64_t *out);
/* The same with an optional leading minus. */
bool num_parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out);
/*
 * A duration such as 500ms, 5s, 15m, 12h, 30d, 2w into milliseconds; a bare
 * number has the unit unit_ms. At most max_ms.
 */
bool num_parse_duration(struct slice text, uint64_t unit_ms, uint64_t max_ms,
	uint64_t *out_ms);
/* A size such as 4096, 64K, 10M, 2G (powers of 1024), an optional B after. */
bool num_parse_size(struct slice text, uint64_t max, uint64_t *out_bytes);
/* The shortest exact form: 90000 -> "90s", 5400000 -> "90m". */
void num_append_duration(struct str *out, uint64_t ms);
/* For people: 1536 -> "1.5K". */
void num_append_size(struct str *out, uint64_t bytes);
/* What num_parse_size() reads back: 1536 -> "1536", 65536 -> "64K". */
void num_append_exact_size(struct str *out, uint64_t bytes);

#endif
