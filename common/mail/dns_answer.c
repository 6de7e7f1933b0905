#include "common/mail/dns_answer.h"

const char *
dns_status_text(enum dns_status status)
{
	switch (status) {
	case DNS_RECORDS:
		return "found";
	case DNS_NONE:
		return "no such record";
	case DNS_NO_SUCH_NAME:
		return "no such name";
	case DNS_FAILED:
		return "failed";
	case DNS_BOGUS:
		return "forged";
	}
	return "";
}

const char *
dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_TYPE_A:
		return "A";
	case DNS_TYPE_NS:
		return "NS";
	case DNS_TYPE_CNAME:
		return "CNAME";
	case DNS_TYPE_SOA:
		return "SOA";
	case DNS_TYPE_PTR:
		return "PTR";
	case DNS_TYPE_MX:
		return "MX";
	case DNS_TYPE_TXT:
		return "TXT";
	case DNS_TYPE_AAAA:
		return "AAAA";
	}
	return "";
}
