/** TrainingRun and Teacher as k8s/crds has them, after the API server has filled in the defaults. */
import type { Json } from '../../core/environment.js';
import type { KubeObject } from './resources.js';

export interface SecretKey {
  readonly name: string;
  readonly key: string;
}

export type Quantities = { readonly [resource: string]: string | number };

export interface RolePod {
  readonly resources?: { readonly requests?: Quantities; readonly limits?: Quantities };
  readonly nodeSelector?: { readonly [label: string]: string };
  readonly tolerations?: readonly { readonly [field: string]: Json }[];
}

export interface ReplicaBounds {
  readonly min: number;
  readonly max: number;
  readonly episodesPerReplica: number;
}

export interface ScaledRole extends RolePod {
  readonly replicas: ReplicaBounds;
}

export interface KafkaLog {
  readonly brokers: readonly string[];
  readonly tls: boolean;
  readonly caSecret?: SecretKey;
  readonly sasl?: { readonly mechanism: string; readonly user: string; readonly passwordSecret: SecretKey };
}

export interface BlobPlace {
  readonly claim?: string;
  readonly bucket?: string;
  readonly secret?: string;
}

/** A Secret with tls.crt, tls.key and ca.crt, as cert-manager writes it; with `perRole` one for each role, NAME-ROLE. */
export interface TlsSecrets {
  readonly secret: string;
  readonly perRole: boolean;
}

/** What a TrainingRun and a Teacher both say of where they work. */
export interface Surroundings {
  readonly image?: string;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  readonly log?: KafkaLog;
  readonly blobs?: BlobPlace;
  readonly temporal?: { readonly address: string; readonly tls?: boolean };
  /** Absent: plain text between the pods. */
  readonly tls?: TlsSecrets;
  readonly priorityClassName?: string;
  readonly queueName?: string;
}

export interface Override {
  readonly stage: string;
  readonly path: string;
  readonly value: Json;
}

export interface TrainingRunSpec extends Surroundings {
  readonly recipe: { readonly name?: string; readonly inline?: string; readonly configMap?: { readonly name: string; readonly key: string } };
  readonly seed: number;
  readonly overrides: readonly Override[];
  readonly suspend: boolean;
  readonly embedded: boolean;
  readonly storage?: { readonly size: string | number; readonly storageClassName?: string };
  readonly teacherPool?: string;
  readonly retention: { readonly podsAfterEndSeconds: number; readonly volume: 'Delete' | 'Retain'; readonly drainSeconds: number };
  readonly roles: {
    readonly gateway?: RolePod; readonly worker?: RolePod; readonly learner?: RolePod; readonly distiller?: RolePod; readonly allInOne?: RolePod;
    readonly rollout: ScaledRole; readonly teacherScoring: ScaledRole;
  };
}

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

export type Phase = 'Pending' | 'Starting' | 'Running' | 'Suspending' | 'Suspended' | 'Stopping' | 'Completed' | 'Failed' | 'Stopped' | 'Deleting';

/** An override that holds, and from which step on. */
export interface AppliedOverride {
  readonly stage: string;
  readonly path: string;
  readonly valueJson: string;
  readonly fromStep: number;
}

/** How many pods the roles that follow the work are asked to have. */
export interface Replicas {
  readonly rollout: number;
  readonly teacherScoring: number;
  /** RFC 3339; since when fewer would have done. */
  readonly lowerSince?: string;
}

export interface TrainingRunStatus {
  readonly observedGeneration?: number;
  readonly phase?: Phase;
  readonly message?: string;
  readonly run?: string;
  readonly stage?: string;
  readonly step?: number;
  readonly steps?: number;
  readonly progress?: string;
  readonly reward?: number;
  readonly endedAt?: string;
  readonly replicas?: Replicas;
  readonly overrides?: readonly AppliedOverride[];
  readonly conditions?: readonly Condition[];
}

export interface TrainingRun extends KubeObject {
  readonly spec: TrainingRunSpec;
  readonly status?: TrainingRunStatus;
}

export interface TeacherSpec extends Surroundings, RolePod {
  readonly pool: string;
  readonly domain: string;
  readonly checkpoint: { readonly run: string; readonly stage: string; readonly sha256?: string };
  readonly engine: 'sidecar';
  readonly replicas: number;
}

export interface Teacher extends KubeObject {
  readonly spec: TeacherSpec;
  readonly status?: { readonly observedGeneration?: number; readonly readyReplicas?: number; readonly conditions?: readonly Condition[] };
}

/** Name and id: a run that is deleted and created again is another run, on a log that remembers both. */
export function runIdOf({ metadata }: TrainingRun): string {
  return `${metadata.name}-${(metadata.uid ?? '').slice(0, 8)}`;
}

export function conditionOf(run: { readonly status?: { readonly conditions?: readonly Condition[] } }, type: string): Condition | undefined {
  return run.status?.conditions?.find((condition) => condition.type === type);
}

const ENDS = ['Finished', 'RunFailed', 'Stopped'];

/** The log says that nothing will follow. */
export function hasEnded(run: TrainingRun): boolean {
  return ENDS.includes(conditionOf(run, 'Completed')?.reason ?? '');
}
