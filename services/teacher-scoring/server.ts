/** Teacher scoring over gRPC: for a distiller or learner in another process. Loopback unless told otherwise. */
import {
  TeacherScoringServiceService, type ScoreEpisodesRequest, type ScoreEpisodesResponse, type TeacherScoringServiceServer,
} from '../../proto/gen/stemma/v1/control.js';
import { SpanKind } from '@opentelemetry/api';
import { StemmaError } from '../../core/errors.js';
import { serveGrpc, toServiceError, type GrpcListen, type RunningGrpcServer } from '../runtime/grpc.js';
import { TRACEPARENT_KEY } from '../runtime/tracing/sidecar-spans.js';
import { inSpan } from '../runtime/tracing/spans.js';
import type { ScoringRequest, TeacherScoring } from '../training/scoring.js';

export type ScoringListen = { readonly host?: string } & Pick<GrpcListen, 'port' | 'interceptors' | 'credentials' | 'maxConnectionAgeMs'>;

export function serveTeacherScoring(scoring: TeacherScoring, listen: ScoringListen = { port: 0 }): Promise<RunningGrpcServer> {
  const implementation: TeacherScoringServiceServer = {
    scoreEpisodes({ request, metadata }, callback) {
      const { run, stage, step } = request;
      inSpan('TeacherScoringService/ScoreEpisodes', { about: { run, stage, step }, kind: SpanKind.SERVER, parent: metadata.get(TRACEPARENT_KEY)[0]?.toString() }, () => answer(scoring, request))
        .then((response) => callback(null, response), (error: unknown) => callback(toServiceError(error)));
    },
  };
  return serveGrpc(TeacherScoringServiceService, implementation, { host: '127.0.0.1', ...listen, boundary: 'scorer' });
}

async function answer(scoring: TeacherScoring, { run, stage, purpose, episodes, step, part, parts }: ScoreEpisodesRequest): Promise<ScoreEpisodesResponse> {
  const scores = await scoring.scoreEpisodes({ run, stage, purpose: checkedPurpose(purpose), episodes, step, ...(parts > 0 && { part, parts }) });
  return { scores: scores.map(({ episode, scored, failure }) => ({ episode, scored, failure: failure ?? '' })) };
}

function checkedPurpose(purpose: string): ScoringRequest['purpose'] {
  if (purpose === 'teacher' || purpose === 'reference') return purpose;
  throw new StemmaError('scorer', 'INVALID', `purpose '${purpose}' is not known`, "Ask for 'teacher' or 'reference'.");
}
