/** A finished run's report data, shaped like a real one: noisy curves, every figure, nine stages. */
import { DOMAINS } from '../../../../core/environment.js';
import type { Point, ReportData, Series, StageCurveData, StageData } from '../../../../services/report/report-data.js';

/** Deterministic noise in [−1, 1). */
function noise(seed: number): number {
  const x = Math.sin(seed * 127.1 + 311.7) * 43_758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}

function curve(steps: number, [from, to]: readonly [number, number], spread: number, salt: number): Point[] {
  return Array.from({ length: steps }, (_, index) => ({
    step: index + 1,
    value: to + (from - to) * Math.exp((-4 * index) / steps) + spread * noise(index + 1 + salt * 1000),
  }));
}

const NONE: StageCurveData = { reward: [], rewardComponents: [], loss: [], entropy: [], kl: [], clipFraction: [], gradientNorm: [], svaLoss: [], coverage: [] };

function sft(stage: string, steps: number, salt: number): StageData {
  return {
    stage, kind: 'sft', status: 'finished', steps, episodes: { completed: 800, truncated: 12, failed: 0 },
    seconds: { compute: steps * 0.11, orchestration: steps * 0.008, waiting: 0 },
    curves: { ...NONE, loss: curve(steps, [5.2, 0.31], 0.05, salt), entropy: curve(steps, [5, 0.4], 0.03, salt + 1), gradientNorm: curve(steps, [4, 0.8], 0.25, salt + 2) },
  };
}

function rl(stage: string, steps: number, salt: number): StageData {
  return {
    stage, kind: 'rl', status: 'finished', steps, episodes: { completed: steps * 120, truncated: steps * 8, failed: salt },
    seconds: { compute: steps * 0.42, orchestration: steps * 0.05, waiting: steps * 0.004 },
    curves: {
      ...NONE, reward: curve(steps, [0.45, 0.93], 0.05, salt),
      rewardComponents: [{ name: 'correct', points: curve(steps, [0.4, 0.9], 0.05, salt) }, { name: 'efficiency', points: curve(steps, [-0.1, -0.02], 0.01, salt) }],
      loss: curve(steps, [0.02, -0.01], 0.03, salt + 1), entropy: curve(steps, [0.5, 0.18], 0.02, salt + 2),
      kl: curve(steps, [0.0001, 0.045], 0.003, salt + 3).map(({ step, value }) => ({ step, value: Math.max(0, value) })),
      clipFraction: curve(steps, [0.002, 0.03], 0.004, salt + 4).map(({ step, value }) => ({ step, value: Math.max(0, value) })), gradientNorm: curve(steps, [1.2, 0.7], 0.2, salt + 5),
    },
  };
}

function distill(): StageData {
  const series = (from: number, to: number, spread: number, salt: number): Series[] =>
    DOMAINS.map((name, index) => ({ name, points: curve(120, [from + 0.1 * index, to + 0.004 * index], spread, salt + index) }));
  return {
    ...rl('distill', 120, 70),
    kind: 'distill',
    curves: {
      ...NONE, reward: curve(120, [0.7, 0.89], 0.03, 61), loss: curve(120, [0.5, 0.02], 0.01, 62), entropy: curve(120, [0.4, 0.25], 0.02, 63), gradientNorm: curve(120, [2, 0.5], 0.1, 64),
      svaLoss: series(0.5, 0.02, 0.008, 65),
      coverage: series(0.9, 0.985, 0.004, 75).map(({ name, points }) => ({ name, points: points.map(({ step, value }) => ({ step, value: Math.min(0.999, value) })) })),
    },
  };
}

export const SAMPLE: ReportData = {
  run: 'tiny-s1-1', recipe: 'tiny', description: 'The whole recipe on a tiny model, from scratch, on two CPU cores.', status: 'finished', detail: '',
  stages: [
    sft('sft', 200, 1), rl('search-rl', 60, 10), sft('science-sft1', 40, 20), sft('science-sft2', 80, 23), rl('instruction-rl1', 40, 30), rl('instruction-rl2', 40, 40),
    sft('tools-sft', 40, 50), rl('tools-rl', 40, 55), distill(),
  ],
  accuracy: [
    { name: 'SFT', role: 'sft', teaches: null, values: { search: 0.94, science: 0.61, instruction: 0.47, tools: 0.9 } },
    { name: 'search teacher', role: 'teacher', teaches: 'search', values: { search: 1, science: 0.55, instruction: 0.47, tools: 0.91 } },
    { name: 'science teacher', role: 'teacher', teaches: 'science', values: { search: 0.97, science: 0.78, instruction: 0.4, tools: 0.93 } },
    { name: 'instruction teacher', role: 'teacher', teaches: 'instruction', values: { search: 0.83, science: 0.52, instruction: 0.8, tools: 0.88 } },
    { name: 'tools teacher', role: 'teacher', teaches: 'tools', values: { search: 0.84, science: 0.57, instruction: 0.32, tools: 1 } },
    { name: 'student', role: 'student', teaches: null, values: { search: 0.99, science: 0.72, instruction: 0.79, tools: 0.96 } },
  ],
  tasksPerDomain: 200,
  facts: [{ name: 'run', value: 'tiny-s1-1' }, { name: 'seed', value: '1' }, { name: 'final weights', value: 'a'.repeat(64) }, { name: 'fingerprint', value: 'device cpu, torch 2.13.0, threads 2' }],
};
