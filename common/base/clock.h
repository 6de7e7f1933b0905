#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

/*
 * The two clocks. Nothing else in the program asks the system for the time,
 * so that the test programs can link tests/clock.c instead and turn it.
 */

#include <stdint.h>

/* Seconds since 1970-01-01 00:00 UTC: what is stored in tables. */
int64_t clock_wall(void);
/* The same in microseconds: what is written into logs. */
int64_t clock_wall_us(void);
/* Microseconds of a clock that never goes back: for deadlines. */
int64_t clock_monotonic_us(void);

#endif
