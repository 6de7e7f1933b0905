#include "common/mail/dns_message.h"

#include <string.h>

#include "common/base/mem.h"

#define HEADER_BYTES 12u
#define CLASS_IN     1u
/* Compression pointers in one name; each leads towards the beginning. */
#define POINTERS_MAX 64u
/* RFC 2181, 8: a TTL with its top bit set is 0. */
#define TTL_MAX 0x7fffffffu

/* Where reading is. Once is_bad, everything read is zero. */
struct reader {
	const uint8_t *bytes;
	size_t len, at;
	bool is_bad;
};

/* A record of the answer as it stands in the message. */
struct raw {
	struct dns_name owner;
	unsigned type, class;
	uint32_t ttl;
	size_t data, data_end;
};

struct parse {
	struct arena *arena;
	struct reader reader;
	enum dns_type type;
	struct raw *raw;
	size_t n_raw;
	struct dns_name final;
	struct dns_message *out;
	struct dns_record *records;
};

/* --- bytes ------------------------------------------------------------- */

static bool
has(struct reader *reader, size_t n)
{
	if (reader->is_bad || reader->len - reader->at < n)
		reader->is_bad = true;
	return !reader->is_bad;
}

static unsigned
read_u8(struct reader *reader)
{
	return has(reader, 1) ? reader->bytes[reader->at++] : 0;
}

static unsigned
read_u16(struct reader *reader)
{
	unsigned high = read_u8(reader);

	return high << 8 | read_u8(reader);
}

static uint32_t
read_u32(struct reader *reader)
{
	uint32_t high = read_u16(reader);

	return high << 16 | read_u16(reader);
}

static void
skip(struct reader *reader, size_t n)
{
	if (has(reader, n))
		reader->at += n;
}

/* A label of len bytes behind its length byte. */
static void
read_label(struct reader *reader, unsigned len, struct dns_name *out)
{
	/* The empty label of the root has to fit behind this one. */
	if (!has(reader, len) || out->len + 1u + len + 1u > DNS_NAME_MAX) {
		reader->is_bad = true;
		return;
	}
	out->wire[out->len++] = (uint8_t)len;
	for (unsigned i = 0; i < len; i++) {
		uint8_t byte = reader->bytes[reader->at++];

		if (byte >= 'A' && byte <= 'Z')
			byte = (uint8_t)(byte + 'a' - 'A');
		out->wire[out->len++] = byte;
	}
}

/*
 * RFC 1035, 4.1.4. A pointer has to lead to before the part of the name that
 * it ends, so a name comes to an end by itself.
 */
static void
read_name(struct reader *reader, struct dns_name *out)
{
	struct reader part = *reader;
	size_t first = part.at, behind = 0;
	unsigned n_pointers = 0, byte, to;

	out->len = 0;
	while ((byte = read_u8(&part)) != 0) {
		if (byte <= DNS_LABEL_MAX) {
			read_label(&part, byte, out);
			continue;
		}
		to = (byte & 0x3fu) << 8 | read_u8(&part);
		if (n_pointers == 0)
			behind = part.at;
		if ((byte & 0xc0u) != 0xc0u || to >= first ||
			n_pointers++ == POINTERS_MAX)
			part.is_bad = true;
		if (part.is_bad)
			break;
		part.at = first = to;
	}
	reader->is_bad = part.is_bad;
	reader->at = n_pointers == 0 ? part.at : behind;
	out->wire[out->len++] = 0;
}

/* --- records ----------------------------------------------------------- */

static void
read_raw(struct reader *reader, struct raw *out)
{
	unsigned len;

	read_name(reader, &out->owner);
	out->type = read_u16(reader);
	out->class = read_u16(reader);
	out->ttl = read_u32(reader);
	if (out->ttl > TTL_MAX)
		out->ttl = 0;
	len = read_u16(reader);
	out->data = reader->at;
	skip(reader, len);
	out->data_end = reader->at;
}

static struct slice
name_text(struct arena *arena, const struct dns_name *name)
{
	char text[DNS_NAME_TEXT_MAX];

	return slice_copy(arena, slice_of(dns_name_format(name, text)));
}

static void
read_strings(struct arena *arena, struct reader *data, struct slice *out)
{
	char *joined = arena_alloc(arena, data->len - data->at);
	size_t len = 0;

	while (data->at < data->len && !data->is_bad) {
		unsigned n = read_u8(data);

		if (!has(data, n))
			break;
		memcpy(joined + len, data->bytes + data->at, n);
		data->at += n;
		len += n;
	}
	*out = (struct slice){ joined, len };
}

static void
read_address(struct reader *data, enum ip_family family, struct ip *out)
{
	const size_t len = family == IP_V4 ? 4 : 16;

	out->family = family;
	if (has(data, len))
		memcpy(out->bytes, data->bytes + data->at, len);
	data->at = data->is_bad ? data->at : data->at + len;
}

/* False when what it holds is not what its type says. */
static bool
read_data(struct parse *parse, const struct raw *raw, struct dns_record *out)
{
	struct reader data = parse->reader;
	struct dns_name name;

	data.at = raw->data;
	data.len = raw->data_end;
	switch (parse->type) {
	case DNS_TYPE_A:
		read_address(&data, IP_V4, &out->address);
		break;
	case DNS_TYPE_AAAA:
		read_address(&data, IP_V6, &out->address);
		break;
	case DNS_TYPE_MX:
	case DNS_TYPE_NS:
	case DNS_TYPE_PTR:
		if (parse->type == DNS_TYPE_MX)
			out->preference = read_u16(&data);
		read_name(&data, &name);
		if (!data.is_bad)
			out->name = name_text(parse->arena, &name);
		break;
	case DNS_TYPE_TXT:
		read_strings(parse->arena, &data, &out->text);
		break;
	case DNS_TYPE_CNAME:
	case DNS_TYPE_SOA:
		break;
	}
	return !data.is_bad && data.at == data.len;
}

/* --- the answer -------------------------------------------------------- */

static void
note_ttl(struct parse *parse, uint32_t ttl)
{
	if (ttl < parse->out->ttl)
		parse->out->ttl = ttl;
}

static const struct raw *
find_alias(const struct parse *parse)
{
	for (size_t i = 0; i < parse->n_raw; i++) {
		const struct raw *raw = &parse->raw[i];

		if (raw->type == DNS_TYPE_CNAME && raw->class == CLASS_IN &&
			dns_name_eq(&raw->owner, &parse->final))
			return raw;
	}
	return NULL;
}

static bool
follow_aliases(struct parse *parse)
{
	const struct raw *alias;

	while ((alias = find_alias(parse)) != NULL) {
		struct reader data = parse->reader;

		if (parse->out->n_aliases++ == DNS_ALIASES_MAX)
			return false;
		data.at = alias->data;
		read_name(&data, &parse->final);
		if (data.is_bad || data.at != alias->data_end)
			return false;
		note_ttl(parse, alias->ttl);
	}
	return true;
}

static bool
take_records(struct parse *parse)
{
	for (size_t i = 0; i < parse->n_raw; i++) {
		const struct raw *raw = &parse->raw[i];
		struct dns_record *record =
			&parse->records[parse->out->n_records];

		if (raw->type != parse->type || raw->class != CLASS_IN ||
			!dns_name_eq(&raw->owner, &parse->final))
			continue;
		if (!read_data(parse, raw, record))
			return false;
		note_ttl(parse, raw->ttl);
		parse->out->n_records++;
	}
	return true;
}

/* RFC 2308, 5: the lesser of the SOA's own TTL and its last field. */
static void
note_negative_ttl(struct parse *parse, unsigned n_authority)
{
	struct reader *reader = &parse->reader;
	struct dns_name name;
	struct raw raw;

	for (unsigned i = 0; i < n_authority && !reader->is_bad; i++) {
		read_raw(reader, &raw);
		if (reader->is_bad || raw.type != DNS_TYPE_SOA)
			continue;
		reader->at = raw.data;
		read_name(reader, &name);
		read_name(reader, &name);
		skip(reader, 4 * sizeof(uint32_t));
		note_ttl(parse, raw.ttl);
		note_ttl(parse, read_u32(reader));
		if (!reader->is_bad)
			return;
	}
	parse->out->ttl = 0;
}

static const char *
read_answer(struct parse *parse, unsigned n_answer, unsigned n_authority)
{
	struct dns_message *out = parse->out;

	if (n_answer > DNS_RECORDS_MAX)
		return "it has too many records";
	parse->raw = arena_new_array(parse->arena, n_answer, struct raw);
	parse->records =
		arena_new_array(parse->arena, n_answer, struct dns_record);
	for (; parse->n_raw < n_answer; parse->n_raw++)
		read_raw(&parse->reader, &parse->raw[parse->n_raw]);
	if (parse->reader.is_bad)
		return "a record of its answer is malformed";
	out->ttl = TTL_MAX;
	if (!follow_aliases(parse))
		return "its aliases do not come to an end";
	if (!take_records(parse))
		return "a record does not hold what its type says";
	if (out->n_records == 0)
		note_negative_ttl(parse, n_authority);
	out->records = parse->records;
	out->final_name = name_text(parse->arena, &parse->final);
	return NULL;
}

int
dns_message_parse(struct arena *arena, struct slice message,
	const struct dns_name *name, enum dns_type type,
	struct dns_message *out, const char **err)
{
	struct parse parse = { .arena = arena,
		.reader = { .bytes = (const uint8_t *)message.ptr,
			.len = message.len },
		.type = type,
		.final = *name,
		.out = out };
	struct reader *reader = &parse.reader;
	unsigned flags, n_questions, n_answer, n_authority;
	struct dns_name asked;

	memset(out, 0, sizeof(*out));
	*err = "it is too short for a DNS message";
	if (message.len < HEADER_BYTES || message.len > DNS_MESSAGE_MAX)
		return -1;
	reader->at = 2;
	flags = read_u16(reader);
	out->rcode = (enum dns_rcode)(flags & 0xfu);
	n_questions = read_u16(reader);
	n_answer = read_u16(reader);
	n_authority = read_u16(reader);
	skip(reader, 2);
	for (unsigned i = 0; i < n_questions && !reader->is_bad; i++) {
		read_name(reader, &asked);
		skip(reader, 4);
	}
	*err = reader->is_bad ? "its question is malformed"
			      : read_answer(&parse, n_answer, n_authority);
	return *err == NULL ? 0 : -1;
}
