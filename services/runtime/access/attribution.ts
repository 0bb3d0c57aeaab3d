/**
 * Who asked, from where. The gateway knows; Temporal carries it to whoever records the fact, and Temporal takes messages from
 * others too. So the gateway seals what it says, and a message without a good seal is recorded as `unverified`.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Asked } from '../../../workflows/messages.js';
import { canonicalJson } from '../canonical-json.js';

/** As recorded in the log. */
export interface Attribution {
  readonly by: string;
  /** Address of the caller without its port, or `local`. */
  readonly origin: string;
}

/** What is asked for: a seal holds for nothing else. */
export interface Request {
  readonly run: string;
  /** Update id, or '' for the submission. */
  readonly updateId: string;
  readonly action: string;
}

export const UNVERIFIED = 'unverified';

/** '' where there is no secret: what is said then stays unverified. */
export function sealed(secret: string, request: Request, { by, origin }: Attribution): Required<Asked> {
  return { by, origin, seal: secret === '' ? '' : seal(secret, request, { by, origin }) };
}

export function attributionOf(secret: string, request: Request, asked: Asked | null): Attribution {
  // What a person typed into the Temporal UI may be anything.
  const [by, origin, given] = [asked?.by, asked?.origin, asked?.seal].map((value: unknown) => (typeof value === 'string' ? value : '')) as [string, string, string];
  if (secret !== '' && given !== '' && isSame(given, seal(secret, request, { by, origin }))) return { by, origin };
  return { by: by === '' ? UNVERIFIED : `${UNVERIFIED} (${by.slice(0, 64)})`, origin: '' };
}

function seal(secret: string, { run, updateId, action }: Request, { by, origin }: Attribution): string {
  return createHmac('sha256', Buffer.from(secret, 'base64')).update(canonicalJson([run, updateId, action, by, origin])).digest('base64');
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
