/*
 * How values of iRedAPD's settings become values of policyd's: one function
 * for each kind.
 */

#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/ip.h"
#include "policyd/config.h"
#include "policyd/ctl/iredapd_planner.h"

#define SECRETS_MAX 32768

/* --- values ------------------------------------------------------------- */

bool
python_is_text(const struct python_value *value)
{
	return value != NULL && value->type == PYTHON_TEXT &&
	       value->text.len > 0;
}

static bool
is_true(const struct python_value *value)
{
	return value != NULL &&
	       ((value->type == PYTHON_BOOL || value->type == PYTHON_INT)
			       ? value->number != 0
			       : python_is_text(value));
}

/* Also a number that is written as a text, as iRedMail does for ports. */
static bool
read_number(const struct python_value *value, uint64_t *out)
{
	if (value->type == PYTHON_TEXT)
		return num_parse_u64(value->text, UINT32_MAX, out);
	*out = (uint64_t)value->number;
	return value->type == PYTHON_INT && value->number >= 0 &&
	       value->number <= UINT32_MAX;
}

void
planner_expect(struct planner *planner, const char *what)
{
	planner_note(planner, SETTING_BY_HAND, "it is not %s", what);
}

static void
note_change(struct planner *planner, const struct mapping *mapping)
{
	if (mapping->reason != NULL)
		planner_note(planner, SETTING_CHANGED, "%s", mapping->reason);
}

void
carry_bool(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (value->type != PYTHON_BOOL && value->type != PYTHON_INT) {
		planner_expect(planner, "True or False");
		return;
	}
	planner_set(planner, mapping->section, mapping->key, "%s",
		is_true(value) ? "yes" : "no");
	note_change(planner, mapping);
}

void
carry_text(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (value->type != PYTHON_TEXT) {
		planner_expect(planner, "a text");
		return;
	}
	planner_set(planner, mapping->section, mapping->key, "%.*s",
		SLICE_ARG(value->text));
	note_change(planner, mapping);
}

static void
carry_amount(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value, const char *unit)
{
	uint64_t number;

	if (!read_number(value, &number)) {
		planner_expect(planner, "a whole number");
		return;
	}
	planner_set(planner, mapping->section, mapping->key, "%llu%s",
		(unsigned long long)number, unit);
	note_change(planner, mapping);
}

void
carry_number(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	carry_amount(planner, mapping, value, "");
}

void
carry_minutes(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	carry_amount(planner, mapping, value, "m");
}

void
carry_days(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	carry_amount(planner, mapping, value, "d");
}

void
carry_seconds(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if ((value->type != PYTHON_INT && value->type != PYTHON_FLOAT) ||
		value->real < 0 || value->real > UINT32_MAX)
		planner_expect(planner, "a time in seconds");
	else
		planner_set(planner, mapping->section, mapping->key, "%llums",
			(unsigned long long)(value->real * 1000));
}

/* The texts of a list, or of a single text. */
struct slice *
planner_read_list(struct planner *planner, const struct python_value *value,
	size_t *n)
{
	struct slice *items =
		arena_new_array(planner->arena, value->n + 1, struct slice);

	*n = 0;
	if (python_is_text(value))
		items[(*n)++] = value->text;
	for (size_t i = 0; i < value->n && value->type == PYTHON_LIST; i++) {
		if (python_is_text(&value->items[i]))
			items[(*n)++] = value->items[i].text;
		else
			planner_note(planner, SETTING_BY_HAND,
				"an item of its list is not a text");
	}
	return items;
}

void
carry_list(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	struct slice *items;
	size_t n;

	if (value->type != PYTHON_LIST && value->type != PYTHON_TEXT) {
		planner_expect(planner, "a list");
		return;
	}
	items = planner_read_list(planner, value, &n);
	planner_set_list(planner, mapping->section, mapping->key, items, n);
	note_change(planner, mapping);
}

/* --- sockets, accounts, log --------------------------------------------- */

/* listen_address, which all sockets share. */
static struct slice
listen_host(const struct planner *planner)
{
	const struct python_value *address =
		planner_find(planner, "listen_address");

	if (address == NULL || address->type != PYTHON_TEXT ||
		slice_eq_text(address->text, "localhost"))
		return SLICE("127.0.0.1");
	return address->text.len == 0 ? SLICE("0.0.0.0") : address->text;
}

/* listen_address and listen_port are one setting here. */
void
carry_listen(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	const struct python_value *port = planner_find(planner, "listen_port");
	uint64_t number = 7777;

	(void)value;
	if (port != NULL && !read_number(port, &number))
		planner_expect(planner, "a whole number");
	else
		planner_set(planner, mapping->section, mapping->key,
			"inet:%.*s:%llu", SLICE_ARG(listen_host(planner)),
			(unsigned long long)number);
}

void
carry_backend(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	(void)mapping;
	if (python_is_text(value) && slice_eq_text(value->text, "mysql"))
		planner_note(planner, SETTING_CARRIED,
			"policyd always uses MariaDB");
	else
		planner_note(planner, SETTING_BY_HAND,
			"policyd knows MariaDB only, not this backend");
}

void
carry_syslog_server(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (python_is_text(value) && value->text.ptr[0] == '/')
		planner_set(planner, mapping->section, mapping->key, "syslog");
	else
		planner_note(planner, SETTING_DROPPED,
			"policyd logs to the local syslog, which can pass "
			"lines on to another host");
}

/* One line of a file, which an empty password does not need. */
static bool
is_one_line(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return true;
}

/* Of Sender Score, as a list in the DNS. */
void
carry_score(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	uint64_t number;

	if (!read_number(value, &number) || number > 100)
		planner_expect(planner, "a number from 0 to 100");
	else
		planner_set(planner, mapping->section, mapping->key,
			PLANNER_SCORE_LIST("%llu"), (unsigned long long)number);
}

/* --- SRS ---------------------------------------------------------------- */

static bool
has_srs(const struct planner *planner)
{
	const struct python_value *secrets =
		planner_find(planner, "srs_secrets");

	return python_is_text(planner_find(planner, "srs_domain")) &&
	       secrets != NULL && secrets->type == PYTHON_LIST &&
	       secrets->n > 0;
}

#define NO_SRS "iRedAPD rewrites nothing without srs_domain and srs_secrets"

void
carry_srs_port(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	uint64_t number;

	if (!read_number(value, &number))
		planner_expect(planner, "a whole number");
	else
		planner_set(planner, mapping->section, mapping->key,
			"inet:%.*s:%llu", SLICE_ARG(listen_host(planner)),
			(unsigned long long)number);
}

void
carry_srs_domain(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (has_srs(planner))
		carry_text(planner, mapping, value);
	else
		planner_note(planner, SETTING_DROPPED, NO_SRS);
}

/* The first one signs, there and here. */
void
carry_srs_secrets(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	struct slice *items;
	struct str text;
	size_t n, n_taken = 0;

	if (!has_srs(planner)) {
		planner_note(planner, SETTING_DROPPED, NO_SRS);
		return;
	}
	items = planner_read_list(planner, value, &n);
	str_init(&text, SECRETS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *problem =
			config_srs_secret_problem(items[i], n_taken);

		if (problem != NULL) {
			planner_note(planner, SETTING_BY_HAND, "one of them %s",
				problem);
			continue;
		}
		str_printf(&text, "%s%.*s", n_taken++ > 0 ? "\n" : "",
			SLICE_ARG(items[i]));
	}
	planner_secret(planner, mapping->section, mapping->key, "srs.secrets",
		slice_copy(planner->arena, str_slice(&text)));
	str_free(&text);
}

/* --- networks ----------------------------------------------------------- */

/*
 * "a.b.c.*" as a network; with wide also "a.b.*.*" and "a.*.*.*". iRedAPD
 * matches those only with ENABLE_ALL_WILDCARD_IP. What has a number behind a
 * star is no network, and "*.*.*.*" would trust everybody.
 */
static const char *
wildcard_network(struct planner *planner, struct slice text, bool is_wide)
{
	struct slice rest = text, part, parts[4];
	unsigned n = 0, n_stars = 0;
	uint64_t number;

	while (slice_split(&rest, '.', &part)) {
		if (n == 4)
			return NULL;
		if (slice_eq_text(part, "*"))
			n_stars++;
		else if (n_stars > 0 || !num_parse_u64(part, 255, &number))
			return NULL;
		parts[n++] = slice_eq_text(part, "*") ? SLICE("0") : part;
	}
	if (n != 4 || n_stars == 0 || n_stars > (is_wide ? 3 : 1))
		return NULL;
	return arena_printf(planner->arena, "%.*s.%.*s.%.*s.%.*s/%u",
		SLICE_ARG(parts[0]), SLICE_ARG(parts[1]), SLICE_ARG(parts[2]),
		SLICE_ARG(parts[3]), 32 - 8 * n_stars);
}

/* False when it cannot be carried, which is noted. */
static bool
read_network(struct planner *planner, struct slice text, struct slice *out)
{
	char formatted[NETWORK_TEXT_MAX];
	const char *of_wildcard = wildcard_network(planner, text,
		is_true(planner_find(planner, "ENABLE_ALL_WILDCARD_IP")));
	struct network network;
	bool had_host_bits;

	if (!network_parse(of_wildcard != NULL ? slice_of(of_wildcard) : text,
		    &network, &had_host_bits)) {
		planner_note(planner, SETTING_BY_HAND,
			"%.*s is not an address or a network", SLICE_ARG(text));
		return false;
	}
	*out = slice_copy(planner->arena,
		slice_of(network_format(&network, formatted)));
	if (had_host_bits)
		planner_note(planner, SETTING_CHANGED,
			"iRedAPD ignores %.*s, which has bits set behind its "
			"prefix; here %.*s is trusted",
			SLICE_ARG(text), SLICE_ARG(*out));
	return true;
}

void
carry_networks(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	struct slice *items;
	size_t n, n_kept = 0;

	if (value->type != PYTHON_LIST) {
		planner_expect(planner, "a list");
		return;
	}
	items = planner_read_list(planner, value, &n);
	for (size_t i = 0; i < n; i++)
		if (read_network(planner, items[i], &items[n_kept]))
			n_kept++;
	planner_set_list(planner, mapping->section, mapping->key, items,
		n_kept);
}

void
carry_delimiters(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	struct slice *items;
	struct str text;
	size_t n;

	if (value->type != PYTHON_LIST && value->type != PYTHON_TEXT) {
		planner_expect(planner, "a list");
		return;
	}
	items = planner_read_list(planner, value, &n);
	str_init(&text, 64);
	for (size_t i = 0; i < n; i++) {
		if (items[i].len == 1)
			str_append_slice(&text, items[i]);
		else
			planner_note(planner, SETTING_BY_HAND,
				"\"%.*s\" is not one character",
				SLICE_ARG(items[i]));
	}
	planner_set(planner, mapping->section, mapping->key, "%s",
		str_text(&text));
	str_free(&text);
}

void
carry_wildcards(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	static const char *const sections[] = { "greylisting", "throttle",
		"amavisd_wblist" };
	struct mapping one = *mapping;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		one.section = sections[i];
		one.key = "all_wildcard_ips";
		if (planner_knows(planner, one.section, one.key))
			carry_bool(planner, &one, value);
	}
}

/* --- databases ---------------------------------------------------------- */

void
carry_db_server(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (!python_is_text(value)) {
		planner_expect(planner, "the name of a server");
	} else if (value->text.ptr[0] == '/') {
		planner_set(planner, mapping->section, "socket", "%.*s",
			SLICE_ARG(value->text));
	} else if (slice_eq_text(value->text, "localhost")) {
		planner_set(planner, mapping->section, "host", "127.0.0.1");
		planner_note(planner, SETTING_CHANGED,
			"iRedAPD's driver means TCP by it, policyd's would "
			"mean the socket");
	} else {
		planner_set(planner, mapping->section, "host", "%.*s",
			SLICE_ARG(value->text));
	}
}

void
carry_db_tls(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	planner_set(planner, mapping->section, mapping->key, "%s",
		is_true(value) ? "on" : "off");
}

void
carry_secret(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (value->type != PYTHON_TEXT)
		planner_expect(planner, "a text");
	else if (!is_one_line(value->text))
		planner_note(planner, SETTING_BY_HAND,
			"it does not fit on a line");
	else
		planner_secret(planner, mapping->section, mapping->key,
			arena_printf(planner->arena, "%s.password",
				mapping->section),
			value->text);
}

/* policyd's own database, which iRedAPD has not: as the one of iredapd. */
void
planner_add_own_database(struct planner *planner)
{
	static const char *const keys[] = { "host", "socket", "port", "user",
		"password_file", "tls" };
	bool is_any = false;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		is_any |= planner_value(planner, "iredapd_db", keys[i]) != NULL;
	if (!is_any)
		return;
	planner_row(planner, "(policyd's own database)", "", NULL);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value =
			planner_value(planner, "iredapd_db", keys[i]);

		if (value != NULL)
			planner_set(planner, "policyd_db", keys[i], "%s",
				value);
	}
	planner_set(planner, "policyd_db", "name", "policyd");
	planner_note(planner, SETTING_CHANGED,
		"new: the account of the database iredapd is used for it");
}

/* A rule that iRedAPD has not must refuse nothing on the day of the switch. */
void
planner_add_spf(struct planner *planner)
{
	planner_row(planner, "(the rule spf)", "", NULL);
	planner_set(planner, "spf", "mode", "observe");
	planner_note(planner, SETTING_CHANGED,
		"new: iRedAPD has no such rule; see in the log what it would "
		"refuse, then let it enforce");
}

/* --- mail to the administrator ------------------------------------------ */

/* iRedAPD uses a server only with a password, otherwise sendmail. */
static bool
has_mail_account(const struct planner *planner)
{
	return python_is_text(
		planner_find(planner, "NOTIFICATION_SMTP_PASSWORD"));
}

#define NO_MAIL_ACCOUNT \
	"iRedAPD uses it only together with NOTIFICATION_SMTP_PASSWORD"

void
carry_mail_server(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	const struct python_value *server =
		planner_find(planner, "NOTIFICATION_SMTP_SERVER");
	const struct python_value *port =
		planner_find(planner, "NOTIFICATION_SMTP_PORT");
	struct slice host =
		python_is_text(server) ? server->text : SLICE("localhost");
	uint64_t number = 587;

	(void)value;
	if (!has_mail_account(planner)) {
		planner_note(planner, SETTING_DROPPED, "%s", NO_MAIL_ACCOUNT);
	} else if (port != NULL && !read_number(port, &number)) {
		planner_expect(planner, "a whole number");
	} else {
		planner_set(planner, mapping->section, mapping->key,
			slice_has_byte(host, ':') ? "smtp://[%.*s]:%llu"
						  : "smtp://%.*s:%llu",
			SLICE_ARG(host), (unsigned long long)number);
	}
}

void
carry_mail_starttls(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (!has_mail_account(planner)) {
		planner_note(planner, SETTING_DROPPED, "%s", NO_MAIL_ACCOUNT);
		return;
	}
	carry_bool(planner, mapping, value);
	if (is_true(value))
		planner_note(planner, SETTING_CHANGED,
			"policyd verifies the certificate, iRedAPD does not");
}

void
carry_mail_user(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	struct mapping one = *mapping;

	carry_text(planner, mapping, value);
	one.key = "user";
	if (has_mail_account(planner))
		carry_text(planner, &one, value);
}

void
carry_mail_password(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	carry_secret(planner, mapping, value);
	if (python_is_text(value) &&
		planner_find(planner, "NOTIFICATION_SMTP_USER") == NULL)
		planner_set(planner, mapping->section, "user", "%s",
			"no-reply@localhost.localdomain");
}

void
carry_sendmail(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	(void)value;
	if (has_mail_account(planner)) {
		planner_note(planner, SETTING_DROPPED,
			"mail goes through the server that is named");
		return;
	}
	planner_set(planner, mapping->section, mapping->key,
		"smtp://127.0.0.1:25");
	planner_note(planner, SETTING_CHANGED,
		"mail is handed to Postfix by SMTP; policyd starts no "
		"programs");
}
