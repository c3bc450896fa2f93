#!/usr/bin/env bash
# slurm_up.sh - one-node SLURM for tests, in a Debian container without systemd and without cgroups.
#
#   slurm_up.sh up       install what is missing, start munged + slurmctld + slurmd, wait until a job runs (default)
#   slurm_up.sh env      print the exports a client shell needs     (eval "$(slurm_up.sh env)")
#   slurm_up.sh exec CMD run CMD with SLURM_CONF set
#   slurm_up.sh status   exit 0 when the cluster answers, 1 otherwise
#   slurm_up.sh drain    cancel every job and wait for an empty queue (between tests)
#   slurm_up.sh down     stop the three (or five) daemons; keeps state and logs
#   slurm_up.sh wipe     down + remove the state directory
#
# Everything (config, munge key, sockets, spool, logs, pid files) lives under $SLURM_LAB_DIR; nothing is written
# to /etc/slurm or /etc/munge, so a workstation's real cluster configuration is never touched. Root is needed to
# install packages only; started by another user, the cluster runs that user's jobs alone.
# "up" is idempotent: it starts only what is not running, and restarts when the rendered configuration changed.
#
# Knobs (environment):
#   SLURM_LAB_DIR   state directory                                              [/var/lib/slurm-lab]
#   SLURM_LAB_PORT  first of three consecutive loopback ports                    [27817]
#   SLURM_LAB_CPUS  CPUs the node claims to have (may exceed the real ones)      [8]
#   SLURM_LAB_MEM   MiB of memory the node claims to have                        [8192]
#   SLURM_LAB_GPUS  pretend GPUs (links to /dev/null; sets CUDA_VISIBLE_DEVICES) [4]
#   SLURM_LAB_ACCT  1 = also mariadb + slurmdbd, so that sacct works; 0 = without [1]
#   SLURM_LAB_USR   1 = a preempted job gets its --signal at once; 0 = only SIGTERM [1]
#   SLURM_LAB_WAIT  seconds to wait for each thing to come up                    [60]
set -euo pipefail
umask 022

DIR=${SLURM_LAB_DIR:-/var/lib/slurm-lab}
PORT=${SLURM_LAB_PORT:-27817}
CPUS=${SLURM_LAB_CPUS:-8}
MEM=${SLURM_LAB_MEM:-8192}
GPUS=${SLURM_LAB_GPUS:-4}
ACCT=${SLURM_LAB_ACCT:-1}
USRSIG=${SLURM_LAB_USR:-1}
WAIT=${SLURM_LAB_WAIT:-60}
NODE=lab0
ME=$(id -un)
CONF=$DIR/etc/slurm.conf
SOCK=$DIR/run/munge.socket
export SLURM_CONF=$CONF
export PATH=$PATH:/usr/sbin:/sbin

say()  { printf 'slurm_up: %s\n' "$*" >&2; }
fail() { say "FAILED: $*"; tails; exit 1; }
tails() {
  local f
  for f in "$DIR"/log/*.log; do
    [ -s "$f" ] && { printf -- '--- last lines of %s\n' "$f" >&2; tail -n 8 "$f" >&2; }
  done
  return 0
}
# alive NAME: the pid file names a live process which is that program (a recycled pid is not enough)
alive() {
  local pid
  pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$1"
}
# stop NAME: TERM, then KILL after 10 s
stop() {
  alive "$1" || { rm -f "$DIR/run/$1.pid"; return 0; }
  local pid i
  pid=$(cat "$DIR/run/$1.pid")
  kill -TERM "$pid" 2>/dev/null || true
  for i in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$DIR/run/$1.pid"
}
# until_ok WHAT CMD...: run CMD each 0.2 s until it succeeds
until_ok() {
  local what=$1 end; shift
  end=$((SECONDS + WAIT))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "$what did not come up within ${WAIT}s"
    sleep 0.2
  done
}

install_packages() {
  local want=() c
  command -v munged    >/dev/null || want+=(munge)
  command -v slurmctld >/dev/null || want+=(slurmctld)
  command -v slurmd    >/dev/null || want+=(slurmd)
  command -v sbatch    >/dev/null || want+=(slurm-client)
  if [ "$ACCT" = 1 ]; then
    command -v slurmdbd >/dev/null || want+=(slurmdbd)
    compgen -G '/usr/lib/*/slurm-wlm/accounting_storage_mysql.so' >/dev/null || want+=(slurm-wlm-mysql-plugin)
    command -v mariadbd >/dev/null || want+=(mariadb-server)
  fi
  [ ${#want[@]} -eq 0 ] && return 0
  [ "$(id -u)" = 0 ] || { say "missing packages: ${want[*]} (run once as root, or apt-get install them)"; exit 1; }
  say "installing ${want[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local guard=""
  if [ ! -e /usr/sbin/policy-rc.d ]; then            # packages must not start their own daemons
    guard=1; printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
  fi
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o APT::Sandbox::User=root)
  mkdir -p "$DIR/log"
  if ! "${apt[@]}" install --no-install-recommends "${want[@]}" >"$DIR/log/apt.txt" 2>&1; then
    "${apt[@]}" update >>"$DIR/log/apt.txt" 2>&1 || true   # a stale or empty package list is the usual reason
    "${apt[@]}" install --no-install-recommends "${want[@]}" >>"$DIR/log/apt.txt" 2>&1 || {
      [ -z "$guard" ] || rm -f /usr/sbin/policy-rc.d
      tail -n 20 "$DIR/log/apt.txt" >&2; fail "apt-get install ${want[*]}"; }
  fi
  [ -z "$guard" ] || rm -f /usr/sbin/policy-rc.d
  hash -r
}

render() {
  mkdir -p "$DIR"/{etc,run,log,state,spool,gpu,bin}
  chmod 755 "$DIR" "$DIR"/{etc,run,log,bin}
  if [ ! -s "$DIR/etc/munge.key" ]; then
    (umask 077; head -c 1024 /dev/urandom >"$DIR/etc/munge.key")
  fi
  chmod 400 "$DIR/etc/munge.key"
  local host i
  host=$(hostname -s 2>/dev/null || hostname)
  for ((i = 0; i < GPUS; i++)); do ln -sfn /dev/null "$DIR/gpu/$i"; done   # slurmd wants character devices; a link needs no CAP_MKNOD
  {
    cat <<CONF
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
SlurmUser=$ME
SlurmdUser=$ME
AuthType=auth/munge
CredType=cred/munge
# a short credential life also shortens the hold after a requeue (it is the BeginTime delay)
AuthInfo=socket=$SOCK,cred_expire=5
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.log
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool
# no cgroups, no PAM, no MPI
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
# the node claims more than the machine has, so that four jobs fit on two cores
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
ReturnToService=2
# quick decisions: this cluster exists for tests
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=2
InactiveLimit=0
PropagateResourceLimits=NONE
KillWait=5
MinJobAge=3600
SlurmctldTimeout=30
SlurmdTimeout=60
# preemption: a job in "main" requeues jobs of "low"; they get their --signal first, then GraceTime seconds
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
CONF
    [ "$USRSIG" != 1 ] || printf 'SlurmctldParameters=preempt_send_user_signal\n'
    if [ "$ACCT" = 1 ]; then
      printf 'AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\nAccountingStoragePort=%s\nAccountingStoragePass=%s\n' $((PORT + 2)) "$SOCK"
    else
      printf 'AccountingStorageType=accounting_storage/none\n'
    fi
    printf 'JobCompType=jobcomp/filetxt\nJobCompLoc=%s\n' "$DIR/log/jobcomp.txt"
    local gres=""
    if [ "$GPUS" -gt 0 ]; then printf 'GresTypes=gpu\n'; gres=" Gres=gpu:$GPUS"; fi
    cat <<CONF
NodeName=$NODE NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 1)) CPUs=$CPUS RealMemory=$MEM$gres State=UNKNOWN
PartitionName=main Nodes=$NODE Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=off
PartitionName=low  Nodes=$NODE MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
CONF
  } >"$CONF.new"
  if [ "$GPUS" -gt 0 ]; then
    printf 'NodeName=%s Name=gpu File=%s\n' "$NODE" "$DIR/gpu/[0-$((GPUS - 1))]" >"$DIR/etc/gres.conf"
  else
    rm -f "$DIR/etc/gres.conf"
  fi
  # 22.05 has no CgroupPlugin=disabled; the v1 plugin touches nothing as long as no plugin above asks for a cgroup
  printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=%s\n' "$DIR/nocgroup" >"$DIR/etc/cgroup.conf"
  if [ "$ACCT" = 1 ]; then
    (umask 077; cat >"$DIR/etc/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$SOCK
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT + 2))
SlurmUser=$ME
PidFile=$DIR/run/slurmdbd.pid
LogFile=$DIR/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=$ME
StorageLoc=slurm_lab
CONF
    )
  fi
}

start_db() {
  local owner=()
  mkdir -p "$DIR/db"
  if [ "$(id -u)" = 0 ]; then chown mysql:mysql "$DIR/db"; owner=(--user=mysql); fi
  local sock=$DIR/db/mysqld.sock
  if [ ! -d "$DIR/db/mysql" ]; then
    mariadb-install-db --no-defaults --force --skip-name-resolve "${owner[@]}" --datadir="$DIR/db" --skip-test-db \
      --auth-root-authentication-method=socket --auth-root-socket-user="$ME" >"$DIR/log/mariadb-install.txt" 2>&1 || fail "mariadb-install-db"
  fi
  if ! alive mariadbd; then
    setsid mariadbd --no-defaults --datadir="$DIR/db" --socket="$sock" "${owner[@]}" --skip-networking --skip-name-resolve \
      --pid-file="$DIR/db/mariadbd.pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
      --log-error="$DIR/db/mariadbd.log" </dev/null >/dev/null 2>&1 &
    until_ok mariadbd mariadb-admin --no-defaults --socket="$sock" ping
    ln -sfn "$DIR/db/mariadbd.pid" "$DIR/run/mariadbd.pid"
  fi
  # MYSQL_UNIX_PORT: where the client library inside slurmdbd looks for the server
  if ! alive slurmdbd; then
    MYSQL_UNIX_PORT=$sock slurmdbd || fail "slurmdbd"
    until_ok slurmdbd sacctmgr -n -i list cluster
  fi
  [ -n "$(sacctmgr -n -i list cluster lab format=Cluster 2>/dev/null)" ] || sacctmgr -i add cluster lab >/dev/null
}

up() {
  local t0 changed=""
  t0=$(date +%s.%N)
  install_packages
  render
  if [ -e "$CONF" ] && ! cmp -s "$CONF" "$CONF.new"; then changed=1; fi
  if [ -n "$changed" ]; then say "configuration changed: restarting"; down; rm -rf "$DIR"/{state,spool,db}; mkdir -p "$DIR"/{state,spool}; fi   # db too: job ids start at 1 again, and sacct must not answer with old jobs
  mv -f "$CONF.new" "$CONF"

  if ! munge -S "$SOCK" -n </dev/null >/dev/null 2>&1; then
    rm -f "$SOCK" "$SOCK.lock"
    munged --force --socket="$SOCK" --key-file="$DIR/etc/munge.key" --log-file="$DIR/log/munged.log" \
      --pid-file="$DIR/run/munged.pid" --seed-file="$DIR/state/munged.seed" 2>"$DIR/log/munged.stderr.log" || fail munged
    until_ok munged sh -c "munge -S '$SOCK' -n </dev/null | unmunge -S '$SOCK'"
  fi
  [ "$ACCT" != 1 ] || start_db
  if ! alive slurmctld; then slurmctld -f "$CONF" || fail slurmctld; fi
  until_ok slurmctld sh -c 'scontrol ping | grep -q "is UP"'
  if ! alive slurmd; then slurmd -f "$CONF" -N "$NODE" || fail slurmd; fi
  # a node which an earlier run left down or draining comes back here
  local end=$((SECONDS + WAIT)) st
  while :; do
    st=$(sinfo -h -n "$NODE" -o %T 2>/dev/null | head -n1)
    case $st in
      idle|mixed|allocated) break ;;
      down*|drain*) scontrol update "NodeName=$NODE" State=RESUME 2>/dev/null || true ;;
    esac
    [ $SECONDS -lt $end ] || fail "node state is '$st'"
    sleep 0.2
  done
  # the proof: a job step runs
  timeout "$WAIT" srun -p main -n1 -c1 --mem=16 -t1 -Q true || fail "srun of a trivial job"
  say "up in $(date +%s.%N | awk -v a="$t0" '{printf "%.1f", $1-a}') s: slurm $(sinfo -V | awk '{print $2}'), node $NODE cpus=$CPUS mem=${MEM}M gpus=$GPUS acct=$ACCT; eval \"\$($0 env)\""
}

status() { munge -S "$SOCK" -n </dev/null >/dev/null 2>&1 && scontrol ping 2>/dev/null | grep -q "is UP" && sinfo -h -n "$NODE" -o %T | grep -Eq "idle|mixed|alloc" || return 1; }
drain() {
  local end=$((SECONDS + WAIT)) ids
  while ids=$(squeue -h -r -o %i 2>/dev/null) && [ -n "$ids" ]; do
    [ $SECONDS -lt $end ] || { squeue >&2; fail "the queue is not empty"; }
    scancel -Q -f -s KILL $ids 2>/dev/null || true    # submitit ignores TERM; do not wait KillWait for each job
    scancel -Q $ids 2>/dev/null || true
    sleep 0.5
  done
}
down() {
  if alive slurmctld && alive slurmd; then timeout 20 "$0" drain || true; fi
  stop slurmd; stop slurmctld; stop slurmdbd; stop mariadbd; stop munged; rm -f "$SOCK" "$SOCK.lock"
}

# one "up", "down" or "wipe" at a time; -o keeps the daemons from inheriting the lock
case ${1:-up} in
  up|down|wipe)
    if [ -z "${SLURM_LAB_LOCKED:-}" ]; then
      mkdir -p "$(dirname "$DIR")"
      export SLURM_LAB_LOCKED=1
      exec flock -o -w 300 "$DIR.lock" "$0" "$@"
    fi ;;
esac

case ${1:-up} in
  up) up ;;
  env) printf 'export SLURM_CONF=%q\n' "$CONF" ;;
  status) status ;;
  drain) drain ;;
  down) down ;;
  wipe) down; rm -rf "$DIR" ;;
  exec) shift; exec "$@" ;;
  *) sed -n '2,28p' "$0" >&2; exit 2 ;;
esac
