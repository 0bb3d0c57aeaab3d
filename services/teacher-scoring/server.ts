/** Teacher scoring over gRPC: for a distiller or learner in another process. Loopback unless told otherwise. */
import {
  TeacherScoringServiceService, type ScoreEpisodesRequest, type ScoreEpisodesResponse, type TeacherScoringServiceServer,
} from '../../proto/gen/stemma/v1/control.js';
import { StemmaError } from '../../core/errors.js';
import { serveGrpc, toServiceError, type GrpcListen, type RunningGrpcServer } from '../runtime/grpc.js';
import type { ScoringRequest, TeacherScoring } from '../training/scoring.js';

export type ScoringListen = { readonly host?: string } & Pick<GrpcListen, 'port' | 'interceptors'>;

export function serveTeacherScoring(scoring: TeacherScoring, listen: ScoringListen = { port: 0 }): Promise<RunningGrpcServer> {
  const implementation: TeacherScoringServiceServer = {
    scoreEpisodes({ request }, callback) {
      answer(scoring, request)
        .then((response) => callback(null, response), (error: unknown) => callback(toServiceError(error)));
    },
  };
  return serveGrpc(TeacherScoringServiceService, implementation, { host: '127.0.0.1', ...listen, boundary: 'scorer' });
}

async function answer(scoring: TeacherScoring, { run, stage, purpose, episodes, step }: ScoreEpisodesRequest): Promise<ScoreEpisodesResponse> {
  const scores = await scoring.scoreEpisodes({ run, stage, purpose: checkedPurpose(purpose), episodes, step });
  return { scores: scores.map(({ episode, scored, failure }) => ({ episode, scored, failure: failure ?? '' })) };
}

function checkedPurpose(purpose: string): ScoringRequest['purpose'] {
  if (purpose === 'teacher' || purpose === 'reference') return purpose;
  throw new StemmaError('scorer', 'INVALID', `purpose '${purpose}' is not known`, "Ask for 'teacher' or 'reference'.");
}
