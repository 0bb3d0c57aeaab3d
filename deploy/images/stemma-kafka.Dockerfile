# One Kafka broker without authentication, for the dev overlay. Production brings its own cluster.
ARG BASE=docker.io/library/eclipse-temurin:17-jre
FROM docker.io/library/maven:3.9-eclipse-temurin-17 AS jars
COPY deploy/images/kafka-pom.xml /pom.xml
RUN mvn -B -q -f /pom.xml dependency:copy-dependencies -DoutputDirectory=/opt/kafka

FROM ${BASE}
COPY --from=jars /opt/kafka /opt/kafka
COPY deploy/images/kafka-broker.sh /usr/local/bin/kafka-broker
RUN mkdir -p /var/lib/kafka && chown 10001:10001 /var/lib/kafka
USER 10001:10001
ENTRYPOINT ["kafka-broker"]
