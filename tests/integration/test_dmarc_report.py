"""An aggregate report that common/mail/dmarc_report.c has written, as others
read it: it is XML, has the structure of RFC 7489, appendix C, and nothing that
the reports of others have is missing."""

import glob
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from harness import BUILD, SOURCE

pytestmark = pytest.mark.needs_no_daemon
PROGRAM = os.path.join(BUILD, "tests/unit/dmarc_report_sample")
SAMPLES = os.path.abspath(os.path.join(
    os.environ.get("POLICYD_SUITES", os.path.join(SOURCE, "../shared/suites")),
    "dmarc-reports"))

# Each element of the appendix that has others, and these in their order: "?"
# may be missing, "*" there may be any number, "+" one at least.
SCHEMA = {
    "feedback": "version report_metadata policy_published record+",
    "report_metadata": "org_name email extra_contact_info? report_id"
                       " date_range error*",
    "date_range": "begin end",
    "policy_published": "domain adkim? aspf? p sp pct fo",
    "record": "row identifiers auth_results",
    "row": "source_ip count policy_evaluated",
    "policy_evaluated": "disposition dkim spf reason*",
    "reason": "type comment?",
    "identifiers": "envelope_to? envelope_from header_from",
    "auth_results": "dkim* spf+",
    "auth_results/dkim": "domain selector? result human_result?",
    "auth_results/spf": "domain scope result",
}
# What is for others to say: that no report could be made.
NOT_OURS = {"feedback/report_metadata/error"}
WORDS = {
    "disposition": {"none", "quarantine", "reject"},
    "policy_evaluated/dkim": {"pass", "fail"},
    "policy_evaluated/spf": {"pass", "fail"},
    "adkim": {"r", "s"}, "aspf": {"r", "s"},
    "p": {"none", "quarantine", "reject"},
    "sp": {"none", "quarantine", "reject"},
    "type": {"forwarded", "sampled_out", "trusted_forwarder", "mailing_list",
             "local_policy", "other"},
    "scope": {"helo", "mfrom"},
    "dkim/result": {"none", "pass", "fail", "policy", "neutral", "temperror",
                    "permerror"},
    "spf/result": {"none", "neutral", "pass", "fail", "softfail", "temperror",
                   "permerror"},
}


@pytest.fixture(scope="module")
def report():
    if not os.path.exists(PROGRAM):
        pytest.skip("no " + PROGRAM)
    written = subprocess.run([PROGRAM], stdout=subprocess.PIPE, timeout=60,
                             check=True).stdout
    assert written.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    return ElementTree.fromstring(written)


def children_of(parent, tag):
    """What the schema says of an element, or None."""
    return SCHEMA.get("%s/%s" % (parent, tag), SCHEMA.get(tag))


def check_order(parent, element):
    rest = [child.tag for child in element]
    for word in children_of(parent, element.tag).split():
        name, n = word.rstrip("?*+"), 0
        while rest and rest[0] == name:
            rest.pop(0)
            n += 1
        least = 0 if word[-1] in "?*" else 1
        most = n if word[-1] in "*+" else 1
        assert least <= n <= most, (element.tag, name)
    assert rest == [], element.tag


def walk(element, parent=""):
    yield parent, element
    for child in element:
        yield from walk(child, element.tag)


def paths(element, above=""):
    path = above + element.tag
    yield path
    for child in element:
        yield from paths(child, path + "/")


def test_the_structure_is_that_of_the_appendix(report):
    n = 0
    for parent, element in walk(report):
        if len(element):
            check_order(parent, element)
            n += 1
        else:
            assert children_of(parent, element.tag) is None, element.tag
    assert n == 20


def test_words_are_those_of_the_appendix(report):
    n = 0
    for parent, element in walk(report):
        words = WORDS.get("%s/%s" % (parent, element.tag),
                          WORDS.get(element.tag))
        if words and not len(element):
            assert element.text in words, element.tag
            n += 1
    assert n > 15


def test_what_was_put_in_comes_out(report):
    text = report.findtext
    assert text("version") == "1.0"
    assert text("report_metadata/org_name") == "Example & Sons"
    assert text("report_metadata/extra_contact_info") == \
        "https://example.net/?a=b&c=d"
    assert text("report_metadata/date_range/end") == "1700086399"
    published = report.find("policy_published")
    assert [one.text for one in published] == [
        "example.com", "r", "s", "reject", "quarantine", "100", "1:d"]
    first, second = report.findall("record")
    assert first.findtext("row/source_ip") == "192.0.2.1"
    assert [one.text for one in first.find("row/policy_evaluated")][:3] == [
        "none", "pass", "fail"]
    assert len(first.findall("row/policy_evaluated/reason")) == 2
    assert [one.findtext("selector")
            for one in first.findall("auth_results/dkim")] == ["s1", "s2"]
    assert second.findtext("row/source_ip") == "2001:db8::1"
    assert second.findtext("identifiers/envelope_from") == ""
    assert second.findtext("auth_results/spf/scope") == "helo"


def test_odd_texts_are_text(report):
    odd = "a<b> & \"c\" 'd' ]]> \u00e9 " + 5 * "\ufffd"
    first = report.find("record")
    assert first.findtext("row/policy_evaluated/reason/comment") == odd
    assert first.findall("auth_results/dkim")[1].findtext(
        "human_result") == odd


def valid_samples():
    """Reports of others that are XML of this kind, by their file."""
    found = {}
    for name in sorted(glob.glob(os.path.join(
            glob.escape(SAMPLES), "**", "*.xml"), recursive=True)):
        try:
            root = ElementTree.parse(name).getroot()
        except ElementTree.ParseError:
            continue
        # RFC 9990 has a namespace, and other elements.
        if root.tag == "feedback" and root.find("record") is not None:
            found[os.path.relpath(name, SAMPLES)] = root
    return found


def of_the_appendix(path):
    """Whether it is an element that the schema has."""
    names = [""] + path.split("/")
    return all(
        name in [word.rstrip("?*+") for word in
                 (children_of(above, parent) or "").split()]
        for above, parent, name in zip(names, names[1:], names[2:]))


def test_nothing_is_missing_that_others_have(report):
    samples = valid_samples()
    if not samples:
        pytest.skip("no reports in %s; POLICYD_SUITES may name the folder"
                    " above" % SAMPLES)
    assert len(samples) > 10
    ours = set(paths(report))
    theirs = {path for root in samples.values() for path in paths(root)
              if of_the_appendix(path)}
    assert theirs - ours - NOT_OURS == set()
    # And nothing is there that nobody else has.
    assert ours - theirs == set()
