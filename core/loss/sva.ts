/**
 * Salient-vocabulary alignment, reference in float64: reverse KL between student and teacher,
 * both renormalised on the teacher's top-k ids S of one position.
 *
 *   log p̄_u = z_u/τ − LSE_S(z/τ)          log q̄_u = ζ_u/τ − LSE_S(ζ/τ)
 *   ℓ   = Σ_u p̄_u (log p̄_u − log q̄_u)  ≥ 0
 *   g_u = ∂ℓ/∂z_u = p̄_u [(log p̄_u − log q̄_u) − ℓ] / τ,     Σ_u g_u = 0,     0 for ids outside S
 *
 * Raw logits and log-probabilities both work on either side: a constant per position cancels, so no
 * sum over the whole vocabulary is needed. The teacher has no gradient. k = 1 gives ℓ ≡ 0, which is why
 * a recipe needs k ≥ 2. Nothing constrains student mass outside S: ρ, the coverage, is monitored.
 *
 * The temperature divides both sides (NeMo-RL's reading); 1 is the default. No factor τ² is put in front.
 *
 * Equation: Agents-A1 (arXiv 2606.30616) §A.6.
 * Source: hhh675597/revisiting_opd:verl/trainer/ppo/core_algos.py::compute_memory_efficient_kl with
 * norm_to_one_for_kl=True, kl_topk_source=ref.
 */

export interface SvaPosition {
  /** z_S: student logits (or log-probabilities) at the k ids. */
  readonly studentK: readonly number[];
  /** ζ_S: teacher logits (or log-probabilities) at the same ids. */
  readonly teacherK: readonly number[];
  readonly temperature: number;
}

export interface SvaResult {
  readonly loss: number;
  /** With respect to the k student logits. */
  readonly gradientK: number[];
  /** p̄ and q̄. */
  readonly studentProbabilitiesK: number[];
  readonly teacherProbabilitiesK: number[];
}

/** Throws RangeError where the two sides differ in length, are empty, or τ is not positive. */
export function svaLoss(position: SvaPosition): SvaResult {
  const { studentK, teacherK, temperature } = position;
  if (studentK.length === 0 || studentK.length !== teacherK.length || !(temperature > 0)) {
    throw new RangeError(`SVA position: ${studentK.length} student and ${teacherK.length} teacher values, temperature ${temperature}`);
  }
  const logStudentK = logSoftmax(studentK.map((z) => z / temperature));
  const logTeacherK = logSoftmax(teacherK.map((z) => z / temperature));
  const studentProbabilitiesK = logStudentK.map(Math.exp);
  const logRatioK = logStudentK.map((logP, u) => logP - (logTeacherK[u] as number));
  const loss = sum(studentProbabilitiesK.map((p, u) => p * (logRatioK[u] as number)));
  return {
    loss,
    gradientK: studentProbabilitiesK.map((p, u) => (p * ((logRatioK[u] as number) - loss)) / temperature),
    studentProbabilitiesK,
    teacherProbabilitiesK: logTeacherK.map(Math.exp),
  };
}

/**
 * Coverage ρ = Σ_{u ∈ S} p(u), the student's mass on S before renormalisation, from its logits over the whole
 * vocabulary and the ids of S. At temperature 1.
 */
export function coverage(studentLogitsV: readonly number[], idsK: readonly number[]): number {
  const logProbabilitiesV = logSoftmax(studentLogitsV);
  return sum(idsK.map((id) => Math.exp(logProbabilitiesV[id] as number)));
}

function logSoftmax(values: readonly number[]): number[] {
  const max = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSumExp = max + Math.log(sum(values.map((value) => Math.exp(value - max))));
  return values.map((value) => value - logSumExp);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
