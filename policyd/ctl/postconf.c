#include "policyd/ctl/postconf.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "policyd/ctl/program.h"

/* Looking up names may take it a while. */
#define TIMEOUT_MS  20000u
#define ERROR_MAX   4096u
#define COMMAND_MAX 8

/* Where postconf is when PATH does not have the programs of root. */
static const char *const programs[] = {
	"postconf",
	"/usr/sbin/postconf",
	"/usr/local/sbin/postconf",
};

#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* --- what it prints ----------------------------------------------------- */

static size_t
count_lines(struct slice text, size_t max)
{
	struct slice line;
	size_t n = 0;

	while (n < max && slice_split(&text, '\n', &line))
		n++;
	return n;
}

/* "name = value" */
static bool
read_assignment(struct slice line, struct slice *name, struct slice *value)
{
	const ptrdiff_t equals = slice_find(line, '=');

	if (equals < 0)
		return false;
	*name = slice_trim(slice_part(line, 0, (size_t)equals));
	*value = slice_trim(slice_from(line, (size_t)equals + 1));
	return name->len > 0;
}

void
postconf_parse_parameters(struct arena *arena, struct slice text,
	struct postconf *out)
{
	const size_t n = count_lines(text, POSTCONF_ROWS_MAX);
	struct slice rest = slice_copy(arena, text), line;

	out->parameters = arena_new_array(arena, n, struct postconf_parameter);
	out->n_parameters = 0;
	while (out->n_parameters < n && slice_split(&rest, '\n', &line)) {
		struct postconf_parameter *row =
			&out->parameters[out->n_parameters];

		if (read_assignment(line, &row->name, &row->value))
			out->n_parameters++;
	}
}

/* Words are separated by any number of blanks. */
static struct slice
next_word(struct slice *rest)
{
	size_t end = 0;
	struct slice word;

	*rest = slice_trim(*rest);
	while (end < rest->len && rest->ptr[end] != ' ' &&
		rest->ptr[end] != '\t')
		end++;
	word = slice_part(*rest, 0, end);
	*rest = slice_from(*rest, end);
	return word;
}

/* name type private unprivileged chroot wakeup maxproc command ... */
static bool
read_service(struct slice line, struct postconf_service *out)
{
	out->name = next_word(&line);
	out->type = next_word(&line);
	(void)next_word(&line);
	(void)next_word(&line);
	out->is_chrooted = slice_eq(next_word(&line), SLICE("y"));
	(void)next_word(&line);
	out->process_limit = next_word(&line);
	out->program = next_word(&line);
	return out->program.len > 0;
}

void
postconf_parse_services(struct arena *arena, struct slice text,
	struct postconf *out)
{
	const size_t n = count_lines(text, POSTCONF_SERVICES_MAX);
	struct slice rest = slice_copy(arena, text), line;

	out->services = arena_new_array(arena, n, struct postconf_service);
	out->n_services = 0;
	while (out->n_services < n && slice_split(&rest, '\n', &line))
		if (read_service(line, &out->services[out->n_services]))
			out->n_services++;
}

/* "127.0.0.1:25/inet/name = value"; the name of a unix service may have /. */
static bool
read_override(struct slice line, struct postconf_override *out)
{
	struct slice path;
	ptrdiff_t slash;

	if (!read_assignment(line, &path, &out->value))
		return false;
	slash = slice_find_last(path, '/');
	if (slash <= 0)
		return false;
	out->service = slice_part(path, 0, (size_t)slash);
	out->name = slice_from(path, (size_t)slash + 1);
	return out->name.len > 0;
}

void
postconf_parse_overrides(struct arena *arena, struct slice text,
	struct postconf *out)
{
	const size_t n = count_lines(text, POSTCONF_ROWS_MAX);
	struct slice rest = slice_copy(arena, text), line;

	out->overrides = arena_new_array(arena, n, struct postconf_override);
	out->n_overrides = 0;
	while (out->n_overrides < n && slice_split(&rest, '\n', &line))
		if (read_override(line, &out->overrides[out->n_overrides]))
			out->n_overrides++;
}

/* --- running it --------------------------------------------------------- */

static enum program_end
run_any(const char **argv, struct str *out, struct str *err)
{
	enum program_end end = PROGRAM_MISSING;

	for (size_t i = 0; i < N_PROGRAMS && end == PROGRAM_MISSING; i++) {
		str_reset(err);
		argv[0] = programs[i];
		end = program_run(argv, TIMEOUT_MS, out, err);
	}
	return end;
}

/* Its complaint is behind its warnings. */
static struct slice
last_line(struct slice text)
{
	struct slice line, last = SLICE("");

	while (slice_split(&text, '\n', &line))
		if (slice_trim(line).len > 0)
			last = slice_trim(line);
	return last;
}

static void
explain(enum program_end end, const struct str *output, char *err,
	size_t err_size)
{
	const struct slice said = last_line(str_slice(output));

	switch (end) {
	case PROGRAM_DONE:
		break;
	case PROGRAM_FAILED:
		(void)snprintf(err, err_size, "%.*s", SLICE_ARG(said));
		break;
	case PROGRAM_MISSING:
		(void)snprintf(err, err_size,
			"there is no program postconf on this machine");
		break;
	case PROGRAM_LATE:
		(void)snprintf(err, err_size,
			"postconf was not done within %u seconds",
			TIMEOUT_MS / 1000);
		break;
	case PROGRAM_LONG:
		(void)snprintf(err, err_size,
			"postconf prints more than %zu bytes",
			POSTCONF_OUTPUT_MAX);
		break;
	}
}

/* One of its three outputs, appended to *text. */
static int
run(const char *dir, const char *option, struct str *text, char *err,
	size_t err_size)
{
	const char *argv[COMMAND_MAX] = { NULL };
	enum program_end end;
	struct str said;
	size_t n = 1;

	if (dir != NULL) {
		argv[n++] = "-c";
		argv[n++] = dir;
	}
	argv[n] = option;
	str_init(text, POSTCONF_OUTPUT_MAX);
	str_init(&said, ERROR_MAX);
	end = run_any(argv, text, &said);
	explain(end, &said, err, err_size);
	str_free(&said);
	return end == PROGRAM_DONE ? 0 : -1;
}

int
postconf_read(struct arena *arena, const char *dir, struct postconf *out,
	char *err, size_t err_size)
{
	static const struct {
		const char *option;
		void (*parse)(struct arena *arena, struct slice text,
			struct postconf *out);
	} parts[] = {
		{ "-x", postconf_parse_parameters },
		{ "-M", postconf_parse_services },
		{ "-Px", postconf_parse_overrides },
	};
	int status = 0;

	for (size_t i = 0; i < 3 && status == 0; i++) {
		struct str text;

		status = run(dir, parts[i].option, &text, err, err_size);
		if (status == 0)
			parts[i].parse(arena, str_slice(&text), out);
		str_free(&text);
	}
	return status;
}

/* --- asking ------------------------------------------------------------- */

bool
postconf_main(const struct postconf *postconf, const char *name,
	struct slice *out)
{
	*out = SLICE("");
	for (size_t i = 0; i < postconf->n_parameters; i++) {
		if (!slice_eq_text(postconf->parameters[i].name, name))
			continue;
		*out = postconf->parameters[i].value;
		return true;
	}
	return false;
}

/* Whether "smtp/inet" is the service. */
static bool
is_of(const struct postconf_override *override,
	const struct postconf_service *service)
{
	const struct slice path = override->service;

	return path.len == service->name.len + 1 + service->type.len &&
	       slice_starts(path, service->name) &&
	       path.ptr[service->name.len] == '/' &&
	       slice_ends(path, service->type);
}

bool
postconf_override(const struct postconf *postconf,
	const struct postconf_service *service, const char *name,
	struct slice *out)
{
	for (size_t i = 0; i < postconf->n_overrides; i++) {
		const struct postconf_override *row = &postconf->overrides[i];

		if (!slice_eq_text(row->name, name) || !is_of(row, service))
			continue;
		*out = row->value;
		return true;
	}
	return false;
}

struct slice
postconf_value(const struct postconf *postconf,
	const struct postconf_service *service, const char *name)
{
	struct slice value;

	if (service == NULL ||
		!postconf_override(postconf, service, name, &value))
		(void)postconf_main(postconf, name, &value);
	return value;
}

bool
postconf_is_yes(const struct postconf *postconf,
	const struct postconf_service *service, const char *name)
{
	return slice_case_eq(postconf_value(postconf, service, name),
		SLICE("yes"));
}
