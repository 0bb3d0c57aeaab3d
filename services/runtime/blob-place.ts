/** Where the blobs are, as STEMMA_BLOBS says: a directory, or s3://bucket[/prefix][?endpoint=URL][&region=NAME]. Pure. */

export interface Bucket {
  readonly bucket: string;
  /** '' or `a/b`, without slashes at its ends. */
  readonly prefix: string;
  /** Of an S3-compatible server; '' is AWS. */
  readonly endpoint: string;
  /** '' is what the AWS environment says. */
  readonly region: string;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[A-Za-z0-9._/-]*$/;
const REGION = /^[a-z0-9-]*$/;
/** What servers that have no regions are asked with. */
const ANY_REGION = 'us-east-1';

const EXPECTED = 'expected a directory or s3://bucket[/prefix][?endpoint=URL][&region=NAME]';

/** null where it is a directory; a text says what is wrong. Credentials have no place in it: they come from the AWS environment. */
export function bucketOf(place: string): Bucket | string | null {
  const scheme = SCHEME.exec(place)?.[1];
  if (scheme === undefined) return null;
  const url = parsed(place);
  if (scheme !== 's3' || url === null) return `${EXPECTED}, got '${scheme}://…'`;
  const { endpoint = '', region = '', ...others } = Object.fromEntries(url.searchParams) as { readonly [name: string]: string };
  if ([url, parsed(endpoint)].some((each) => each !== null && `${each.username}${each.password}` !== '')) {
    return 'credentials do not belong in it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile';
  }
  if (Object.keys(others).length > 0) return `unknown ${Object.keys(others).join(', ')}; ${EXPECTED}`;
  const bucket = { bucket: url.host, prefix: url.pathname.replace(/^\/+|\/+$/g, ''), endpoint, region };
  return problemOf(bucket) ?? { ...bucket, region: region === '' && endpoint !== '' ? ANY_REGION : region };
}

function problemOf({ bucket, prefix, endpoint, region }: Bucket): string | null {
  if (!BUCKET_NAME.test(bucket)) return `'${bucket}' is no bucket name`;
  if (!PREFIX.test(prefix)) return `prefix '${prefix}': use letters, digits, . _ - /`;
  if (!REGION.test(region)) return `'${region}' is no region`;
  return endpoint === '' || /^https?:$/.test(parsed(endpoint)?.protocol ?? '') ? null : 'endpoint: expected http://host:port or https://…';
}

function parsed(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}
