#include "policyd/request.h"

#include <string.h>

#include "common/base/num.h"
#include "policyd/config.h"

/* By enum attribute. */
static const struct slice names[ATTRIBUTE_COUNT] = {
#define ATTRIBUTE(name) [ATTRIBUTE_##name] = { #name, sizeof(#name) - 1 },
#include "policyd/attributes.def"
#undef ATTRIBUTE
};

static const struct {
	const char *name;
	enum stage stage;
} stages[] = {
	{ "CONNECT", STAGE_CONNECT },
	{ "HELO", STAGE_HELO },
	{ "EHLO", STAGE_HELO },
	{ "MAIL", STAGE_MAIL },
	{ "RCPT", STAGE_RCPT },
	{ "DATA", STAGE_DATA },
	{ "END-OF-MESSAGE", STAGE_END_OF_MESSAGE },
	{ "MESSAGE", STAGE_MESSAGE },
};

#define N_STAGES (sizeof(stages) / sizeof(stages[0]))

static void
store(struct request *req, struct slice name, struct slice value)
{
	/* Some 600 comparisons a request: most end at the length. */
	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
		if (names[i].len == name.len &&
			memcmp(names[i].ptr, name.ptr, name.len) == 0) {
			req->attribute[i] = value;
			return;
		}
	}
}

static int
read_lines(struct request *req, struct slice text, const char **err)
{
	struct slice line;

	while (slice_split(&text, '\n', &line)) {
		const ptrdiff_t at = slice_find(line, '=');

		if (line.len == 0)
			continue; /* behind the last line end */
		if (at < 0) {
			*err = "a line without \"=\"";
			return -1;
		}
		store(req, slice_part(line, 0, (size_t)at),
			slice_from(line, (size_t)at + 1));
	}
	return 0;
}

static enum stage
stage_parse(struct slice text)
{
	for (size_t i = 0; i < N_STAGES; i++)
		if (slice_case_eq(text, slice_of(stages[i].name)))
			return stages[i].stage;
	return STAGE_OTHER;
}

const char *
stage_name(enum stage stage)
{
	for (size_t i = 0; i < N_STAGES; i++)
		if (stages[i].stage == stage)
			return stages[i].name;
	return "OTHER";
}

static unsigned
rule_stages(const struct request *req)
{
	const bool is_milters = req->config->milter.end_of_message;

	if (req->stage == STAGE_END_OF_MESSAGE && is_milters)
		return 0;
	if (req->stage == STAGE_MESSAGE && is_milters)
		return STAGE_MESSAGE | STAGE_END_OF_MESSAGE;
	return req->stage;
}

static bool
is_trusted(const struct request *req)
{
	const struct config *config = req->config;

	if (req->client.family == IP_NONE)
		return false;
	return ip_is_loopback(&req->client) ||
	       networks_contain(config->mail.trusted_networks,
		       config->mail.n_trusted_networks, &req->client);
}

/* What is no number, or too large a one, is not worth refusing mail for. */
static uint64_t
read_number(struct slice text, uint64_t max)
{
	uint64_t number;

	if (text.len == 0)
		return 0;
	if (num_parse_u64(text, max, &number))
		return number;
	return num_parse_u64(slice_part(text, 0, 1), 9, &number) ? max : 0;
}

/* All addresses that an attribute gives, line by line. */
static const struct address *
read_addresses(struct request *req, enum attribute attribute, struct slice text,
	struct slice delimiters, size_t *n)
{
	struct address *out = NULL;
	struct slice line, name;
	size_t size = 0;

	for (struct slice rest = text; slice_split(&rest, '\n', &line);)
		size += slice_split(&line, '=', &name) &&
			slice_eq(name, names[attribute]);
	if (size > REQUEST_RECIPIENTS_MAX)
		size = REQUEST_RECIPIENTS_MAX;
	out = arena_new_array(req->arena, size, struct address);
	*n = 0;
	while (*n < size && slice_split(&text, '\n', &line))
		if (slice_split(&line, '=', &name) &&
			slice_eq(name, names[attribute]))
			out[(*n)++] =
				address_parse(req->arena, line, delimiters);
	return out;
}

static void
read_signatures(struct request *req, struct slice text)
{
	struct slice line, name;

	while (req->n_signatures < REQUEST_SIGNATURES_MAX &&
		slice_split(&text, '\n', &line))
		if (slice_split(&line, '=', &name) &&
			slice_eq(name, names[ATTRIBUTE_dkim]))
			req->signatures[req->n_signatures++] = line;
}

/* What a message has several of. */
static void
read_message(struct request *req, struct slice text)
{
	const struct slice delimiters =
		slice_of(req->config->mail.recipient_delimiters);

	req->recipients = read_addresses(req, ATTRIBUTE_recipient, text,
		delimiters, &req->n_recipients);
	req->authors = read_addresses(req, ATTRIBUTE_header_from, text,
		delimiters, &req->n_authors);
	read_signatures(req, text);
}

static void
interpret(struct request *req)
{
	const struct slice *attribute = req->attribute;
	const struct slice delimiters =
		slice_of(req->config->mail.recipient_delimiters);

	req->stage = stage_parse(attribute[ATTRIBUTE_protocol_state]);
	req->rule_stages = rule_stages(req);
	req->sender = address_parse(req->arena, attribute[ATTRIBUTE_sender],
		delimiters);
	req->recipient = address_parse(req->arena,
		attribute[ATTRIBUTE_recipient], delimiters);
	/* A login is a name, not an address: "+" has no meaning in it. */
	req->login = address_parse(req->arena,
		attribute[ATTRIBUTE_sasl_username], SLICE(""));
	if (!ip_parse(attribute[ATTRIBUTE_client_address], &req->client))
		req->client.family = IP_NONE;
	req->client_is_trusted = is_trusted(req);
	req->size_bytes =
		read_number(attribute[ATTRIBUTE_size], REQUEST_SIZE_MAX);
	req->recipient_count = (unsigned)read_number(
		attribute[ATTRIBUTE_recipient_count], 1000000);
	if (req->recipient.full.len > 0) {
		req->recipients = &req->recipient;
		req->n_recipients = 1;
	}
}

int
request_parse(struct request *req, struct arena *arena,
	const struct config *config, int64_t now, struct slice text,
	const char **err)
{
	memset(req, 0, sizeof(*req));
	req->arena = arena;
	req->config = config;
	req->now = now;
	if (slice_has_byte(text, '\0')) {
		*err = "a NUL byte";
		return -1;
	}
	text = slice_copy(arena, text);
	if (read_lines(req, text, err) < 0)
		return -1;
	if (!slice_eq(req->attribute[ATTRIBUTE_request],
		    SLICE("smtpd_access_policy"))) {
		*err = "no request=smtpd_access_policy";
		return -1;
	}
	if (req->attribute[ATTRIBUTE_protocol_state].len == 0) {
		*err = "no protocol_state";
		return -1;
	}
	interpret(req);
	if (req->stage == STAGE_MESSAGE)
		read_message(req, text);
	return 0;
}

bool
request_is_authenticated(const struct request *req)
{
	return req->login.full.len > 0;
}

const struct address *
request_other_author(const struct request *req)
{
	for (size_t i = 0; i < req->n_authors; i++)
		if (!slice_eq(req->authors[i].full, req->login.full) &&
			!slice_eq(req->authors[i].bare, req->login.full))
			return &req->authors[i];
	return NULL;
}

const struct address *
request_party(const struct request *req)
{
	if (request_is_authenticated(req))
		return &req->login;
	if (req->n_recipients > 0)
		return &req->recipients[0];
	return &req->recipient;
}
