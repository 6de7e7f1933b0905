#ifndef TESTS_UNIT_FAKE_MILTER_H
#define TESTS_UNIT_FAKE_MILTER_H

/*
 * In place of the event loop of the milter: what a session asks for is written
 * down, and answered at once with what the test says, or not at all.
 */

#include "milter/facts_message.h"

struct fake_milter {
	/* the answers */
	struct milter_settings settings;
	bool is_admitted, is_trusted;
	bool is_answered; /* questions to the DNS */
	enum spf_result result;
	enum dmarc_result dmarc; /* of a record p=reject */
	const char *record;      /* of each key; NULL: there is none */
	/* Keys; their domain is the one that is asked for. */
	bool has_keys, are_keys_late, are_keys_failed;
	const struct crypto_key *rsa, *ed25519; /* NULL: they do not work */
	const char *answer;                     /* of the rules; "" for none */
	/* what happened */
	char asked[1024];         /* "helo sender; ", "client; ", and so on */
	unsigned n_open;          /* calls that were not released */
	unsigned n_taken_back;    /* released without an answer */
	struct facts_report told; /* the last report */
	unsigned n_told;
	/* The last about a message: valid until that is over. */
	struct facts_message_question question;
	char more[2048]; /* of it, cut; question.more is gone */
	unsigned n_questions;
};

extern struct fake_milter fake_milter;

/* A stranger who passes; nothing has happened. */
void fake_milter_begin(void);

#endif
