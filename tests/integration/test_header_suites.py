"""Header fields of the public test data that lies beside the repository:
examples of Authentication-Results, From of odd messages, ARC chains."""

import ast
import email
import email.policy
import glob
import json
import os
import re
import subprocess

import pytest

from harness import BUILD, SOURCE

SUITES = os.path.abspath(os.environ.get(
    "POLICYD_SUITES", os.path.join(SOURCE, "../shared/suites")))
TOOL = os.path.join(BUILD, "tests/header_tool")

pytestmark = pytest.mark.needs_no_daemon
if not os.path.isdir(SUITES):
    pytest.skip("no public test data in %s; POLICYD_SUITES may name the"
                " folder" % SUITES, allow_module_level=True)
if not os.path.exists(TOOL):
    pytest.skip("no header_tool in " + BUILD, allow_module_level=True)


def tool(values, *args):
    done = subprocess.run([TOOL, *args], stdout=subprocess.PIPE, check=True,
                          input=b"".join(one + b"\0" for one in values))
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- examples of Authentication-Results ------------------------------------

STATEMENTS = os.path.join(SUITES, "ar-authres", "authres", "tests")
PREFIX = re.compile(r"authentication-results:", re.I)
PARSED = re.compile(r"(?:>>>|\.\.\.) +(?:try: )?\w+ = [\w.]*parse\((['\"].*['\"])\)$")
ASKED = re.compile(r">>> str\(\w+\.(authserv_id|results\[(\d+)\]\."
                   r"(method|result|properties\[(\d+)\]\.(\w+)))\)$")


def value_of(statement):
    field = ast.literal_eval(statement)
    assert PREFIX.match(field)
    return field[PREFIX.match(field).end():].encode()


def statements():
    """[(value, [(question, answer)])] of fields that are taken apart there."""
    with open(STATEMENTS, encoding="utf-8") as file:
        lines = file.read().splitlines()
    cases = []
    for at, line in enumerate(lines):
        parsed, asked = PARSED.match(line.strip()), ASKED.match(line.strip())
        if parsed:
            cases.append((value_of(parsed.group(1)), []))
        elif asked and cases:
            cases[-1][1].append((asked, ast.literal_eval(lines[at + 1])))
        elif line.startswith("Syntax error:"):
            cases[-1][1].append((None, None))
    return cases


def answer_of(field, asked):
    """What our reading says to a question of the statements."""
    if asked.group(1) == "authserv_id":
        return field["id"]
    result = field["results"][int(asked.group(2))]
    if asked.group(3) in ("method", "result"):
        return result[asked.group(3)]
    name = list(result["properties"])[int(asked.group(4))]
    kind, _, rest = name.partition(".")
    return {"type": kind, "name": rest.lower(),
            "value": result["properties"][name]}[asked.group(5)]


@pytest.mark.skipif(not os.path.exists(STATEMENTS),
                    reason="no " + STATEMENTS)
def test_examples_are_read_as_others_read_them():
    cases, n_questions = statements(), 0
    fields = tool([value for value, _ in cases], "results")
    for (value, questions), field in zip(cases, fields):
        is_wrong = any(asked is None for asked, _ in questions)
        assert bool(field["error"]) == is_wrong, value
        for asked, answer in [] if is_wrong else questions:
            assert answer_of(field, asked) == answer, (value, asked.group())
            n_questions += 1
    assert len(cases) > 20 and n_questions > 80


@pytest.mark.skipif(not os.path.exists(STATEMENTS),
                    reason="no " + STATEMENTS)
def test_what_others_write_is_read():
    with open(STATEMENTS, encoding="utf-8") as file:
        values = [value_of(line.strip()) for line in file
                  if re.match(r"['\"]Authentication-Results: ", line)]
    assert len(values) > 10
    for value, field in zip(values, tool(values, "results")):
        assert not field["error"], value
        assert tool([value], "claims", field["id"].upper()) == [True]
        assert tool([value], "claims", "x" + field["id"]) == [False]


# --- fields of messages ----------------------------------------------------

FIELD = r"^%s[ \t]*:((?:[^\n]*\n)(?:[ \t][^\n]*\n)*)"


def fields_of_messages(name):
    """The different values of a field, as a milter gets them."""
    pattern = re.compile((FIELD % name).encode(), re.I | re.M)
    values = set()
    for folder in ("mime-*", "dkim-*", "dmarc-reports"):
        for path in glob.glob(os.path.join(SUITES, folder, "**"),
                              recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    text = file.read().replace(b"\r\n", b"\n")
                values |= {one[:-1] for one in pattern.findall(text)}
    return sorted(value for value in values if b"\0" not in value)


def domains_by_python(value):
    message = email.message_from_bytes(b"From:" + value + b"\n\n",
                                       policy=email.policy.default)
    return [address.domain.lower() for address in message["From"].addresses]


# Where we find no address: the beginning of the value, what is said, and why
# others disagree about it.
MALFORMED = [
    (b" jang.abcdef@xyzlinu <", "a name is an address of another domain",
     "which of two addresses?"),
    (b" develop!nextmime@ebony@", "there is something behind an address",
     "which of two domains?"),
    (b" \xa4j\xa4\xa4\xb5\xd8", "a local part is malformed", "not UTF-8"),
    (b" Tom\xe1? SixPack <Tom\xe1?@", "a local part is malformed",
     "not UTF-8"),
]


def test_from_is_read_as_python_reads_it():
    values = fields_of_messages("from")
    if not values:
        pytest.skip("no messages in " + SUITES)
    said = []
    for value, field in zip(values, tool(values, "from")):
        domains = [domain for _, domain in field["addresses"]]
        if field["status"] == "malformed":
            said += [row for row in MALFORMED if value.startswith(row[0]) and
                     field["error"] == row[1]] or [(value, field["error"])]
        else:
            assert field["status"] == "one", value
            assert domains == domains_by_python(value), value
    assert sorted(said) == sorted(MALFORMED)
    assert len(values) > 100


# Mail systems that leave out who says it, or say more than that: nobody can
# tell that these fields are not ours.
NOBODYS = (rb"\s*(spf|dkim|dmarc)="
           rb"|\s*mta\d+\.mail\.\w+\.yahoo\.com  from=gmail\.com;")


def test_results_of_messages_are_not_ours():
    values = fields_of_messages("authentication-results")
    if not values:
        pytest.skip("no messages in " + SUITES)
    claims = tool(values, "claims", "mx.policyd.example")
    for value, field, is_claim in zip(values, tool(values, "results"),
                                      claims):
        is_nobodys = re.match(NOBODYS, value) is not None
        assert is_claim == is_nobodys, value
        assert bool(field["error"]) == is_nobodys, value
        if not is_nobodys:
            assert tool([value], "claims", field["id"].upper()) == [True]
    assert len(values) > 40


# --- ARC -------------------------------------------------------------------

CHAINS = os.path.join(SUITES, "arc-valimail/arc-draft-validation-tests.yml")
# Chains that fail though their structure is good: a verifier sees why.
FOR_VERIFIERS = set("""
    ams_fields_a_sha1 ams_fields_a_unknown ams_fields_b_base64
    ams_fields_b_mod_headers1 ams_fields_b_mod_headers2 ams_fields_b_mod_sig
    ams_fields_bh_base64 ams_fields_bh_mod_body ams_fields_bh_mod_sig
    ams_fields_bh_sim_inl_wsp ams_fields_h_dup2 ams_fields_h_empty_added
    ams_fields_h_order ams_format_tags_val_case as_fields_a_sha1
    as_fields_a_unknown as_fields_b_512 as_fields_b_ams1 as_fields_b_asb1
    as_fields_b_base64 as_fields_b_mod_sig as_format_tags_val_case
    cv_fail_i1_ams_invalid cv_fail_i1_as_invalid cv_fail_i2_ams_invalid
    cv_fail_i2_as1_invalid cv_fail_i2_as2_invalid public_key_invalid
    public_key_na
""".split())


def chains():
    yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")
    if not os.path.exists(CHAINS):
        pytest.skip("no " + CHAINS)
    with open(CHAINS, encoding="utf-8") as file:
        return {name: case for document in yaml.safe_load_all(file)
                for name, case in document["tests"].items()}


def arc_fields(message):
    header = message.partition("\n\n")[0] + "\n"
    return [field.rstrip("\n").encode() for field in
            re.findall(r"^arc-[^\n]*\n(?:[ \t][^\n]*\n)*", header,
                       re.I | re.M)]


def structure(message):
    return tool(arc_fields(message), "arc")[0]


def test_structure_of_chains():
    complete, cases = set(), chains()
    for name, case in cases.items():
        found = structure(case["message"])
        if case["cv"] is None or case["cv"] == "None":
            assert found["status"] == "none", name
        elif case["cv"] == "Pass":
            assert found["status"] == "complete", (name, found["error"])
        elif found["status"] == "complete":
            complete.add(name)
        else:
            assert found["status"] == "broken" and found["error"], name
    assert complete == FOR_VERIFIERS
    assert len(cases) > 160
