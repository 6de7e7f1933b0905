"""The public suites of SPF, which others wrote and which lie beside the
repository: files of YAML documents, each a DNS and what is asked of it."""

import collections
import glob
import os

import yaml

from . import SOURCE
from .dns import TYPES, Answer, DnsServer

FOLDER = os.path.abspath(os.path.join(
    os.environ.get("POLICYD_SUITES", os.path.join(SOURCE, "../shared/suites")),
    "spf-openspf"))

# results: the words that may come out. explanation: what the domain says of
# a fail, "" when it says nothing, None where the suite does not care.
Case = collections.namedtuple(
    "Case", "name helo client sender results explanation")


class Scenario:
    def __init__(self, document):
        self.name = document.get("description") or document.get("comment", "")
        self.zone_data = document["zonedata"]
        self.cases = [_case(*one)
                      for one in document.get("tests", {}).items()]

    def zone(self, **more):
        """For a DnsServer; more is of every Answer."""
        return {name: _answer(entries, more)
                for name, entries in self.zone_data.items()}

    def serve(self, **more):
        return DnsServer(self.zone(**more))


def load():
    """The scenarios of each file; {} when the folder is not there."""
    suites = {}
    for path in sorted(glob.glob(os.path.join(FOLDER, "*.yml"))):
        with open(path, encoding="utf-8") as file:
            suites[os.path.basename(path)] = [
                Scenario(document)
                for document in yaml.safe_load_all(file) if document]
    return suites


def _case(name, fields):
    results = fields["result"]
    explanation = fields.get("explanation")
    return Case(name, str(fields["helo"]), str(fields["host"]),
                fields["mailfrom"],
                {results} if isinstance(results, str) else set(results),
                "" if explanation == "DEFAULT" else explanation)


def _answer(entries, more):
    """An entry is {type: value}, or the word TIMEOUT: then there is silence
    about every type that has no record."""
    records, silent = {}, set()
    for entry in entries:
        if entry == "TIMEOUT":
            silent.update(TYPES)
            continue
        ((kind, value),) = entry.items()
        if value == "TIMEOUT":
            silent.add(kind)
        else:
            records.setdefault(kind, []).append(value)
    # What the suites have as type 99 is meant as TXT too, which a TXT record
    # of the name suppresses; one with the value NONE does only that.
    if "SPF" in records:
        records.setdefault("TXT", records["SPF"])
    records = {kind: [value for value in values if value != "NONE"]
               for kind, values in records.items()}
    silent -= {kind for kind, values in records.items() if values}
    return Answer(silent=silent, **records, **more)
