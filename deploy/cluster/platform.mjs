// Our own part of the cluster: images, kinds, operator, and what the dev overlay has beside them.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure } from '../setup/failure.mjs';
import { CACHE, ROOT } from '../setup/layout.mjs';
import { loadImages } from './images.mjs';
import { kubectlOk, whenAnswers } from './ready.mjs';

const IMAGES = join(CACHE, 'images', 'images.json');
const KINDS = join(ROOT, 'k8s', 'crds');
const OVERLAY = join(ROOT, 'k8s', 'overlays', 'dev');
const OPERATOR = ['deployment/stemma-operator', '--namespace', 'stemma-system'];

/** @param {string} kube folder of kubectl @param {(line: string) => void} say */
export async function installPlatform(kube, say) {
  if (!existsSync(IMAGES)) throw new SetupFailure(`There are no images to load (${IMAGES}).`, 'Build them with `npm run images`, then run the same command again; `npm run cluster -- --bare` does without.');
  /** @type {Record<string, { archive: string }>} */
  const images = JSON.parse(readFileSync(IMAGES, 'utf8'));
  const loaded = loadImages(Object.values(images), say);
  const before = kubectlOk(kube, ['get', ...OPERATOR, '--ignore-not-found', '-o', 'name'], 'npm run cluster -- --status says what runs.').trim() !== '';
  // It is this command's own installation: what somebody else set by hand is taken back.
  const apply = ['apply', '--server-side', '--force-conflicts', '--field-manager=stemma-cluster'];
  kubectlOk(kube, [...apply, '-f', KINDS], 'The message says which object, and why.');
  kubectlOk(kube, ['wait', '--for=condition=Established', '--timeout=60s', 'crd/trainingruns.stemma.dev', 'crd/teachers.stemma.dev'], 'npm run cluster -- --status says what runs.');
  kubectlOk(kube, [...apply, '-k', OVERLAY], 'The message says which object, and why. Is it one of k8s/overlays/dev?');
  // The tag is the same as before; only a new pod has the new image.
  if (before && loaded > 0) kubectlOk(kube, ['rollout', 'restart', ...OPERATOR], 'npm run cluster -- --status says what runs.');
  const startedAt = performance.now();
  kubectlOk(kube, ['rollout', 'status', ...OPERATOR, '--timeout=300s'],
    'kubectl describe pods --namespace stemma-system and kubectl logs deployment/stemma-operator --namespace stemma-system say why it does not start.');
  await whenAnswers(kube, { namespace: 'stemma-system', selector: 'app.kubernetes.io/name=stemma-operator', port: 9464 });
  say(`operator: ready after ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
}
