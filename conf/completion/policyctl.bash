# Completion of policyctl for bash.

# A command on each line, and its options behind the colon.
_policyctl_commands() {
	cat <<'EOT'
status
stats:--watch
explain:--limit
test:--sender --recipient --client --login --helo --client-name --reverse-name --from --size --stage --recipients
tail:--rule --action
parallel:--rule --limit
rules
policy show
policy set:--reason
policy unset
policy check
greylist list:--account --limit
greylist show:--limit
greylist pass
greylist forget
greylist enable:--from --to --comment
greylist disable:--from --to --comment
greylist remove:--from --to
greylist whitelist list:--account --limit
greylist whitelist add:--to --comment
greylist whitelist remove:--to
greylist whitelist-domain list:--limit
greylist whitelist-domain add
greylist whitelist-domain refresh:--plan
greylist whitelist-domain remove
rdns list:--limit
rdns add:--black --white
rdns remove
reputation show
reputation allow
reputation forget
reputation list:--limit
access list:--account --outbound --expired --limit
access add:--white --black --account --outbound --expires --reason
access remove:--all --white --black --account --outbound
access test:--sender --recipient --client --login
throttle list:--account --limit
throttle show
throttle set:--period --msg-size --max-msgs --max-quota --max-rcpts
throttle unset
throttle reset
throttle fix-priorities:--dry-run
spf check:--ip --helo --sender --resolver --timeout --explain
dmarc check:--from --spf --dkim --resolver --timeout --explain
dmarc list:--limit
dmarc report:--day --output
dkim new:--selector --algorithm --reason
dkim list:--attention --limit
dkim show
dkim publish
dkim check
dkim activate:--force --reason
dkim rotate:--all
dkim retire:--force --reason
dkim export:--output
dkim import:--amavis --iredmail --directory
dkim master-key
srs encode
srs decode
srs keys
srs new-key
srs exclude list:--limit
srs exclude add
srs exclude remove
config check
config show:--all
db migrate:--plan --sql-dir --user --password-file
db status:--user --password-file
db prune:--dry-run
migrate from iredapd:--settings --plan --output --force
migrate from postgrey:--plan --data --whitelists --delay --auto-whitelist
migrate from sqlgrey:--plan --host --socket --user --name --password-file --whitelists --opt-method
migrate from cluebringer:--plan --host --socket --user --name --password-file
doctor:--postfix-dir
reload
version
help
EOT
}

# The words of the command line before the one being completed that are no
# options: the command, and what is given to it.
_policyctl_words() {
	local i word
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--config | --socket) ((i++)) ;;
		-*) ;;
		*) printf '%s ' "$word" ;;
		esac
	done
}

_policyctl() {
	local current=${COMP_WORDS[COMP_CWORD]}
	local previous=${COMP_WORDS[COMP_CWORD - 1]}
	local typed line words options choices=

	case $previous in
	--config | --socket | --password-file | --sql-dir | --settings | --output | \
		--postfix-dir | --data | --whitelists)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	esac
	typed=$(_policyctl_words)
	while read -r line; do
		words=${line%%:*}
		options=
		case $line in
		*:*) options=${line#*:} ;;
		esac
		case "$words " in
		"$typed"*)
			words=${words#"${typed% }"}
			words=${words# }
			choices="$choices ${words%% *}"
			;;
		esac
		case "$typed" in
		"${line%%:*} "*) choices="$choices $options" ;;
		esac
	done < <(_policyctl_commands)
	case $typed in
	"config check "*)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	esac
	case $current in
	-*) choices="$choices --json --config --socket --help --version" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current" | sort -u)
}

complete -F _policyctl policyctl
