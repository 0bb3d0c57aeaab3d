/** What is used of kafkajs's Cluster, which its public types leave out (docs/decisions/kafka-log.md says why it is used). */
declare module 'kafkajs/src/cluster/index.js' {
  import type { ISocketFactory, KafkaConfig, Logger, RetryOptions } from 'kafkajs';

  export interface FetchedRecord {
    readonly offset: string;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
  }

  export interface ClusterBroker {
    fetch(request: {
      replicaId: number; isolationLevel: number; maxWaitTime: number; minBytes: number; maxBytes: number;
      topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[];
    }): Promise<{ responses: { topicName: string; partitions: { partition: number; highWatermark: string; messages: FetchedRecord[] }[] }[] }>;
  }

  export default class Cluster {
    constructor(options: {
      logger: Logger; socketFactory: ISocketFactory; brokers: readonly string[]; ssl?: KafkaConfig['ssl']; sasl?: KafkaConfig['sasl'];
      clientId?: string; connectionTimeout?: number; authenticationTimeout?: number; requestTimeout?: number; enforceRequestTimeout?: boolean;
      retry?: RetryOptions; metadataMaxAge: number; allowAutoTopicCreation: boolean; isolationLevel: number;
    });
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    addTargetTopic(topic: string): Promise<void>;
    /** Leader → its partitions; from the metadata of the last refresh. */
    findLeaderForPartitions(topic: string, partitions: readonly number[]): { readonly [nodeId: string]: number[] };
    findBroker(node: { nodeId: string }): Promise<ClusterBroker>;
    fetchTopicsOffset(topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[]): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>;
  }
}
