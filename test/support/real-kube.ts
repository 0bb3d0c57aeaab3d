/**
 * A real etcd and kube-apiserver for tests, with a controller manager where asked for; no nodes. STEMMA_TEST_KUBE, else what set-up
 * built; without them such tests are skipped by name, and fail under CI=true.
 */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { kubeApi, type KubeApi } from '../../k8s/operator/api.js';
import { superviseChild, type SupervisedChild } from '../../services/runtime/child-process.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { packageRoot } from '../../services/runtime/package-root.js';
import { kubectlOf, type Kubectl } from './kubectl.js';
import { describeUnlessLacking, setUpPart } from './set-up-part.js';

function programs(): string {
  const found = process.env['STEMMA_TEST_KUBE'] ?? setUpPart('kube');
  return existsSync(join(found, 'kube-apiserver')) ? found : '';
}

/** A suite that needs an API server. */
export function describeWithKube(name: string, suite: () => void): void {
  describeUnlessLacking(programs() === '' ? 'no Kubernetes: run `npm run setup -- --only=kube`, or set STEMMA_TEST_KUBE' : '', name, suite);
}

export interface RealKube extends Kubectl {
  readonly config: KubeConfig;
  /** A file for KUBECONFIG. */
  readonly kubeconfig: string;
  readonly api: KubeApi;
  /** k8s/crds, until the server serves them. */
  installKinds(): Promise<void>;
  /** The API server is stopped as by a debugger: it takes connections and answers nobody. */
  whileSilent(meanwhile: () => Promise<void>): Promise<void>;
  dispose(): Promise<void>;
}

const TOKEN = 'only-for-tests';

/** `controllers`: with a controller manager that runs these, or all of them (`*`): then Deployments get pods, which no node runs. `admission`: plug-ins beside the usual ones. */
export async function openRealKube({ controllers = [] as readonly string[], admission = [] as readonly string[] } = {}): Promise<RealKube> {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-kube-'));
  const [etcdPort, peerPort, port, managerPort] = (await freePorts(4)) as [number, number, number, number];
  const children: SupervisedChild[] = [];
  const etcd = `http://127.0.0.1:${etcdPort}`;
  children.push(await start('etcd', [
    '--name', 't', '--data-dir', join(directory, 'etcd'), '--listen-client-urls', etcd, '--advertise-client-urls', etcd, '--unsafe-no-fsync',
    '--listen-peer-urls', `http://127.0.0.1:${peerPort}`, '--initial-advertise-peer-urls', `http://127.0.0.1:${peerPort}`, '--initial-cluster', `t=http://127.0.0.1:${peerPort}`,
  ], () => answers(`${etcd}/health`)));
  const keys = await writeKeys(directory);
  const server = `https://127.0.0.1:${port}`;
  const apiserver = await start('kube-apiserver', [
    `--etcd-servers=${etcd}`, `--cert-dir=${join(directory, 'certificates')}`, `--secure-port=${port}`, '--bind-address=127.0.0.1', '--advertise-address=127.0.0.1',
    '--service-cluster-ip-range=10.0.0.0/24', '--authorization-mode=RBAC', '--endpoint-reconciler-type=none',
    `--service-account-issuer=${server}/`, `--service-account-key-file=${keys.public}`, `--service-account-signing-key-file=${keys.private}`, `--token-auth-file=${keys.tokens}`,
    ...(admission.length > 0 ? [`--enable-admission-plugins=${admission.join(',')}`] : []),
  ], () => answers(`${server}/readyz`));
  children.push(apiserver);
  const kubeconfig = join(directory, 'kubeconfig.json');
  writeFileSync(kubeconfig, JSON.stringify({
    apiVersion: 'v1', kind: 'Config', 'current-context': 't', contexts: [{ name: 't', context: { cluster: 't', user: 't' } }],
    clusters: [{ name: 't', cluster: { server, 'insecure-skip-tls-verify': true } }], users: [{ name: 't', user: { token: TOKEN } }],
  }));
  if (controllers.length > 0) {
    children.push(await start('kube-controller-manager', [
      `--kubeconfig=${kubeconfig}`, `--service-account-private-key-file=${keys.private}`, '--leader-elect=false', `--secure-port=${managerPort}`, '--bind-address=127.0.0.1',
      `--cert-dir=${join(directory, 'manager')}`, `--controllers=${controllers.join(',')}`, '--kube-api-qps=500', '--kube-api-burst=1000',
    ], () => answers(`https://127.0.0.1:${managerPort}/healthz`)));
  }
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const api = kubeApi(config, { timeoutMs: 20_000 });
  const { kubectl, kubectlOk } = kubectlOf(() => join(programs(), 'kubectl'), kubeconfig);
  return {
    config, kubeconfig, api, kubectl, kubectlOk,
    async installKinds() {
      await kubectlOk(['apply', '--server-side', '-f', join(packageRoot(), 'k8s', 'crds')]);
      await kubectlOk(['wait', '--for=condition=Established', '--timeout=30s', 'crd/trainingruns.stemma.dev', 'crd/teachers.stemma.dev']);
    },
    async whileSilent(meanwhile) {
      process.kill(apiserver.pid(), 'SIGSTOP');
      try {
        await meanwhile();
      } finally {
        process.kill(apiserver.pid(), 'SIGCONT');
      }
    },
    async dispose() {
      api.close();
      for (const child of children.reverse()) await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function start(name: string, args: readonly string[], probe: () => Promise<boolean>): Promise<SupervisedChild> {
  return superviseChild({ name, boundary: 'setup', command: join(programs(), name), args, restart: false, ready: { probe }, readyTimeoutMs: 120_000, stopGraceMs: 5_000 });
}

async function writeKeys(directory: string): Promise<{ public: string; private: string; tokens: string }> {
  await mkdir(join(directory, 'certificates'), { recursive: true });
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
  const files = { public: join(directory, 'sa.pub'), private: join(directory, 'sa.key'), tokens: join(directory, 'tokens.csv') };
  writeFileSync(files.public, pair.publicKey);
  writeFileSync(files.private, pair.privateKey);
  writeFileSync(files.tokens, `${TOKEN},admin,admin,"system:masters"\n`);
  return files;
}

/** Health is told to anyone; the certificate is the server's own. */
export function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (response: { statusCode?: number; resume(): unknown }): void => {
      response.resume();
      resolve(response.statusCode === 200);
    };
    const asked = url.startsWith('https') ? httpsGet(url, { rejectUnauthorized: false }, done) : httpGet(url, done);
    asked.on('error', () => resolve(false));
  });
}
