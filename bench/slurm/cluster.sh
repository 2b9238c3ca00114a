#!/bin/bash
# A real Slurm of two nodes on one machine, without systemd, on the loopback address alone. Needs root.
#   apt-get install --no-install-recommends slurm-wlm munge
#   cluster.sh start DIR; export SLURM_CONF=DIR/slurm.conf; sbatch …; cluster.sh stop DIR
set -euo pipefail
dir=$(mkdir -p "$2" && cd "$2" && pwd)
conf=$dir/slurm.conf
case $1 in
start)
	mkdir -p "$dir"/state "$dir"/n1 "$dir"/n2 /run/munge
	chown munge: /run/munge
	[ -S /run/munge/munge.socket.2 ] && munge -n >/dev/null 2>&1 || runuser -u munge -- munged --pid-file /run/munge/munged.pid
	cat >"$conf" <<END
ClusterName=one
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=16817
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=cred_expire=10
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/%n.log
SlurmdTimeout=10
ReturnToService=2
SchedulerParameters=requeue_delay=1,sched_interval=2
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=16821 CPUs=1 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=16822 CPUs=1 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
	export SLURM_CONF=$conf
	slurmctld -c
	for n in n1 n2; do slurmd -N $n; done
	for _ in $(seq 50); do [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] && break || sleep 0.2; done
	sinfo -N
	;;
stop)
	for p in "$dir"/*.pid; do kill "$(cat "$p")" 2>/dev/null || true; done
	;;
esac
