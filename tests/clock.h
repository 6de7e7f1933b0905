#ifndef TESTS_CLOCK_H
#define TESTS_CLOCK_H

/*
 * Turning the clock inside a test program that links tests/clock.c. From
 * outside it is turned through the file POLICYD_TEST_CLOCK names, which then
 * is the only offset that counts.
 */

#include <stdint.h>

/* Both clocks of clock.h run this many seconds ahead from now on. */
void test_clock_set(int64_t seconds);

#endif
