#!/bin/bash
# A real Spark of a master and two workers and a small S3 store, on the loopback address alone.
#   prepare.sh TOOLS; export TOOLS; cluster.sh start DIR; . DIR/env; spark-sql …; cluster.sh stop DIR
#   cluster.sh node DIR 1     a node that was lost comes back
# Workers find what this environment has: ONNXRUNTIME_LIB, FINETUNE_HOME and so on.
set -euo pipefail
dir=$(mkdir -p "$2" && cd "$2" && pwd)
node() {
	"$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.worker.Worker --host 127.0.0.1 --cores 1 --memory 700m \
		--webui-port "1808$1" spark://127.0.0.1:17077 >>"$dir/node$1.log" 2>&1 &
	echo $! >"$dir/node$1.pid"
}
case $1 in
start)
	mkdir -p "$dir/conf" "$dir/work" "$dir/bucket/jobs"
	cat >"$dir/conf/spark-defaults.conf" <<END
spark.master spark://127.0.0.1:17077
spark.driver.memory 600m
spark.driver.bindAddress 127.0.0.1
spark.driver.host 127.0.0.1
spark.executor.memory 512m
spark.executor.cores 1
spark.task.maxFailures ${FAILURES:-4}
spark.ui.enabled false
spark.sql.catalogImplementation in-memory
spark.sql.adaptive.enabled false
END
	site=$(echo "$TOOLS"/venv/lib/python3*/site-packages)
	cat >"$dir/env" <<END
export SPARK_HOME=$site/pyspark SPARK_CONF_DIR=$dir/conf SPARK_LOCAL_IP=127.0.0.1 SPARK_PUBLIC_DNS=localhost
export SPARK_WORKER_DIR=$dir/work SPARK_DAEMON_MEMORY=256m PYSPARK_PYTHON=$TOOLS/venv/bin/python3
export SPARK_DAEMON_JAVA_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dspark.worker.timeout=10 -Dspark.deploy.maxExecutorRetries=-1"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest
export BUCKET='region=us-east-1&use_path_style=true&endpoint=http://127.0.0.1:17070'
export PATH=$site/pyspark/bin:\$PATH
END
	. "$dir/env"
	"$TOOLS/versitygw" --quiet --access test --secret testtest --port 127.0.0.1:17070 posix "$dir/bucket" \
		>"$dir/store.log" 2>&1 &
	echo $! >"$dir/store.pid"
	"$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 17077 --webui-port 18080 \
		>"$dir/master.log" 2>&1 &
	echo $! >"$dir/master.pid"
	node 1
	node 2
	for _ in $(seq 600); do
		[ "$(grep -c 'Registering worker' "$dir/master.log")" -ge 2 ] && (: </dev/tcp/127.0.0.1/17070) 2>/dev/null && exit 0
		sleep 0.2
	done
	tail -n 5 "$dir"/*.log >&2
	exit 1
	;;
node)
	. "$dir/env"
	node "$3"
	;;
stop)
	for p in "$dir"/*.pid; do kill "$(cat "$p")" 2>/dev/null || true; done
	;;
esac
