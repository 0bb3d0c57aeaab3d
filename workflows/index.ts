/** What a worker hosts: each export is a workflow type. */
export { scheduledRun } from './scheduled-run.js';
export { trainingRun } from './training-run.js';
export { distillStage, evaluate, rlStage, sftStage } from './stages.js';
