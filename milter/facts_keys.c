#include "milter/facts_keys.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/lru.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "milter/policy_client.h"

#define QUESTION_MAX ((size_t)512)
/* Time between two warnings that keys are not to be had. */
#define WARNING_US (60 * (int64_t)1000000)
/*
 * A policy process that has just begun does not know its tables yet and says
 * so: it is asked again, so often and for so long.
 */
#define AGAIN_MS     100u
#define AGAIN_FOR_US (2 * (int64_t)1000000)

/* A key by its text; where it is used it is counted. */
struct parsed {
	unsigned n_refs;
	struct crypto_key *key; /* NULL: nobody has read it yet */
	bool is_broken;         /* and that was told */
};

/* One answer. It does not change, but for the keys that were read. */
struct key_set {
	unsigned n_refs;
	int64_t until_us; /* when it is too old to be given to anybody */
	struct {
		char *domain, *selector;
		char *pem;
		size_t pem_len;
		struct parsed *parsed;
	} keys[SIGNING_KEYS_MAX];
	size_t n;
};

/* For all who want to know the same. */
struct keys_question {
	struct milter_keys *keys;
	char domain[KEYS_DOMAIN_MAX + 1];
	struct policy_question *asked; /* NULL: it is asked again */
	struct loop_timer *again;
	int64_t again_until_us;
	struct facts_keys *first; /* who waits */
};

struct milter_keys {
	struct loop *loop;
	struct policy_client *client;
	uint64_t ttl_ms, timeout_ms;
	struct lru *sets;      /* of struct key_set, by domain */
	struct lru *parsed;    /* of struct parsed, by the hash of its text */
	struct map *questions; /* of struct keys_question, by domain */
	int64_t warned_us;     /* 0: not yet */
};

/* --- what is remembered ------------------------------------------------- */

static void
unref_parsed(void *value)
{
	struct parsed *parsed = value;

	if (--parsed->n_refs > 0)
		return;
	crypto_key_free(parsed->key);
	x_free(parsed);
}

static void
unref_set(void *value)
{
	struct key_set *set = value;

	if (set == NULL || --set->n_refs > 0)
		return;
	for (size_t i = 0; i < set->n; i++) {
		x_free(set->keys[i].domain);
		x_free(set->keys[i].selector);
		x_free_secret(set->keys[i].pem, set->keys[i].pem_len);
		unref_parsed(set->keys[i].parsed);
	}
	x_free(set);
}

/* A reference to what is, or will be, read from this text. */
static struct parsed *
parsed_of(struct milter_keys *keys, struct slice pem)
{
	const struct hash128 hash = hash_u128(pem);
	const struct slice key = { (const char *)&hash, sizeof(hash) };
	struct parsed *parsed = lru_get(keys->parsed, key);

	if (parsed == NULL) {
		parsed = x_new(struct parsed);
		parsed->n_refs = 1;
		lru_put(keys->parsed, key, parsed);
	}
	parsed->n_refs++;
	return parsed;
}

static struct key_set *
find_set(struct milter_keys *keys, struct slice domain)
{
	struct key_set *set = lru_get(keys->sets, domain);

	if (set == NULL || set->until_us <= clock_monotonic_us())
		return NULL;
	return set;
}

/* Takes the reference over. What is too old goes: it is secret. */
static void
remember(struct milter_keys *keys, struct slice domain, struct key_set *set)
{
	const int64_t now_us = clock_monotonic_us();
	const struct key_set *oldest;

	set->until_us = now_us + (int64_t)keys->ttl_ms * 1000;
	lru_put(keys->sets, domain, set);
	while ((oldest = lru_oldest(keys->sets)) != NULL &&
		oldest->until_us <= now_us)
		lru_remove_oldest(keys->sets);
}

/* --- answers ------------------------------------------------------------ */

static void
warn(struct milter_keys *keys, struct slice domain, struct slice why)
{
	const int64_t now_us = clock_monotonic_us();

	metric_add(METRIC_DKIM_KEYS_FAILED, 1);
	if (keys->warned_us != 0 && now_us < keys->warned_us + WARNING_US)
		return;
	keys->warned_us = now_us;
	log_warning("the DKIM keys of %.*s are not to be had: %.*s",
		SLICE_ARG(domain), SLICE_ARG(why));
}

/* "DOMAIN SELECTOR BASE64" */
static bool
add_key(struct milter_keys *keys, struct key_set *set, struct slice line)
{
	struct slice domain, selector, text;
	char *pem;
	size_t len;

	if (set->n == SIGNING_KEYS_MAX || !slice_split(&line, ' ', &domain) ||
		!slice_split(&line, ' ', &selector) ||
		!slice_split(&line, ' ', &text) || line.ptr != NULL ||
		domain.len == 0 || selector.len == 0)
		return false;
	pem = x_new_array(CRYPTO_PEM_MAX, char);
	if (!crypto_unbase64(text, pem, CRYPTO_PEM_MAX, &len) || len == 0) {
		x_free_secret(pem, CRYPTO_PEM_MAX);
		return false;
	}
	set->keys[set->n].domain = slice_strdup(domain);
	set->keys[set->n].selector = slice_strdup(selector);
	set->keys[set->n].pem = slice_strdup((struct slice){ pem, len });
	set->keys[set->n].pem_len = len;
	set->keys[set->n].parsed = parsed_of(keys, (struct slice){ pem, len });
	set->n++;
	x_free_secret(pem, CRYPTO_PEM_MAX);
	return true;
}

static bool
read_line(struct milter_keys *keys, struct key_set *set, struct slice line,
	struct slice *why)
{
	struct slice name;

	if (!slice_split(&line, '=', &name))
		return true;
	if (slice_eq_text(name, "error")) {
		*why = line;
		return false;
	}
	*why = SLICE("the answer is malformed");
	/* Names that are not known are of a later version. */
	return !slice_eq_text(name, "key") || add_key(keys, set, line);
}

/* NULL and *why: it does not say which keys there are. */
static struct key_set *
read_answer(struct milter_keys *keys, struct slice answer, struct slice *why)
{
	struct key_set *set = x_new(struct key_set);
	struct slice line;

	set->n_refs = 1;
	while (slice_split(&answer, '\n', &line)) {
		if (read_line(keys, set, line, why))
			continue;
		unref_set(set);
		return NULL;
	}
	return set;
}

/* set: NULL if it is not known. */
static void
answer(struct facts_keys *call, struct key_set *set)
{
	call->answer.is_known = set != NULL;
	call->set = set;
	if (set != NULL) {
		set->n_refs++;
		call->answer.n = set->n;
		for (size_t i = 0; i < set->n; i++)
			call->answer.keys[i] = (struct signing_key){
				slice_of(set->keys[i].domain),
				slice_of(set->keys[i].selector),
				set->keys[i].parsed->key
			};
	}
	bridge_answer(&call->call);
}

const struct signing_keys *
facts_keys_read(struct facts_keys *call)
{
	for (size_t i = 0; i < call->answer.n; i++) {
		struct signing_key *key = &call->answer.keys[i];
		const struct slice pem = { call->set->keys[i].pem,
			call->set->keys[i].pem_len };

		if (key->key != NULL)
			continue;
		call->made[i] = crypto_key_read(pem, &call->err[i]);
		key->key = call->made[i];
	}
	return &call->answer;
}

/* --- questions ---------------------------------------------------------- */

static void
free_question(struct keys_question *question)
{
	(void)map_remove(question->keys->questions, slice_of(question->domain));
	loop_timer_free(question->again);
	x_free(question);
}

/* set: NULL if it is not known. */
static void
answer_all(struct keys_question *question, struct key_set *set)
{
	struct facts_keys *call = question->first, *next;

	for (; call != NULL; call = next) {
		next = call->next;
		call->question = NULL;
		answer(call, set);
	}
	if (set != NULL)
		remember(question->keys, slice_of(question->domain), set);
	free_question(question);
}

static void
on_answer(void *arg, bool is_answered, struct slice text)
{
	struct keys_question *question = arg;
	struct slice why = SLICE("no policy process has answered");
	struct key_set *set = NULL;

	question->asked = NULL;
	if (is_answered)
		set = read_answer(question->keys, text, &why);
	if (set == NULL && is_answered &&
		clock_monotonic_us() < question->again_until_us) {
		loop_timer_set(question->again, AGAIN_MS);
		return;
	}
	if (set == NULL)
		warn(question->keys, slice_of(question->domain), why);
	answer_all(question, set);
}

static void
send_question(void *arg)
{
	struct keys_question *question = arg;
	const struct milter_keys *keys = question->keys;
	struct str text;

	str_init(&text, QUESTION_MAX);
	str_printf(&text, "request=dkim_keys\ndomain=%s\n", question->domain);
	question->asked = policy_client_ask(keys->client, str_slice(&text),
		keys->timeout_ms, on_answer, question);
	str_free(&text);
}

static struct keys_question *
ask(struct milter_keys *keys, struct slice domain)
{
	struct keys_question *question = x_new(struct keys_question);

	question->keys = keys;
	memcpy(question->domain, domain.ptr, domain.len);
	question->again = loop_timer_new(keys->loop, send_question, question);
	question->again_until_us = clock_monotonic_us() + AGAIN_FOR_US;
	(void)map_put(keys->questions, domain, question);
	send_question(question);
	metric_add(METRIC_DKIM_KEYS_ASKED, 1);
	return question;
}

static void
begin(struct bridge_call *begun)
{
	struct facts_keys *call = (struct facts_keys *)begun;
	struct milter_keys *keys = call->keys;
	const struct slice domain = slice_of(call->domain);
	struct key_set *set = find_set(keys, domain);

	if (set != NULL) {
		metric_add(METRIC_DKIM_KEYS_FROM_MEMORY, 1);
		answer(call, set);
		return;
	}
	call->question = map_get(keys->questions, domain);
	if (call->question == NULL)
		call->question = ask(keys, domain);
	call->next = call->question->first;
	call->question->first = call;
}

/* The last one takes the question back. */
static void
leave(struct facts_keys *call)
{
	struct keys_question *question = call->question;
	struct facts_keys **at = &question->first;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (question->first != NULL)
		return;
	policy_question_cancel(question->asked);
	free_question(question);
}

/* What the thread has read is for those who come. */
static void
give(struct facts_keys *call, size_t i)
{
	struct parsed *parsed = call->set->keys[i].parsed;

	if (call->made[i] != NULL) {
		metric_add(METRIC_DKIM_KEYS_READ, 1);
		if (parsed->key == NULL)
			parsed->key = call->made[i];
		else
			crypto_key_free(call->made[i]);
	} else if (call->err[i] != NULL && !parsed->is_broken) {
		parsed->is_broken = true;
		log_error("the DKIM key %s of %s cannot be used: %s",
			call->set->keys[i].selector, call->set->keys[i].domain,
			call->err[i]);
	}
}

static void
end(struct bridge_call *ended)
{
	struct facts_keys *call = (struct facts_keys *)ended;

	if (call->question != NULL)
		leave(call);
	for (size_t i = 0; i < call->answer.n; i++)
		give(call, i);
	unref_set(call->set);
	x_free(call);
}

struct facts_keys *
milter_keys_ask(struct milter_keys *keys, struct slice domain)
{
	static const struct bridge_kind kind = { begin, end };
	struct facts_keys *call = x_new(struct facts_keys);

	assert(domain.len <= KEYS_DOMAIN_MAX);
	call->keys = keys;
	memcpy(call->domain, domain.ptr, domain.len);
	bridge_ask(&call->call, &kind, keys->loop);
	return call;
}

/* --- making and unmaking ------------------------------------------------ */

struct milter_keys *
milter_keys_new(struct loop *loop, struct policy_client *client)
{
	struct milter_keys *keys = x_new(struct milter_keys);

	keys->loop = loop;
	keys->client = client;
	keys->sets = lru_new(KEYS_DOMAINS_MAX, unref_set);
	keys->parsed = lru_new(KEYS_PARSED_MAX, unref_parsed);
	keys->questions = map_new();
	return keys;
}

void
milter_keys_configure(struct milter_keys *keys, uint64_t ttl_ms,
	uint64_t timeout_ms)
{
	keys->ttl_ms = ttl_ms;
	keys->timeout_ms = timeout_ms;
}

void
milter_keys_free(struct milter_keys *keys)
{
	if (keys == NULL)
		return;
	assert(map_count(keys->questions) == 0);
	map_free(keys->questions, NULL);
	lru_free(keys->sets);
	lru_free(keys->parsed);
	x_free(keys);
}
