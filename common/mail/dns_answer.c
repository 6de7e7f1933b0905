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
