#ifndef COMMON_MAIL_SPF_PRIVATE_H
#define COMMON_MAIL_SPF_PRIVATE_H

/*
 * Of spf.c, which judges, and spf_ask.c, which knows what was asked and what
 * names stand for; spf_networks.c has questions of its own.
 */

#include "common/mail/spf.h"
#include "common/mail/spf_macro.h"

struct spf {
	struct arena *arena;
	struct spf_input input;
	struct spf_question questions[SPF_QUESTIONS_MAX];
	size_t n_questions;
	/* The names of the client, for "ptr" and %{p}: asked for once. */
	struct spf_question ptr, ptr_hosts[SPF_NAMES_MAX];
	size_t n_ptr_hosts;
	bool wants_ptr;
	bool has_used_local;
	bool is_unexplained; /* there is a result, but for its explanation */
	struct spf_outcome unexplained;
	/* Of this run: */
	struct spf_progress progress;
	struct slice problem;
};

/* One domain whose record is evaluated; include and redirect nest. */
struct spf_host {
	struct slice domain;
	struct spf_question *question; /* whose answer is the record */
};

/* The next of them that was not given out yet; NULL: there is none. */
struct spf_question *spf_give_out(struct spf_question *questions, size_t n);
void spf_question_answer(struct arena *arena, struct spf_question *question,
	const struct dns_answer *answer);

/*
 * Asks for the addresses of a host that an answer names, or finds what an
 * earlier run asked at this place.
 */
struct spf_question *spf_ask_host(struct spf *spf, struct slice name);
/*
 * Asks for the name that a domain-spec stands for, without one for the
 * domain's own. False when the answer is not here; *out is NULL when no name
 * can be meant.
 */
bool spf_ask_target(struct spf *spf, const struct spf_host *host,
	struct slice spec, enum dns_type type, struct spf_question **out);
bool spf_is_answered(const struct spf_question *question);
/* A or AAAA, as the client's address is. */
enum dns_type spf_address_type(const struct spf *spf);
/* Whether the client is in one of the networks around the addresses. */
bool spf_names_client(const struct spf *spf,
	const struct spf_question *question, unsigned prefix_length);

/* 5.5: false while the client's names, and where they lead, are not here. */
bool spf_has_client_names(struct spf *spf);
/*
 * A name of the client that leads back to it: the domain itself, else one
 * within the domain, else, if it may be any, the first; "" if there is none.
 */
struct slice spf_client_name(const struct spf *spf, struct slice domain,
	bool may_be_any);

/* RFC 8616, 4: a local part that is not ASCII cannot be a label. */
bool spf_matches_nothing(struct spf *spf, struct slice text);
/* What the macros of a text stand for. False when %{p} is not here yet. */
bool spf_find_values(struct spf *spf, const struct spf_host *host,
	struct slice text, struct spf_macro_values *out);
/* The name that a domain-spec stands for; the domain's own without one. */
bool spf_find_name(struct spf *spf, const struct spf_host *host,
	struct slice spec, struct slice *out);

#endif
