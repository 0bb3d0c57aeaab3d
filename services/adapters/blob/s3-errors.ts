/** A server's refusals as ours: which a person must mend, which pass. Messages of the SDK name keys and hosts, never a secret. */
import { StemmaError, type ErrorCode } from '../../../core/errors.js';

interface Failure {
  readonly bucket: string;
  /** '' for a request about the bucket itself. */
  readonly key: string;
  /** Of the HTTP answer; 0 where there was none. */
  readonly status: number;
  readonly name: string;
  readonly message: string;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly text: (failure: Failure) => string;
  readonly remedy: string;
  readonly fits: (failure: Failure) => boolean;
}

const NO_CREDENTIALS = ['CredentialsProviderError', 'TokenProviderError'];
const NO_SPACE = ['XMinioStorageFull', 'QuotaExceeded'];
const ACCESS = 'Check the credentials in the AWS environment and what they may do with that bucket: without s3:ListBucket a missing blob looks like a refusal.';

const subject = ({ bucket, key }: Failure): string => (key === '' ? `bucket ${bucket}` : `blob ${key} in bucket ${bucket}`);
const reason = ({ name, message }: Failure): string => message || name;

/** The first that fits. */
const MEANINGS: readonly Meaning[] = [
  { code: 'INVALID', text: ({ bucket }) => `there is no bucket ${bucket}`, remedy: 'Create it, or correct STEMMA_BLOBS.', fits: ({ name, status, key }) => name === 'NoSuchBucket' || (status === 404 && key === '') },
  { code: 'NOT_FOUND', text: (failure) => `${subject(failure)} is missing`, remedy: 'Restore it from a copy of the bucket.', fits: ({ status }) => status === 404 },
  { code: 'DISK_FULL', text: (failure) => `no space left to write ${subject(failure)}`, remedy: 'Free space on that server and try again.', fits: ({ status, name }) => status === 507 || NO_SPACE.includes(name) },
  {
    code: 'INVALID', text: (failure) => `no access to ${subject(failure)}: ${reason(failure)}`, remedy: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a profile or role) and AWS_REGION.',
    fits: ({ name, message }) => NO_CREDENTIALS.includes(name) || message === 'Region is missing',
  },
  { code: 'INVALID', text: (failure) => `no access to ${subject(failure)}: ${reason(failure)}`, remedy: ACCESS, fits: ({ status }) => status === 401 || status === 403 },
  {
    code: 'INVALID', text: (failure) => `the store refuses ${subject(failure)}: ${reason(failure)}`, remedy: 'Check STEMMA_BLOBS and the server\'s log.',
    fits: ({ status }) => status >= 300 && status < 500 && status !== 408 && status !== 429,
  },
  {
    code: 'UNAVAILABLE', text: (failure) => `the blob store does not answer for ${subject(failure)}: ${reason(failure)}`,
    remedy: 'Check that the server is up and reachable, and the endpoint in STEMMA_BLOBS; the work is tried again.', fits: () => true,
  },
];

/** The SDK has tried again already where that can help. */
export function s3Error(error: unknown, bucket: string, key: string): StemmaError {
  if (error instanceof StemmaError) return error;
  const { name, message } = error as Error;
  const failure: Failure = { bucket, key, status: statusOf(error), name, message };
  const { code, text, remedy } = MEANINGS.find(({ fits }) => fits(failure))!;
  return new StemmaError('blob', code, text(failure), remedy, error);
}

export function statusOf(error: unknown): number {
  return (error as { readonly $metadata?: { readonly httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0;
}
