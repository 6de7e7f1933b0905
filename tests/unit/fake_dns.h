#ifndef TESTS_UNIT_FAKE_DNS_H
#define TESTS_UNIT_FAKE_DNS_H

/*
 * In place of common/io/dns.c: questions that a test answers when it likes,
 * from a zone as in spf_world.h.
 */

#include "common/io/dns.h"
#include "tests/unit/spf_world.h"

/* What each question has to be asked with. */
#define FAKE_DNS_QUESTION_MS 1234
#define FAKE_DNS_PAYER       "registered.example"

/* All questions are forgotten. */
void fake_dns_begin(void);
size_t fake_dns_n_asked(void);
size_t fake_dns_n_waiting(void);
const char *fake_dns_name(size_t i);
enum dns_type fake_dns_type(size_t i);
/* Answers the i-th, as the loop would. */
void fake_dns_answer(size_t i, const char *zone);
/* All, and those that are asked thereupon. */
void fake_dns_answer_all(const char *zone);

#endif
