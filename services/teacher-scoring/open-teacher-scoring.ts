/** The teacher-scoring service over one scorer, served. */
import type { ServerCredentials, ServerInterceptor } from '@grpc/grpc-js';
import { sidecarScorer } from '../adapters/scorer/sidecar.js';
import type { Channel } from '../runtime/grpc.js';
import { grpcMetrics } from '../runtime/grpc-metrics.js';
import type { ServiceBase } from '../runtime/service-base.js';
import { createRouter } from '../training/routing.js';
import { createScoringMetrics } from './metrics.js';
import { serveTeacherScoring } from './server.js';
import { createTeacherScoring } from './teacher-scoring.js';

export interface ServedTeacherScoring {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

export interface ScoringDoor {
  readonly host: string;
  readonly port: number;
  /** Absent or null: plain text, for whoever asks. */
  readonly secured?: { readonly credentials: ServerCredentials; readonly callers: ServerInterceptor } | null;
}

interface Sidecar {
  readonly address: string;
  readonly channel?: Channel;
}

export async function openTeacherScoring(base: ServiceBase, sidecar: Sidecar, { secured, ...listen }: ScoringDoor): Promise<ServedTeacherScoring> {
  const scorer = sidecarScorer(sidecar.address, sidecar.channel);
  const server = await serveTeacherScoring(createTeacherScoring({
    ...base, scorer, route: createRouter(base.contexts), metrics: createScoringMetrics(base.registry),
  }), { ...listen, interceptors: [grpcMetrics(base.registry), ...(secured ? [secured.callers] : [])], ...(secured && { credentials: secured.credentials }) });
  return {
    address: server.address,
    async close() {
      await server.close();
      scorer.close();
    },
  };
}
