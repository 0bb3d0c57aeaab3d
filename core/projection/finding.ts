/** What an audit finds: the fact that is wrong, and how. */
export interface Finding {
  /** run | stage <id> | episode <id>: the stream that holds the fact. */
  readonly stream: string;
  /** Payload type and natural key, e.g. "stepCommitted 3"; of a fact that is missing, where it should be. */
  readonly event: string;
  /** One sentence. */
  readonly what: string;
}

export function stageFinding(stage: string, event: string, what: string): Finding {
  return { stream: `stage ${stage}`, event, what };
}

export function episodeFinding(episode: string, event: string, what: string): Finding {
  return { stream: `episode ${episode}`, event, what };
}

export function runFinding(event: string, what: string): Finding {
  return { stream: 'run', event, what };
}
