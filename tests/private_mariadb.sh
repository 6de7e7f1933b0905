#!/bin/sh
# A private MariaDB in a directory of its own.
#
#   private_mariadb.sh start DIR    make it if need be, start it, wait for it
#   private_mariadb.sh stop DIR     end it in good order
#   private_mariadb.sh kill DIR     end it as a power cut would
#   private_mariadb.sh freeze DIR   stop its process (SIGSTOP)
#   private_mariadb.sh thaw DIR     let it go on
#
# It listens on DIR/mariadb.sock; root may log in there without a password,
# as may the user who runs this. Its process number is in DIR/mariadb.pid,
# its messages in DIR/mariadb.log. The environment may say:
#
#   MARIADB_PORT          also listen on 127.0.0.1 at this port
#   MARIADB_FLUSH         innodb_flush_log_at_trx_commit (1)
#   MARIADB_BUFFER_POOL   innodb_buffer_pool_size (64M)
#   MARIADB_OPTIONS       more options of mariadbd, separated by blanks
set -eu

PATH=$PATH:/usr/sbin:/usr/local/sbin
START_SECONDS=60

die() {
	echo "private_mariadb: $*" >&2
	exit 1
}

[ $# -eq 2 ] || die "usage: $0 start|stop|kill|freeze|thaw DIR"
command=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
socket=$dir/mariadb.sock
pid_file=$dir/mariadb.pid
log=$dir/mariadb.log
[ ${#socket} -le 100 ] || die "$socket: too long for a socket"

# A process number that was left behind may belong to somebody else by now.
is_running() {
	[ -s "$pid_file" ] &&
		kill -0 "$(cat "$pid_file")" 2>/dev/null &&
		grep -q mariadbd "/proc/$(cat "$pid_file")/comm" 2>/dev/null
}

# mariadbd runs as root only when it is told so; Debian's packages of the bare
# server make no account for it.
user_options() {
	if [ "$(id -u)" -eq 0 ]; then
		echo --user=root
	fi
}

make_data() {
	[ -d "$dir/data/mysql" ] && return
	command -v mariadb-install-db >/dev/null ||
		die "mariadb-install-db is missing: install mariadb-server-core"
	mkdir -p "$dir/data" "$dir/tmp"
	# shellcheck disable=SC2046
	mariadb-install-db --no-defaults $(user_options) \
		--datadir="$dir/data" --tmpdir="$dir/tmp" \
		--auth-root-authentication-method=normal \
		--skip-test-db --skip-name-resolve >"$dir/install.log" 2>&1 ||
		die "mariadb-install-db failed: see $dir/install.log"
}

launch() {
	if [ -n "${MARIADB_PORT:-}" ]; then
		net="--port=$MARIADB_PORT --bind-address=127.0.0.1"
	else
		net=--skip-networking
	fi
	rm -f "$pid_file" "$socket"
	# The parent of a private server is nobody: it outlives this script.
	# shellcheck disable=SC2046,SC2086
	setsid mariadbd --no-defaults $(user_options) \
		--datadir="$dir/data" --tmpdir="$dir/tmp" \
		--socket="$socket" --pid-file="$pid_file" \
		--log-error="$log" --skip-name-resolve $net \
		--innodb-flush-log-at-trx-commit="${MARIADB_FLUSH:-1}" \
		--innodb-buffer-pool-size="${MARIADB_BUFFER_POOL:-64M}" \
		--innodb-log-file-size=48M --key-buffer-size=1M \
		--aria-pagecache-buffer-size=8M --performance-schema=OFF \
		--skip-log-bin --max-connections=300 \
		${MARIADB_OPTIONS:-} </dev/null >>"$log" 2>&1 &
	child=$!
}

wait_until_ready() {
	tries=$((START_SECONDS * 20))
	while [ $tries -gt 0 ]; do
		if [ -S "$socket" ] && mariadb --no-defaults \
			--socket="$socket" -u root -e "DO 0" >/dev/null 2>&1; then
			return
		fi
		kill -0 $child 2>/dev/null || die "mariadbd ended: see $log"
		tries=$((tries - 1))
		sleep 0.05
	done
	die "mariadbd does not answer: see $log"
}

wait_until_gone() {
	pid=$1
	while kill -0 "$pid" 2>/dev/null &&
		[ "$(awk '{ print $3 }' "/proc/$pid/stat" 2>/dev/null)" != Z ]; do
		sleep 0.02
	done
}

freeze() {
	is_running || die "no server is running in $dir"
	pid=$(cat "$pid_file")
	kill -STOP "$pid"
	# The signal reaches its threads one by one.
	while cat "/proc/$pid/task/"*/stat 2>/dev/null |
		sed 's/.*) //' | grep -v '^T' >/dev/null; do
		sleep 0.01
	done
}

# Without complaint if it is not frozen, or not there.
thaw() {
	! is_running || kill -CONT "$(cat "$pid_file")"
}

end() {
	is_running || return 0
	pid=$(cat "$pid_file")
	kill "-$1" "$pid"
	wait_until_gone "$pid"
	rm -f "$pid_file" "$socket"
}

case $command in
start)
	thaw
	! is_running || exit 0
	command -v mariadbd >/dev/null ||
		die "mariadbd is missing: install mariadb-server-core"
	make_data
	launch
	wait_until_ready
	;;
stop)
	# A frozen one would never hear it.
	thaw
	end TERM
	;;
kill) end KILL ;;
freeze) freeze ;;
thaw) thaw ;;
*) die "$command: not known" ;;
esac
