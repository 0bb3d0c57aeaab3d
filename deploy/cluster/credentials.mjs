// Keys, tokens and kubeconfigs, made once for a cluster: each part has a name of its own and what the API server's own roles give that name.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE_USER, KUBECONFIG, NODE, SEEN, SERVER, STATE } from './layout.mjs';

/** Who → user and groups, as the API server's roles know them. @type {Record<string, readonly [user: string, ...groups: string[]]>} */
export const USERS = {
  admin: ['admin', 'system:masters'],
  'kube-controller-manager': ['system:kube-controller-manager'],
  'kube-scheduler': ['system:kube-scheduler'],
  'kube-proxy': ['system:kube-proxy'],
  kubelet: [`system:node:${NODE}`, 'system:nodes'],
  coredns: ['system:coredns'],
};

/** Does nothing where they are already there. */
export function writeCredentials() {
  const directory = join(STATE, 'credentials');
  if (existsSync(join(directory, 'tokens.csv'))) return;
  for (const name of ['credentials', 'kubeconfigs', 'certificates']) mkdirSync(join(STATE, name), { recursive: true });
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
  writeFileSync(join(directory, 'accounts.pub'), pair.publicKey);
  writeFileSync(join(directory, 'accounts.key'), pair.privateKey, { mode: 0o600 });
  // With this certificate the API server shows itself to the kubelet, which knows no other.
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/O=system:masters/CN=kube-apiserver-kubelet-client',
    '-addext', 'extendedKeyUsage=clientAuth', '-keyout', join(directory, 'kubelet-client.key'), '-out', join(directory, 'kubelet-client.crt')], { stdio: 'pipe' });
  const lines = Object.entries(USERS).map(([name, [user, ...groups]]) => {
    const token = randomBytes(24).toString('hex');
    writeKubeconfig(name, token);
    return `${token},${user},${user}${groups.length > 0 ? `,"${groups.join(',')}"` : ''}`;
  });
  for (const file of [join(directory, 'accounts.key'), join(STATE, 'kubeconfigs', 'kube-controller-manager.json')]) chownSync(file, IMAGE_USER, IMAGE_USER);
  // Last: it says that all are there.
  writeFileSync(join(directory, 'tokens.csv'), `${lines.join('\n')}\n`, { mode: 0o600 });
}

/** @param {string} name @param {string} token */
function writeKubeconfig(name, token) {
  const admin = name === 'admin';
  const file = admin ? KUBECONFIG : join(STATE, 'kubeconfigs', `${name}.json`);
  // The server writes its certificate at its first start, with the authority that signed it.
  const authority = join(admin ? STATE : SEEN.state, 'certificates', 'apiserver.crt');
  writeFileSync(file, `${JSON.stringify({
    apiVersion: 'v1', kind: 'Config', 'current-context': 'stemma', contexts: [{ name: 'stemma', context: { cluster: 'stemma', user: name } }],
    clusters: [{ name: 'stemma', cluster: { server: SERVER, 'certificate-authority': authority } }], users: [{ name, user: { token } }],
  }, null, 2)}\n`);
  chmodSync(file, 0o600);
}
