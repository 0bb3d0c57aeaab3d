/** Search attributes: what the Temporal UI can filter runs and stages by. All are Keywords; startTemporal registers them. */
import { SearchAttributeType, defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { upsertSearchAttributes } from '@temporalio/workflow';
import type { RunStatus } from './messages.js';

const KEYS = {
  recipe: defineSearchAttributeKey('StemmaRecipe', SearchAttributeType.KEYWORD),
  stage: defineSearchAttributeKey('StemmaStage', SearchAttributeType.KEYWORD),
  domain: defineSearchAttributeKey('StemmaDomain', SearchAttributeType.KEYWORD),
  status: defineSearchAttributeKey('StemmaStatus', SearchAttributeType.KEYWORD),
} as const;

export interface Attributes {
  readonly recipe?: string;
  readonly stage?: string;
  readonly domain?: string;
  readonly status?: RunStatus;
}

/** Those named; the others keep their value. */
export function describeInSearch(attributes: Attributes): void {
  const pairs = attributePairs(attributes);
  if (pairs.length > 0) upsertSearchAttributes(pairs);
}

/** As whoever starts a workflow gives them. */
export function attributePairs(attributes: Attributes): SearchAttributePair[] {
  return (['recipe', 'stage', 'domain', 'status'] as const)
    .flatMap((name) => (attributes[name] === undefined ? [] : [{ key: KEYS[name], value: attributes[name] }]));
}
