/** kubectl against one cluster, as people use it. */
import { spawn } from 'node:child_process';

export interface Spoken {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Kubectl {
  /** With `input` on its standard input. */
  kubectl(args: readonly string[], input?: string): Promise<Spoken>;
  /** As `kubectl`; throws what it said if it fails. */
  kubectlOk(args: readonly string[], input?: string): Promise<string>;
}

/** `program`: asked for each call, since a cluster may be brought up later. */
export function kubectlOf(program: () => string, kubeconfig: string): Kubectl {
  const kubectl: Kubectl['kubectl'] = (args, input = '') => {
    const child = spawn(program(), ['--kubeconfig', kubeconfig, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, stdout, stderr }));
    });
  };
  return {
    kubectl,
    async kubectlOk(args, input) {
      const { code, stdout, stderr } = await kubectl(args, input);
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
  };
}
