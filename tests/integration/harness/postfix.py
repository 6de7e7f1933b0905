"""A private Postfix, wired to a policy server as iRedMail wires it."""

import os
import re
import shutil
import signal
import subprocess

from . import wait_for
from .smtp import Session

# Recipient restrictions stand in iRedMail's order. Deliveries are discarded.
# Nothing asks DNS. XCLIENT is what lets a test be any client.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
syslog_name = postfix-private
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = all
myhostname = mx.example.com
mydestination = $myhostname, localhost
mynetworks = 127.0.0.0/8 [::1]/128
recipient_delimiter = +
allow_percent_hack = no
swap_bangpath = no
smtputf8_enable = no
disable_dns_lookups = yes
smtpd_peername_lookup = no
alias_maps =
local_recipient_maps =
virtual_alias_maps = regexp:{directory}/virtual_alias
virtual_alias_domains = alias.example
header_checks = regexp:{directory}/header_checks
virtual_mailbox_domains = example.com
virtual_mailbox_maps = texthash:{directory}/virtual_mailbox
virtual_transport = discard:
local_transport = discard:
default_transport = discard:
relay_transport = discard:
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_event_limit_exceptions = static:all
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10001
smtpd_recipient_limit = 2000
message_size_limit = 52428800
smtpd_reject_unlisted_recipient = yes
smtpd_reject_unlisted_sender = yes
smtpd_sender_restrictions =
  reject_non_fqdn_sender, reject_unlisted_sender,
  permit_mynetworks, permit_sasl_authenticated
smtpd_relay_restrictions =
  permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination
smtpd_recipient_restrictions =
  reject_non_fqdn_recipient, reject_unlisted_recipient,
  check_policy_service {policy},
  permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_end_of_data_restrictions =
  check_policy_service {policy}
"""

# XCLIENT tells the login but no SASL back end stands behind it, so
# permit_sasl_authenticated never holds: the submission service lets relay
# whoever reaches it, which is loopback.
MASTER_CF = """\
127.0.0.1:{port} inet n - n - 60 smtpd
127.0.0.1:{submission_port} inet n - n - 60 smtpd
  -o smtpd_relay_restrictions=$submission_relay_restrictions
  -o smtpd_recipient_restrictions=$submission_recipient_restrictions
  -o smtpd_milters=$submission_milters
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
pickup unix n - n 60 1 pickup
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

SUBMISSION = """\
submission_milters =
submission_relay_restrictions = check_client_access static:OK, reject
submission_recipient_restrictions =
  reject_non_fqdn_recipient, reject_unlisted_recipient,
  check_policy_service {policy}, check_client_access static:OK, reject
"""

# Whom it takes mail for and from; who they are, is in vmail.
ADDRESSES = ("alice@example.com", "bob@example.com", "team@example.com",
             "news@example.com", "alice.smith@example.com",
             "o'brien@example.com")

# The log shows the header fields that policyd puts before messages.
HEADER_CHECKS = "/^Received-SPF:/ WARN\n"

VIRTUAL_ALIAS = "/^(.*)@alias\\.example$/ ${1}@example.com\n"


class Postfix:
    def __init__(self, directory, port, submission_port, policy):
        """policy: what check_policy_service gets, inet:127.0.0.1:7777."""
        self.directory = directory
        self.port = port
        self.submission_port = submission_port
        self.policy = policy
        self.config = os.path.join(directory, "etc")
        self.process = None

    def _write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as file:
            file.write(text)

    def configure(self, mailboxes=ADDRESSES, more="", changes=None):
        """more: lines for main.cf, behind all others; changes: parameters
        that get another value. A second line would do, but each process
        warns of it, postlogd to itself."""
        for name in ("etc", "queue", "data"):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        shutil.chown(os.path.join(self.directory, "data"), "postfix")
        self._write("virtual_alias", VIRTUAL_ALIAS)
        self._write("header_checks", HEADER_CHECKS)
        self._write("virtual_mailbox",
                    "".join("%s x\n" % one for one in mailboxes))
        main_cf = (MAIN_CF + SUBMISSION).format(
            directory=self.directory, policy=self.policy) + more
        for name, value in (changes or {}).items():
            line = "%s = %s" % (name, value)
            main_cf, n = re.subn(r"(?m)^%s =.*$" % name, line, main_cf)
            main_cf += "" if n else line + "\n"
        self._write("etc/main.cf", main_cf)
        self._write("etc/master.cf", MASTER_CF.format(
            port=self.port, submission_port=self.submission_port))
        return self

    def start(self):
        """Like "postfix start", but as our own child."""
        with open(os.path.join(self.directory, "start.log"), "w") as log:
            subprocess.run(["postfix", "-c", self.config, "check"],
                           stdout=log, stderr=log, check=True)
            daemons = subprocess.run(
                ["postconf", "-c", self.config, "-h", "daemon_directory"],
                stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            self.process = subprocess.Popen(
                [os.path.join(daemons, "master"), "-c", self.config, "-s"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        wait_for(self._answers, "Postfix in " + self.directory)
        return self

    def _answers(self):
        assert self.process.poll() is None, \
            "Postfix ended: see %s" % self.directory
        try:
            Session(self.port).close()
        except OSError:
            return False
        return True

    def session(self, address=None, **more):
        """A client on the port for everyone."""
        return Session(self.port, address=address, **more)

    def submission(self, login, address="198.51.100.7", **more):
        """A client that is logged in."""
        return Session(self.submission_port, address=address, login=login,
                       **more)

    def sendmail(self, sender, recipient, message):
        """A message that is entered on this machine."""
        subprocess.run(["sendmail", "-C", self.config, "-f", sender,
                        recipient], input=message.encode(), check=True)

    def log(self):
        with open(os.path.join(self.directory, "log"),
                  errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.process = None
