"""Who may write to mailing lists and to mail aliases."""

import pytest

from harness import wait_for

NO = "REJECT Not authorized"
YES = "DUNNO"
UNAVAILABLE = ("451 4.3.0 Service temporarily unavailable, "
               "please try again later")
NEWS = "news@example.com"
TEAM = "team@example.com"
FAR = "far@external.example"
IN = "inside@example.com"
BELOW = "x@sub.example.com"
IN_ALIAS = "inside@alias.example"
BELOW_ALIAS = "x@sub.alias.example"

# Senders inside come without a login here.
SETTINGS = {"greylisting.mode": "off",
            "reject_sender_login_mismatch.mode": "off"}
pytestmark = pytest.mark.settings(SETTINGS)


@pytest.fixture
def ask(configured):
    """One RCPT request; policyd is started by the first one."""
    clients = []

    def once(sender, recipient, login=""):
        if not clients:
            clients.append(configured.start().client())
        return clients[0].ask(sender=sender, recipient=recipient,
                              sasl_username=login)
    yield once
    for client in clients:
        client.close()


@pytest.fixture
def make(vmail):
    """An alias with members and moderators, or a mailing list."""
    vmail.database.execute("DELETE FROM vmail.alias")
    vmail.database.execute("DELETE FROM vmail.forwardings WHERE is_list = 1")

    def one(kind, policy, **more):
        if kind == "alias":
            vmail.alias(TEAM, policy, **more)
            vmail.member(TEAM, "member@example.com")
            vmail.member(TEAM, "member@external.example")
            vmail.member(TEAM, "former@example.com", active=0)
            vmail.moderator(TEAM, "mod@example.com")
            vmail.moderator(TEAM, "mod@external.example")
            return TEAM
        vmail.maillist(NEWS, policy, **more)
        vmail.owner(NEWS, "owner@external.example")
        vmail.moderator(NEWS, "mod@external.example")
        return NEWS
    return one


# Mailing lists.

@pytest.mark.parametrize("policy", [
    "", "public", "membersonly", "moderatorsonly", "allowedonly",
    "membersandmoderatorsonly", "nonsense"])
def test_policies_that_mlmmj_enforces(ask, make, policy):
    assert ask(FAR, make("list", policy)) == YES


@pytest.mark.parametrize("policy, below", [
    ("domain", NO), ("subdomain", YES), ("SubDomain", YES)])
def test_list_for_a_domain(ask, make, policy, below):
    news = make("list", policy)
    assert ask(IN, news) == YES
    assert ask(BELOW, news) == below
    assert ask(FAR, news) == NO
    assert ask("x@notexample.com", news) == NO
    assert ask("", news) == NO
    # Moderators and owners, wherever they are.
    assert ask("mod@external.example", news) == YES
    assert ask("owner+x@external.example", news) == YES
    assert ask("nobody@example.com", "nobody@example.com") == YES


@pytest.mark.parametrize("policy, below", [("domain", NO), ("subdomain", YES)])
def test_list_and_alias_domains(ask, make, vmail, policy, below):
    """D15: on all sides an alias domain is the domain behind it."""
    vmail.alias_domain("second.example", "example.com")
    vmail.alias_domain("off.example", "example.com", active=0)
    vmail.moderator(NEWS, "inner@off.example")
    make("list", policy)
    for news in (NEWS, "news@alias.example", "news@second.example"):
        assert ask(IN, news) == YES
        assert ask(IN_ALIAS, news) == YES
        assert ask("x@second.example", news) == YES
        assert ask("x@off.example", news) == NO
        assert ask(BELOW, news) == below
        assert ask(BELOW_ALIAS, news) == below
        assert ask(FAR, news) == NO
        assert ask("mod@external.example", news) == YES
        assert ask("owner@external.example", news) == YES
        assert ask("inner@off.example", news) == YES
    assert ask(FAR, "news@off.example") == YES  # no list of ours


def test_moderators_by_domain(ask, make, vmail):
    news = make("list", "domain")
    vmail.moderator(news, "*@partner.example")
    assert ask("any@partner.example", news) == YES
    assert ask("any@sub.partner.example", news) == NO


def test_an_extension_of_a_list_is_the_list(ask, make):
    """mlmmj reads the header, and may take for a post what is sent there."""
    make("list", "domain")
    for command in ("subscribe", "owner", "help", "x" * 300, "\x01", "a\tb"):
        for domain in ("example.com", "alias.example"):
            news = "news+%s@%s" % (command, domain)
            assert ask(FAR, news) == NO, news
            assert ask(IN, news) == YES, news
            assert ask("owner@external.example", news) == YES, news


def test_bounces_of_a_list_are_for_mlmmj(ask, make):
    make("list", "domain")
    assert ask("", "news+bounces-17-x=y.z@example.com") == YES
    assert ask("", NEWS) == NO


def test_an_inactive_list_is_left_to_postfix(ask, make):
    assert ask(FAR, make("list", "domain", active=0)) == YES


# Aliases.

@pytest.mark.parametrize("policy", ["", "public", "nonsense"])
def test_public_alias(ask, make, policy):
    assert ask(FAR, make("alias", policy)) == YES


@pytest.mark.parametrize("policy, below", [("domain", NO), ("subdomain", YES)])
def test_alias_for_a_domain(ask, make, policy, below):
    make("alias", policy)
    for team in (TEAM, "team@alias.example"):
        assert ask(IN, team) == YES
        assert ask(IN_ALIAS, team) == YES
        assert ask(BELOW, team) == below
        assert ask(BELOW_ALIAS, team) == below
        assert ask(FAR, team) == NO
        assert ask("x@notexample.com", team) == NO
        assert ask("mod@external.example", team) == NO
        assert ask("", team) == NO


@pytest.mark.parametrize("policy, member, moderator", [
    ("membersonly", YES, NO), ("moderatorsonly", NO, YES),
    ("allowedonly", NO, YES), ("membersandmoderatorsonly", YES, YES),
    ("MembersOnly", YES, NO)])
def test_alias_for_people(ask, make, policy, member, moderator):
    """Also D15: an alias domain on either side changes nothing."""
    make("alias", policy)
    for team in (TEAM, "team@alias.example"):
        for domain in ("example.com", "alias.example"):
            assert ask("member@" + domain, team) == member
            assert ask("mod@" + domain, team) == moderator
            assert ask("inside@" + domain, team) == NO
            assert ask("former@" + domain, team) == NO
        assert ask("Member+x@External.example", team) == member
        assert ask("mod@external.example", team) == moderator
        assert ask(FAR, team) == NO
        assert ask("", team) == NO


@pytest.mark.parametrize("policy, answer", [
    ("membersonly", NO), ("moderatorsonly", YES),
    ("membersandmoderatorsonly", YES)])
def test_a_domain_of_moderators(ask, make, vmail, policy, answer):
    team = make("alias", policy)
    vmail.moderator(team, "*@partner.example")
    vmail.moderator(team, "*@example.com")
    assert ask("any@partner.example", team) == answer
    assert ask("any@alias.example", team) == answer
    assert ask(FAR, team) == NO


def test_people_written_with_an_alias_domain(ask, make, vmail):
    """D15: what the rows say may be the alias domain, too."""
    vmail.alias_domain("second.example", "example.com")
    team = make("alias", "membersandmoderatorsonly")
    vmail.member(team, "one@alias.example")
    vmail.moderator(team, "two@second.example")
    for name in ("one", "two"):
        for domain in ("example.com", "alias.example", "second.example"):
            for at in ("example.com", "alias.example", "second.example"):
                assert ask("%s@%s" % (name, domain), "team@" + at) == YES


def test_a_disabled_alias_domain_does_not_count(ask, make, vmail):
    vmail.alias_domain("off.example", "example.com", active=0)
    make("alias", "membersonly")
    assert ask("member@off.example", TEAM) == NO
    assert ask("member@example.com", TEAM) == YES


def test_an_extension_of_an_alias_is_the_alias(ask, make):
    make("alias", "membersonly")
    assert ask(FAR, "team+subscribe@example.com") == NO
    assert ask("member@example.com", "team+subscribe@example.com") == YES
    # Postfix delivers these, too.
    for extension in ("x" * 300, "\x01", "a\tb"):
        assert ask(FAR, "team+%s@example.com" % extension) == NO, extension


def test_an_inactive_alias_is_left_to_postfix(ask, make):
    assert ask(FAR, make("alias", "membersonly", active=0)) == YES


def test_changes_show(policyd, make, vmail):
    """iRedAPD's own sequence: a member, a moderator, removed again."""
    team = make("alias", "membersandmoderatorsonly")
    with policyd.client() as client:
        def answers(sender, answer):
            wait_for(lambda: client.ask(sender=sender,
                                        recipient=team) == answer,
                     "%s for %s" % (answer, sender))
        for sender in (FAR, IN):
            answers(sender, NO)
            vmail.member(team, sender)
            answers(sender, YES)
            vmail.database.execute(
                "DELETE FROM vmail.forwardings WHERE forwarding = %s"
                " AND is_list = 1", (sender,))
            answers(sender, NO)
            vmail.moderator(team, sender)
            answers(sender, YES)
            vmail.database.execute(
                "DELETE FROM vmail.moderators WHERE moderator = %s",
                (sender,))
            answers(sender, NO)


# iRedAPD's own test cases.

@pytest.mark.parametrize("policy, sender, answer", [
    ("public", FAR, YES), ("domain", FAR, NO), ("subdomain", FAR, NO),
    ("membersonly", FAR, NO), ("membersonly", IN, NO),
    ("membersonly", "member@external.example", YES),
    ("membersonly", "member@example.com", YES),
    ("moderatorsonly", FAR, NO), ("moderatorsonly", IN, NO),
    ("moderatorsonly", "mod@external.example", YES),
    ("moderatorsonly", "mod@example.com", YES),
    ("membersandmoderatorsonly", FAR, NO),
    ("membersandmoderatorsonly", IN, NO),
    ("membersandmoderatorsonly", "member@external.example", YES),
    ("membersandmoderatorsonly", "mod@example.com", YES)])
def test_cases_of_iredapd(ask, make, policy, sender, answer):
    assert ask(sender, make("alias", policy)) == answer


# Trouble.

ODD = ["o'brien", "a$b", "=x", "j\u00f6rg", "\u4f8b", "\"a b\"",
       "x'; DROP TABLE alias; -- ", "100%", "a_b", "back\\slash", "{a}`b|c~d",
       "long" * 20, "longer" * 35]


def test_odd_local_parts(ask, vmail):
    for local in ODD:
        sender = local + "@external.example"
        alias, news = "t.%s@example.com" % local, "n.%s@example.com" % local
        vmail.alias(alias, "membersandmoderatorsonly")
        vmail.member(alias, sender)
        vmail.maillist(news, "domain")
        vmail.owner(news, sender)
        for address in (alias, news):
            other = address.replace("@example.com", "@alias.example")
            for recipient in (address, other):
                assert ask(sender, recipient) == YES, recipient
                assert ask(FAR, recipient) == NO, recipient


def test_a_pattern_is_a_name(ask, vmail):
    vmail.alias("a_b@example.com", "membersonly")
    vmail.member("a_b@example.com", "x_y%@external.example")
    assert ask("x_y%@external.example", "a_b@example.com") == YES
    assert ask("x1yz@external.example", "a_b@example.com") == NO
    assert ask(FAR, "a1b@example.com") == YES


@pytest.mark.parametrize("on_error, answer", [
    ("accept", YES), ("defer", UNAVAILABLE)])
@pytest.mark.parametrize("rule, kind", [
    ("alias_access_policy", "alias"), ("ml_access_policy", "list")])
def test_database_away(configured, ask, mariadb, make, rule, kind, on_error,
                       answer):
    configured.configure(**dict(SETTINGS, **{rule + ".on_error": on_error}))
    address = make(kind, "domain")
    assert ask(FAR, address) == NO
    mariadb.kill()
    wait_for(lambda: ask(FAR, "new@example.com") == answer,
             "the rule to give up")
    # What was known is known.
    assert ask(FAR, address) == NO


# Through Postfix.

def test_replies_by_smtp(postfix, policyd, make, vmail):
    make("alias", "membersonly")
    make("list", "domain")
    refusal = "554 5.7.1 <%s>: Recipient address rejected: Not authorized"
    with postfix.session("192.0.2.1") as client:
        for recipient in (TEAM, NEWS, "team@alias.example"):
            assert client.send(FAR, recipient) == refusal % recipient
        assert client.send("member@external.example", TEAM).code == 250
        assert client.send("owner@external.example", NEWS).code == 250
        assert client.send("", "news+bounces-1@example.com").code == 250
        for recipient in ("news+subscribe@example.com",
                          '"team+\\\x01"@example.com',
                          "team+%s@example.com" % ("x" * 300)):
            assert client.send(FAR, recipient).code == 554, recipient
        assert client.send("", TEAM) == refusal % TEAM
