#!/bin/sh
# One KRaft node, formatted on its first start. ADVERTISED: host:port under which clients reach it. DATA: where it keeps its log.
set -eu
DATA="${DATA:-/var/lib/kafka}"
CONFIGURATION=/tmp/server.properties
cat > "$CONFIGURATION" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:9093
listeners=PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093
advertised.listeners=PLAINTEXT://${ADVERTISED}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=${DATA}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
EOF
java="java -Xms256m -Xmx512m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError"
[ -f "$DATA/log/meta.properties" ] || $java -cp '/opt/kafka/*' kafka.tools.StorageTool format -t "$($java -cp '/opt/kafka/*' kafka.tools.StorageTool random-uuid)" -c "$CONFIGURATION" --standalone
exec $java -cp '/opt/kafka/*' kafka.Kafka "$CONFIGURATION"
