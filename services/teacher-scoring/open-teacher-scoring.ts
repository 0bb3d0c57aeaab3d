/** The teacher-scoring service over one scorer, served. */
import { sidecarScorer } from '../adapters/scorer/sidecar.js';
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

export async function openTeacherScoring(base: ServiceBase, sidecarAddress: string, listen: { readonly host: string; readonly port: number }): Promise<ServedTeacherScoring> {
  const scorer = sidecarScorer(sidecarAddress);
  const server = await serveTeacherScoring(createTeacherScoring({
    ...base, scorer, route: createRouter(base.contexts), metrics: createScoringMetrics(base.registry),
  }), { ...listen, interceptors: [grpcMetrics(base.registry)] });
  return {
    address: server.address,
    async close() {
      await server.close();
      scorer.close();
    },
  };
}
